"""The lock holds every dependency, by hash, and says nothing of where it was made."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.files import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def test_a_line_is_a_pinned_name_a_hash_or_a_comment_without_a_host_or_a_path() -> None:
    allowed = re.compile(
        r"[a-z0-9-]+==[\w.!+]+( ; [^/:@]+)? \\"  # name==version, perhaps a marker
        r"|    --hash=sha256:[0-9a-f]{64}( \\)?"
        r"| *#[^/@]*"
    )
    assert [line for line in LOCK.splitlines() if not allowed.fullmatch(line)] == []


def test_every_pinned_name_has_a_hash() -> None:
    assert re.findall(r"^\S+==[^\\]*\\\n(?!    --hash=)", LOCK, re.MULTILINE) == []


def test_every_dependency_of_the_project_is_locked_at_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        Requirement(line)
        for line in (
            *project["project"]["dependencies"],
            *project["project"]["optional-dependencies"]["dev"],
            *project["build-system"]["requires"],
        )
    ]
    outside = [
        str(requirement)
        for requirement in wanted
        if PINNED.get(canonicalize_name(requirement.name), "none") not in requirement.specifier
    ]
    assert outside == []
