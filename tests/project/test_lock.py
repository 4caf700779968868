"""The locks hold every dependency, by hash, and say nothing of where they were made; one is the image's alone."""

import re
import tomllib
from collections.abc import Mapping

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.files import ROOT

LOCKS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "infra/requirements.lock")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def pinned(lock: str) -> Mapping[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCKS[lock], re.MULTILINE))


def hashes(lock: str) -> Mapping[str, list[str]]:
    """The hashes of each pinned name."""
    found = re.findall(r"^([a-z0-9-]+)==[^\\]*\\\n((?:    --hash=\S+(?: \\)?\n)+)", LOCKS[lock], re.MULTILINE)
    return {name: re.findall(r"[0-9a-f]{64}", lines) for name, lines in found}


def outside(lock: str, lines: list[str]) -> list[str]:
    """The requirements that a lock does not fulfil."""
    wanted = [Requirement(line) for line in lines]
    return [
        str(requirement)
        for requirement in wanted
        if requirement.name != "segue"
        and pinned(lock).get(canonicalize_name(requirement.name), "none") not in requirement.specifier
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_line_is_a_pinned_name_a_hash_or_a_comment_without_a_host_or_a_path(lock: str) -> None:
    allowed = re.compile(
        r"[a-z0-9-]+==[\w.!+]+( ; [^/:@]+)? \\"  # name==version, perhaps a marker
        r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
        r"| *#[^/@]*"
    )
    assert [line for line in LOCKS[lock].splitlines() if not allowed.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pinned_name_has_a_hash(lock: str) -> None:
    assert set(hashes(lock)) == set(pinned(lock))


def test_every_dependency_of_the_project_is_locked_at_a_version_it_allows() -> None:
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    assert outside("requirements.lock", [*wanted, *(line for extra in EXTRAS.values() for line in extra)]) == []


def test_the_image_has_what_functions_depend_on_at_the_versions_that_are_tested() -> None:
    assert outside("infra/requirements.lock", PROJECT["project"]["dependencies"]) == []
    assert pinned("infra/requirements.lock").items() <= pinned("requirements.lock").items()
    assert hashes("infra/requirements.lock").items() <= hashes("requirements.lock").items()


def test_the_image_has_nothing_that_only_a_laptop_or_a_developer_needs() -> None:
    needed_by_what_they_need = {"click", "cryptography", "jinja2"}
    extra = {canonicalize_name(Requirement(line).name) for lines in EXTRAS.values() for line in lines}
    assert (extra - needed_by_what_they_need) & set(pinned("infra/requirements.lock")) == set()
