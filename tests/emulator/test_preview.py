"""`segue preview` and `segue members`: what they say of a small log that is counted by hand."""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from emulator.command import main
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.domain.event import Event
from segue.domain.message import (
    EVENTS,
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    EventsReceived,
    MembershipChanged,
)
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, HOUR
from segue.ports import Message

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""

NEW = """
segments:
  keen:
    name: Keen <on> it
    when: {did: Product Viewed, count: {ge: 2}, within: 1h}
"""
LIVE = """
segments:
  buyers:
    name: Buyers
    when: {did: Order Completed}
    stays: 24h
"""


def happened(visitor: str, name: str, at: int) -> tuple[str, str, int]:
    return visitor, name, START + at


#   anna views at 0:00 and 0:30 (in 0:30 to 1:00), buys on the 2nd; ben views at 1 d, 1 d 0:10; carl once
LOG = [
    happened("anna", "Product Viewed", 0),
    happened("anna", "Product Viewed", HOUR // 2),
    happened("carl", "Product Viewed", HOUR),
    happened("anna", "Order Completed", DAY),
    happened("ben", "Product Viewed", DAY),
    happened("ben", "Product Viewed", DAY + HOUR // 6),
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        {"type": "track", "anonymousId": visitor, "messageId": f"m{number}", "event": name, "timestamp": _iso(at)}
        for number, (visitor, name, at) in enumerate(LOG)
    ]
    file = tmp_path / "log.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture
def live(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "live.yaml").write_text(LIVE)
    return folder


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    file = tmp_path / "new.yaml"
    file.write_text(NEW)
    return file


def _iso(at: int) -> str:
    day, rest = divmod(at - START, DAY)
    return f"2026-01-{day + 1:02}T{rest // HOUR:02}:{rest % HOUR // 60_000:02}:00Z"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_a_preview_counts_members_days_stays_and_overlap(definition: Path, log: Path, live: Path) -> None:
    result = run("preview", definition, "--log", log, "--catalog", live, "--days", 2)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "1 of 3 profiles (33.3%) at 2026-01-02 00:10:00 UTC" in text
    assert "in 2 days 2 entered, 1 left" in text
    assert "stayed 30.0 min" in text
    assert "computed by SQL" in text
    assert re.search(r"buyers +│ 1 +│ 0 +│ 0\.000 +│ the engine \(stays\)", result.output)
    assert "anonymous_id:ben: since 2026-01-02 00:10:00 UTC, until 2026-01-02 01:00:00 UTC" in text


def test_a_preview_looks_from_any_instant(definition: Path, log: Path, live: Path) -> None:
    result = run("preview", definition, "--log", log, "--catalog", live, "--at", "2026-01-01T00:45:00Z")
    assert "1 of 1 profiles" in " ".join(result.output.split())


def test_a_page_stands_alone_and_shows_names_as_they_are(
    definition: Path, log: Path, live: Path, tmp_path: Path
) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "report.svg"
    for out in (page, picture):
        assert run("preview", definition, "--log", log, "--catalog", live, "--out", out).exit_code == 0
    for text in (page.read_text(), picture.read_text()):
        assert "Keen &lt;on&gt; it" in text
        assert "<on>" not in text
        assert not re.search(r"(src|href)=|@import|url\(|<script", text)
        assert {*re.findall(r"https?://[^\"]+", text)} <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("segments:\n  a:\n    name: A\n    when: {did: B, cuont: 3}\n", r"new\.yaml:4: segments\.a\.when\.cuont: "),
        ("segments:\n  a:\n    name: A\n    when: {segment: b}\n", r"new\.yaml:4?:?.*segments\.a.*'b'"),
        ("sources:\n  a: {}\n", r"new\.yaml:1: sources: expected segments: alone"),
        ("segments: {}\n", r"new\.yaml: expected at least one segment"),
    ],
)
def test_a_wrong_part_is_refused_where_it_stands(
    definition: Path, log: Path, live: Path, text: str, problem: str
) -> None:
    definition.write_text(text)
    result = run("preview", definition, "--log", log, "--catalog", live)
    assert result.exit_code == 1
    assert re.search(problem, result.output), result.output


def test_a_preview_wants_one_source_of_events_and_one_segment(definition: Path, log: Path, live: Path) -> None:
    assert "either --data or --log" in run("preview", definition).output
    definition.write_text(NEW + "  other:\n    name: Other\n    when: {did: X}\n")
    result = run("preview", definition, "--log", log, "--catalog", live)
    assert "expected --segment to be one of keen, other" in result.output
    assert "other" in run("preview", definition, "--segment", "other", "--log", log, "--catalog", live).output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the log's events archived, what was told of anna on two days, and two catalogue versions."""
    asyncio.run(_fill(tmp_path / "data"))
    return tmp_path / "data"


async def _fill(folder: Path) -> None:
    archive, catalog = ArchiveFile.open(folder), CatalogFile.open(folder)
    await archive.append(EVENTS, [_received(number, *each) for number, each in enumerate(LOG)])
    await archive.append(MEMBERSHIPS, [_told(1, 2, START, {"keen": ((START, None),)}), _told(2, 4, START + DAY, {})])
    await archive.seal()
    for count in (2, 1):
        when = {"did": "Product Viewed", "count": {"ge": count}}
        await catalog.publish(msgspec.json.encode({"segments": {"keen": {"name": "Keen", "when": when}}}))
    await archive.close()
    await catalog.close()


def _received(number: int, visitor: str, name: str, at: int) -> Message:
    event = Event(message_id=f"e{number}", name=name, occurred_at=at, received_at=at, anonymous_id=visitor)
    body = EventsReceived(
        key=f"{ord(visitor[0]):032x}", profile=ProfileRef("anonymous_id", visitor), source="shop", events=(event,)
    )
    return Message(id=f"m{number}", type=EVENTS_RECEIVED, source="//test", time=at, data=msgspec.json.encode(body))


def _told(version: int, seq: int, at: int, memberships: dict[str, tuple[tuple[int, int | None], ...]]) -> Message:
    body = MembershipChanged(
        key="a" * 32,
        profile=ProfileRef("anonymous_id", "anna"),
        seq=seq,
        catalog=version,
        at=at,
        known_until=None,
        memberships=memberships,
        transitions=(),
    )
    return Message(id=f"s{seq}", type=MEMBERSHIP_CHANGED, source="//test", time=at, data=msgspec.json.encode(body))


def lines(result: Result) -> Sequence[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_members_are_those_that_were_told_of_then(data: Path) -> None:
    then = lines(run("members", "keen", "--data", data, "--at", START + HOUR))
    assert then == [{"profile": "anonymous_id:anna", "since": START, "until": None, "catalog": 1}]
    assert lines(run("members", "keen", "--data", data, "--at", START + DAY)) == []


def test_a_segment_that_is_none_is_named(data: Path) -> None:
    misspelt = run("members", "kean", "--data", data)
    assert misspelt.exit_code == 1
    assert misspelt.stderr == "Error: there is no segment 'kean', and nobody was in it then\n"


def test_members_by_a_version_are_those_its_definition_gives(data: Path) -> None:
    def of(version: int) -> list[object]:
        found = lines(run("members", "keen", "--data", data, "--at", START + 2 * DAY, "--version", version))
        return [line["profile"] for line in found]

    assert of(1) == ["anonymous_id:anna", "anonymous_id:ben"]
    assert of(2) == ["anonymous_id:anna", "anonymous_id:ben", "anonymous_id:carl"]
    missing = run("members", "keen", "--data", data, "--version", 9)
    assert missing.exit_code == 1
    assert "there is no catalogue of version 9" in missing.output


def test_a_data_folder_is_previewed_beside_its_published_segments(data: Path, definition: Path) -> None:
    definition.write_text(NEW.replace("keen:", "keener:"))
    result = run("preview", definition, "--data", data, "--at", START + DAY + HOUR // 2, "--days", 2)
    assert "1 of 3 profiles" in " ".join(result.output.split()), result.output
    assert re.search(r"keen +│ 3 +│ 1 +│ 0\.333 +│ SQL", result.output)


def test_a_damaged_file_of_the_archive_is_told_in_one_line(data: Path, definition: Path) -> None:
    for file in (data / "archive").rglob("*.parquet"):
        file.write_bytes(b"no Parquet")
    result = run("preview", definition, "--data", data)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "parquet" in result.output
