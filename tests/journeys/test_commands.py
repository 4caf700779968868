"""The `segue` command as a person types it: help everywhere, and one clear line for whatever goes wrong."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from emulator.client import Client
from emulator.command import COMMANDS, main
from emulator.failed import Record
from tests.journeys.running import ROOT, SEGUE, running, segue, typed


def commands(group: click.Command, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield name
    if isinstance(group, click.Group):
        context = click.Context(group)
        for child in group.list_commands(context):
            command = group.get_command(context, child)
            assert command, child
            yield from commands(command, (*name, child))


@pytest.mark.parametrize("name", list(commands(main)), ids=" ".join)
def test_every_command_says_what_it_is_for(name: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*name, "--help"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 4


def test_the_command_lists_all_of_them() -> None:
    done = segue("--help")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line} == {*COMMANDS}


def test_a_command_that_is_none_is_named_also_where_the_package_is_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "replya"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: segue ")
    assert "No such command 'replya'" in done.stderr


def test_the_version_is_the_projects() -> None:
    assert typed("--version").stdout.startswith("segue, version 0.")


def broken_catalogue(tmp_path: Path) -> Path:
    (tmp_path / "segments.yaml").write_text("segments:\n  buyer:\n    name: Buyer\n    when: {dit: Order Completed}\n")
    return tmp_path


def test_a_broken_catalogue_is_named_with_file_line_and_path(tmp_path: Path) -> None:
    folder = broken_catalogue(tmp_path)
    done = typed("run", "--port", "0", "--data", str(tmp_path / "data"), "--catalog", str(folder))
    assert_fails(done, f"{folder / 'segments.yaml'}:4: segments.buyer.when")


@pytest.mark.parametrize("absent", ["gcloud", "Java"])
def test_what_google_needs_is_named(tmp_path: Path, absent: str) -> None:
    (tmp_path / "bin").mkdir()
    if absent != "gcloud":
        (tmp_path / "bin" / "gcloud").symlink_to(sys.executable)
    done = subprocess.run(
        [SEGUE, "run", "--platform", "google", "--port", "0", "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert_said(done.returncode, done.stderr, absent)


def test_an_address_where_nothing_answers_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    log.write_text('{"type":"track"}\n')
    assert_fails(typed("replay", str(log), "--url", "http://127.0.0.1:1"), "http://127.0.0.1:1 does not answer")


def test_a_log_of_no_known_format_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("a,b,c\n")
    assert_fails(typed("fold", str(log)), f"{log}: expected a log")


async def failed(url: str) -> Sequence[Record]:
    async with Client.connected(url) as client:
        return await client.failed()


def test_a_wrong_key_and_what_was_refused_are_named_by_a_running_platform(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    log.write_text(
        '{"type":"track","event":"A","userId":"1","timestamp":"2024-05-01T12:00:00Z"}\n'
        '{"type":"track","event":"A","timestamp":"2024-05-01T12:00:00Z"}\n'
        "no JSON\n"
    )
    with running(tmp_path / "data") as url:
        assert_fails(typed("replay", str(log), "--url", url, "--key", "wrong"), "expected the secret key")
        replayed = typed("replay", str(log), "--url", url)
        listed = typed("failed", "list", "--url", url)
        (record,) = asyncio.run(failed(url))
        shown = typed("failed", "show", record.id, "--url", url)
        put_back = typed("failed", "replay", record.id, "--url", url)
        unknown = typed("failed", "show", "nothing-here", "--url", url)
        explained = typed("explain", "user_id:1", "completed-buyer", "--url", url)
        as_json = typed("explain", "user_id:1", "completed-buyer", "--json", "--at", "2030-01-01", "--url", url)
        no_segment = typed("explain", "user_id:1", "buyers", "--url", url)
        at_work = typed("explain", "user_id:1", "new-visitor", "--data", str(tmp_path / "data"))
    archived = typed(
        "explain", "user_id:1", "new-visitor", "--data", str(tmp_path / "data"), "--at", "2024-05-01T13:00Z"
    )
    words = " ".join(replayed.stdout.replace("│", "").split())
    assert replayed.exit_code == 0, replayed.stderr
    assert "2 events" in words
    assert "folded 1" in words
    assert "refused 1" in words
    assert "be an id" in words
    assert "line that is no JSON 1" in words
    assert record.id in listed.stdout
    assert '"stage": "ingest"' in shown.stdout
    assert put_back.exit_code == 1
    assert "the client has to send better ones" in put_back.stderr
    assert_fails(unknown, "nothing-here: there is no such record")
    assert explained.stdout.splitlines()[1] == "Nearest: one more `Order Completed`."
    assert '"nearest": {' in as_json.stdout
    assert_fails(no_segment, "there is no segment 'buyers'")
    assert_fails(at_work, "has this data folder open")
    assert archived.stdout.splitlines()[0] == (
        "`new-visitor` at 2024-05-01 13:00:00 UTC: a member since 2024-05-01 12:00:00 UTC, "
        "until 2024-05-02 12:00:00 UTC if nothing else happens."
    )
    assert_fails(typed("explain", "user_id:1", "new-visitor", "--data", str(tmp_path)), "expected the data folder")


def test_a_profile_that_is_none_is_named() -> None:
    done = typed("explain", "ann", "completed-buyer")
    assert done.exit_code == 2
    assert "expected user_id:… or anonymous_id:…, found 'ann'" in done.stderr


def assert_fails(done: Result, words: str) -> None:
    assert_said(done.exit_code, done.stderr, words)


def assert_said(status: int, stderr: str, words: str) -> None:
    """Status 1, and one line that says what is wrong."""
    assert status == 1
    assert stderr.startswith("Error: ")
    assert words in stderr
    assert len(stderr.splitlines()) == 1, stderr
