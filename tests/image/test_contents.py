"""What is in the image: what functions need, and nothing that could be held against it."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emulator.topology import topology
from tests.image import cloud_run
from tests.image.assembled import DOCKERFILE, Image, context, instructions
from tests.project.files import ROOT, code_trees

INSTRUCTIONS = list(instructions(DOCKERFILE.read_text(encoding="utf-8")))


LAPTOPS = ("shared/segue/adapters/embedded/", "shared/segue/domain/batch/")
"""What functions never import in the cloud."""

OF_LAPTOPS = ("segue.adapters.embedded", "segue.domain.batch")

STARTING = ("functions.stream.__main__", *(f"functions.{name}.main" for name in topology()["functions"]))
"""What starts a function as it is imported."""

BY_NAME = {
    "httptools": "uvicorn takes it where it is there",
    "uvicorn-worker": "functions-framework names it to gunicorn",
    "functions-framework": "the command that serves a function",
}
"""Dependencies that no code of ours imports."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def said(name: str) -> list[str]:
    return [rest for found, rest in INSTRUCTIONS if found == name]


def test_the_base_is_a_slim_python_by_version_and_the_one_that_is_locked_for() -> None:
    assert [re.fullmatch(r"PYTHON=3\.11\.\d+-slim-\w+", rest) is not None for rest in said("ARG")] == [True]
    assert said("FROM") == ["python:${PYTHON} AS build", "python:${PYTHON}"]


def test_who_runs_it_is_a_number_and_nobody_in_particular() -> None:
    assert [re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user) is not None for user in said("USER")] == [True]
    assert INSTRUCTIONS[-1][0] == "USER"


def test_their_home_is_where_anybody_may_write() -> None:
    assert "HOME=/tmp" in said("ENV")


def test_every_dependency_has_its_hash_and_no_source_is_built() -> None:
    (installing,) = [rest for rest in said("RUN") if " install " in rest]
    assert "--require-hashes --only-binary :all:" in installing


def test_an_engine_sees_code_the_trackers_scripts_and_the_lock_alone() -> None:
    seen = set(context())
    assert {path.split("/")[0] for path in seen} == {"functions", "shared", "tracker", "infra"}
    assert {path for path in seen if not path.endswith(".py")} == {
        "infra/requirements.lock",
        "tracker/segue.min.js",
        "tracker/segue-datalayer.min.js",
    }


def test_the_functions_are_started_here_with_the_variables_that_terraform_sets() -> None:
    services = (ROOT / "infra" / "terraform" / "services.tf").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(?:SEGUE|FORWARDED)_\w+", services)) == set(
        cloud_run.SETTINGS | cloud_run.PUSHED | cloud_run.PUBLIC
    )


@pytest.mark.slow
def test_all_of_the_code_is_there_as_bytecode_that_nobody_checks_again(image: Image) -> None:
    sources = sorted((image.root / "code").rglob("*.py"))
    assert {str(path.relative_to(image.root / "code")) for path in sources} == {
        path for path in context() if path.endswith(".py")
    }
    compiled = [Path(cache_from_source(path)) for path in sources]
    unchecked = (1).to_bytes(4, "little")  # PEP 552: by hash, and not checked
    assert [path for path in compiled if path.read_bytes()[4:8] != unchecked] == []


def imported() -> Iterator[str]:
    """Every module that functions may import in the cloud, at once or when it is needed."""
    for path, tree in code_trees():
        if path.startswith(("functions/", "shared/")) and not path.startswith(LAPTOPS):
            yield path.removeprefix("shared/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module


@pytest.mark.slow
def test_the_image_has_all_that_functions_may_import_and_little_else(image: Image) -> None:
    wanted = {name for name in imported() if not name.startswith(STARTING)}
    found = subprocess.run(
        ["python", str(ROOT / "tests" / "image" / "imports_all.py")],
        cwd=image.folder,
        env=image.environment,
        input="\n".join(sorted(wanted)),
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(found.stdout)
    assert [each for each in told["missing"] if not each.startswith(OF_LAPTOPS)] == []
    direct = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    assert direct - {canonicalize_name(name) for name in told["used"]} == BY_NAME.keys()


@pytest.mark.slow
def test_the_image_brings_no_installer_no_tests_and_nothing_of_a_laptop(image: Image) -> None:
    listed = subprocess.run(
        ["python", "-c", "from importlib.metadata import distributions as all\nfor each in all(): print(each.name)"],
        env=image.environment,
        executable=image.root / "python" / "bin" / "python",
        check=True,
        capture_output=True,
        text=True,
    )
    locked = re.findall(r"^([a-z0-9-]+)==", (ROOT / "infra" / "requirements.lock").read_text(), re.MULTILINE)
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in listed.stdout.split()}
    assert installed <= set(locked)
    assert {"uvloop", "httptools"} <= installed
