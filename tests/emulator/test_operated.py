"""What an operator's command works on is said by its options, and what is wrong with them in a line."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.command import main

COMMANDS = (
    ["failed", "list"],
    ["failed", "show", "id"],
    ["failed", "replay", "--all"],
    ["rebuild", "--all"],
    ["catalog", "status"],
    ["catalog", "publish", "--dry-run"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_deployment_is_named_by_its_project(command: list[str]) -> None:
    done = CliRunner().invoke(main, [*command, "--platform", "google"], env={"SEGUE_PROJECT": ""})
    assert done.exit_code == 2
    assert done.stderr.endswith("Error: --platform google needs --project, or SEGUE_PROJECT\n")


@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_a_folder_that_is_no_platforms_is_named(command: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [*command, "--data", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (1, f"Error: {tmp_path}: expected the data folder of a platform\n")
