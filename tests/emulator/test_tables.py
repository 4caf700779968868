"""Where there is nothing to show, a command says so instead of printing an empty table."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator.command import main
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """The folder of a platform to which nothing has come."""
    platform = EmbeddedPlatform.open(tmp_path, SystemClock())
    await platform.catalog.publish(b"{}")
    await platform.close()
    (tmp_path / "profile.secret").write_text("a secret of the tests")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["experiments"], "the catalogue has no experiments"),
        pytest.param(["audiences", "list"], "the catalogue has no storage destination", marks=pytest.mark.slow),
        (["identity", "traits", "user_id:42"], "no call said anything of user_id:42"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_a_folder_with_nothing_in_it_has_a_sentence(data: Path, command: Sequence[str], said: str) -> None:
    done = await asyncio.to_thread(CliRunner().invoke, main, [*command, "--data", str(data)])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"{said}\n")
