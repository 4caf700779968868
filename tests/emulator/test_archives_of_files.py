"""Commands that look at an archive of files do not take another one for that of a deployment on Google Cloud."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.command import main


@pytest.mark.parametrize(
    "command", [["members", "buyer"], ["experiments"], ["audiences", "export"]], ids=lambda command: command[0]
)
def test_where_the_platform_is_google_the_folder_has_to_be_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_PLATFORM", "google")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2
    assert "in BigQuery" in refused.output
    assert "in BigQuery" not in CliRunner().invoke(main, [*command, "--data", str(tmp_path)]).output
