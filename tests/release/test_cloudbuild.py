"""What Cloud Build is told to do: the form of it, its order, and that all it names is there."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.cloud.devtools.cloudbuild_v1 import Build
from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]

from emulator.catalog_commands import publish
from emulator.yaml_file import read
from tests.project.files import ROOT
from tests.terraform.configuration import parsed

RELEASE = "cloudbuild.yaml"
CATALOGUE = "infra/release/catalog.yaml"

GIVEN = {"PROJECT_ID", "BUILD_ID"}
"""Substitutions that Cloud Build makes itself."""

Step = Mapping[str, Any]

each_file = pytest.mark.parametrize("file", [RELEASE, CATALOGUE])


@cache
def build(file: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = read(ROOT / file).value
    return content


def steps(file: str) -> Sequence[Step]:
    found: Sequence[Step] = build(file)["steps"]
    return found


def words(step: Step) -> list[str]:
    """A step's command, one word each; what a shell is given, too."""
    return [word for argument in step["args"] for word in re.split(r"[\s\"]+", argument) if word]


def understood(content: Mapping[str, Any]) -> Build:
    """The build as Cloud Build's API has it. Raises ParseError for what it does not know."""
    build_ = Build()
    ParseDict(content, Build.pb(build_), ignore_unknown_fields=False)
    return build_


@each_file
def test_cloud_build_understands_every_field(file: str) -> None:
    assert [step.id for step in understood(build(file)).steps] == [step["id"] for step in steps(file)]


@pytest.mark.parametrize("wrong", [{"step": []}, {"steps": [{"name": "x", "waitfor": []}]}, {"timeout": "an hour"}])
def test_a_field_that_there_is_not_would_be_found(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ParseError):
        understood(wrong)


def test_a_release_takes_its_steps_in_order_and_each_waits_for_those_before() -> None:
    assert [step["id"] for step in steps(RELEASE)] == [
        *("check", "audit", "test", "build", "scan"),
        *("catalogue-dry-run", "catalogue", "waves", "deploy"),
    ]
    assert not any("waitFor" in step or "allowFailure" in step for step in steps(RELEASE))


def test_a_change_of_the_catalogue_alone_builds_and_deploys_nothing() -> None:
    assert [step["id"] for step in steps(CATALOGUE)] == ["check", "test", "catalogue-dry-run", "catalogue"]
    of_a_release = {step["id"]: step for step in steps(RELEASE)}
    assert [step for step in steps(CATALOGUE) if of_a_release[step["id"]] != step] == []
    assert not {"gcloud", "docker"} & {word for step in steps(CATALOGUE) for word in words(step)}


@pytest.mark.parametrize(
    ("changed", "built"),
    [
        (["infra/catalog/segments.yaml"], ["catalog"]),
        (["infra/catalog/segments.yaml", "infra/catalog/SLOTS.md"], ["catalog"]),
        (["functions/ingest/ingest.py"], ["release"]),
        (["functions/ingest/ingest.py", "infra/catalog/segments.yaml"], ["catalog", "release"]),
    ],
)
def test_what_was_changed_decides_what_is_built(changed: Sequence[str], built: Sequence[str]) -> None:
    """By Cloud Build's rules: not if all that changed is ignored; else if anything is included, or nothing is named."""
    (declared,) = [block["triggers"] for block in parsed()["release.tf"]["locals"]]

    def fires(trigger: Mapping[str, Any]) -> bool:
        left = [path for path in changed if not _matches(path, trigger["ignored"])]
        return any(not trigger["included"] or _matches(path, trigger["included"]) for path in left)

    triggers = {name: trigger for name, trigger in declared.items() if not name.startswith("__")}
    assert sorted(name for name, trigger in triggers.items() if fires(trigger)) == built
    assert {trigger["filename"] for trigger in triggers.values()} == {RELEASE, CATALOGUE}


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern.replace("**", "*")) for pattern in patterns)


@each_file
def test_every_substitution_is_declared_and_used(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{?(_?[A-Z][A-Z0-9_]*)\}?", text))
    declared = set(build(file).get("substitutions", ()))
    assert used - GIVEN == declared
    assert all(isinstance(value, str) for value in build(file).get("substitutions", {}).values())


def test_terraform_gives_no_substitution_that_a_release_has_not() -> None:
    (described,) = [
        block["release"]["description"] for block in parsed()["variables.tf"]["variable"] if "release" in block
    ]
    assert {*re.findall(r"\b_[A-Z_]+", described), "_REGION"} == set(build(RELEASE)["substitutions"])


@each_file
def test_every_image_has_a_version(file: str) -> None:
    assert [step["name"] for step in steps(file) if not re.fullmatch(r"[\w./-]+:\d+(\.\d+)+[\w-]*", step["name"])] == []


@each_file
def test_what_is_tested_runs_on_the_python_of_the_image(file: str) -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8")
    (python,) = re.findall(r"^ARG PYTHON=(\d+\.\d+\.\d+)", dockerfile, re.MULTILINE)
    of_steps = {step["name"].split(":")[1].split("-")[0] for step in steps(file) if step["name"].startswith("python:")}
    assert of_steps == {python}


@each_file
def test_every_file_target_and_module_that_is_named_is_there(file: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for step in steps(file):
        said = words(step)
        for word, following in zip(said, [*said[1:], ""], strict=True):
            if word.startswith("infra/"):
                assert (ROOT / word).exists(), word
            elif word == "make":
                assert following in targets
            elif word == "-m":
                assert (ROOT / f"{following.replace('.', '/')}.py").exists(), following


@each_file
def test_what_is_read_was_written_by_a_step_before(file: str) -> None:
    written = {"build/release/sbom.json"}  # by `make audit`
    for step in steps(file):
        said = words(step)
        files = [word.rstrip(")") for word in said if word.startswith("build/release/")]
        read_ = [name for name in files if f"$(cat {name})" in " ".join(said) or f"--waves {name}" in " ".join(said)]
        assert set(read_) <= written
        written |= set(files)
    kept = build(file).get("artifacts", {}).get("objects", {}).get("paths", [])
    assert set(kept) <= written


@pytest.mark.parametrize("id_", ["catalogue-dry-run", "catalogue"])
def test_the_command_that_publishes_understands_what_it_is_told(id_: str) -> None:
    (step,) = [step for step in steps(RELEASE) if step["id"] == id_]
    assert step["args"][:3] == [".venv/bin/segue", "catalog", "publish"]
    with publish.make_context("publish", [word.replace("${PROJECT_ID}", "p") for word in step["args"][3:]]) as context:
        said = context.params
    assert (said["platform"], said["project"], said["dry_run"]) == ("google", "p", id_ == "catalogue-dry-run")
    assert (said["folder"], said["database"]) == (Path("infra/catalog"), "catalog")


@each_file
def test_no_secret_is_in_it(file: str) -> None:
    assert not {"secretEnv", "availableSecrets", "secrets"} & {
        *build(file),
        *(key for step in steps(file) for key in step),
    }


def _imported(module: str) -> Iterator[str]:
    """The modules that a module imports, and those that its own imports do."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            yield name
            if name.startswith("infra."):
                yield from _imported(name)


def test_what_runs_beside_gcloud_needs_no_library() -> None:
    modules = {
        following
        for step in steps(RELEASE)
        for word, following in zip(words(step), words(step)[1:], strict=False)
        if word == "-m" and "google-cloud-cli" in step["name"]
    }
    assert modules == {"infra.release.scan", "infra.release.deploy"}
    needed = {name.split(".")[0] for module in modules for name in _imported(module)} - {"infra"}
    assert needed <= sys.stdlib_module_names
