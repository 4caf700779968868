"""What releases ask of gcloud, gcloud understands: its own tables and the program itself, where it is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.project.files import ROOT
from tests.release.cloud_run import CloudRun, served
from tests.release.gcloud import Gcloud
from tests.release.test_deploy import BEFORE, IMAGE, deploy
from tests.release.test_roll_back import PLACE
from tests.release.test_scan import scanned

pytestmark = pytest.mark.slow

IN_TABLES = "gcloud_completions.py"


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("gcloud")
    if found is None:
        pytest.skip("needs gcloud")
    return found


@pytest.fixture(scope="module")
def known(program: str) -> Mapping[str, Any]:
    """Every command of gcloud, with its options; it is what completes them in a shell."""
    tables = Path(program).resolve().parents[1] / "data" / "cli" / IN_TABLES
    if not tables.exists():
        pytest.skip(f"needs gcloud's own {IN_TABLES}")
    spec = importlib.util.spec_from_file_location("gcloud_completions", tables)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tree: Mapping[str, Any] = module.STATIC_COMPLETION_CLI_TREE
    return tree


def unknown(asked: Sequence[str], known: Mapping[str, Any]) -> Iterator[str]:
    """The words and options of a command that gcloud has not."""
    options = set(known["flags"])
    command = known
    for word in (each for each in asked if not each.startswith("--")):
        if word in command["commands"]:
            command = command["commands"][word]
            options |= set(command["flags"])
        elif command["commands"]:
            yield word
    for word in asked:
        name = word.partition("=")[0]
        if name.startswith("--") and name not in options:
            yield name


@pytest.fixture
def asked(gcloud: Gcloud, tmp_path: Path) -> Sequence[Sequence[str]]:
    """Everything that a scan, a release and a roll-back ask."""
    gcloud.becomes(services=BEFORE)
    for done in (
        scanned(gcloud, tmp_path / "holes.json"),
        deploy(gcloud, tmp_path),
        gcloud.run(sys.executable, "-m", "infra.release.roll_back", *PLACE, *BEFORE),
    ):
        assert done.returncode == 0, done.stderr
    return gcloud.asked


def test_gcloud_knows_each_command_and_option(asked: Sequence[Sequence[str]], known: Mapping[str, Any]) -> None:
    assert {tuple(words[:2]) for words in asked} == {("artifacts", "docker"), ("run", "services"), ("logging", "read")}
    assert [each for words in asked for each in unknown(words, known)] == []


def test_what_it_has_not_would_be_found(known: Mapping[str, Any]) -> None:
    assert list(unknown(["run", "services", "roll-out", "--to-tags=candidate=10"], known)) == ["roll-out", "--to-tags"]
    assert list(unknown(["run", "services", "update", "ingest", "--share=10", "--quiet"], known)) == ["--share"]


@pytest.mark.usefixtures("program")
def test_gcloud_itself_moves_a_function_and_takes_it_back_as_it_is_meant_to(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token", encoding="utf-8")
    (tmp_path / "waves.json").write_text('[["update"]]', encoding="utf-8")
    cloud_run = CloudRun("update")
    care = ("--waves", str(tmp_path / "waves.json"), "--share", "10", "--minutes", "0", "--errors", "0")
    with served(cloud_run) as proxy:
        environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "CLOUDSDK_CONFIG": str(tmp_path),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(tmp_path / "token"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": "http://run.invalid/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": "http://logging.invalid/",
            "http_proxy": proxy,
        }
        for command in (["deploy", IMAGE, *care, *PLACE], ["roll_back", *PLACE, "update"]):
            done = subprocess.run(
                [sys.executable, "-m", f"infra.release.{command[0]}", *command[1:]],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    tags = {("update-00002", "candidate"), ("update-00001", "previous")}
    assert cloud_run.told() == [
        {("update-00001", 100)},
        {("update-00001", 100), *tags},
        {("update-00001", 90), ("update-00002", 10), *tags},
        {("update-00002", 100), *tags},
        {("LATEST", 100), *tags},
        {("update-00001", 100), *tags},
    ]
    assert [spec["template"]["metadata"].get("name") for spec in cloud_run.specs] == [None] * 6
