"""What releases ask of gcloud, gcloud has: held against the commands that it knows itself, where it is installed."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.release.gcloud import Gcloud
from tests.release.test_deploy import BEFORE, deploy
from tests.release.test_roll_back import PLACE
from tests.release.test_scan import scanned

pytestmark = pytest.mark.slow

IN_TABLES = "gcloud_completions.py"


@pytest.fixture(scope="module")
def known() -> Mapping[str, Any]:
    """Every command of gcloud, with its options; it is what completes them in a shell."""
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("needs gcloud")
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
