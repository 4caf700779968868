"""`segue experiments`: who saw which arm is counted once, and an arm that loses visitors is found."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from emulator.command import main
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.domain.catalog import parse
from segue.domain.event import Event
from segue.domain.experiment import assigned
from segue.domain.message import (
    EVENTS,
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    EventsReceived,
    MembershipChanged,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import DAY
from segue.ports import Message

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""

CATALOG: Mapping[str, Any] = {
    "experiments": {
        "hero": {"name": "Hero", "status": "running", "arms": [{"id": "control"}, {"id": "large"}]},
        "quiet": {"name": "Quiet", "arms": [{"id": "a"}, {"id": "b"}]},
    }
}


def key_of(profile: ProfileRef) -> str:
    return profile_key(b"a secret", profile)


def viewed(
    visitor: str,
    arm: str,
    *,
    experiment: str = "hero",
    at: int = START,
    message_id: str = "",
    type_: str = EVENTS_RECEIVED,
    proven: bool = True,
) -> Message:
    """That a visitor saw an arm, as ingest tells it."""
    event = Event(
        message_id=message_id or f"{visitor} {experiment} {arm} {at}",
        name="Experiment Viewed",
        occurred_at=at,
        received_at=at,
        properties={"experiment_id": experiment, "variation_id": arm},
    )
    kind, _, value = visitor.rpartition(":")
    profile = ProfileRef("user_id" if kind else "anonymous_id", value)
    data = EventsReceived(key=key_of(profile), profile=profile, source="shop", events=(event,), proven=proven)
    return Message(
        id=f"m {event.message_id} {visitor}",
        type=type_,
        source="//t",
        time=at,
        data=msgspec.json.encode(data),
    )


def linked(visitor: str, user: str) -> Message:
    """What evaluate tells of a visitor who turned out to be a user."""
    profile = ProfileRef("anonymous_id", visitor)
    data = MembershipChanged(
        key=key_of(profile),
        profile=profile,
        seq=9,
        catalog=1,
        at=START,
        known_until=None,
        memberships={},
        transitions=(),
        into=key_of(ProfileRef("user_id", user)),
        into_since=START,
    )
    return Message(
        id=f"{data.key}:9", type=MEMBERSHIP_CHANGED, source="//t", time=START, data=msgspec.json.encode(data)
    )


def archived(
    folder: Path, events: Iterable[Message], memberships: Iterable[Message] = (), *, sealed: bool = False
) -> None:
    async def keep() -> None:
        archive, catalog = ArchiveFile.open(folder), CatalogFile.open(folder)
        try:
            await archive.append(EVENTS, [*events])
            await archive.append(MEMBERSHIPS, [*memberships])
            if sealed:
                await archive.seal()
            await catalog.publish(msgspec.json.encode(CATALOG))
        finally:
            await archive.close()
            await catalog.close()

    asyncio.run(keep())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["experiments", *map(str, arguments)])


def told(folder: Path, experiment: str = "hero") -> dict[str, Any]:
    """What is said of the experiment, as values."""
    found = run(experiment, "--data", folder, "--json")
    assert found.exit_code == 0, found.output
    said: dict[str, Any] = json.loads(found.stdout)
    return said


def seen(folder: Path) -> dict[str, int]:
    return {arm["id"]: arm["exposures"] for arm in told(folder)["arms"]}


@pytest.mark.parametrize("sealed", [False, True])
def test_a_visitor_counts_once_with_the_arm_seen_first_however_often_and_however_much_later_it_is_told(
    tmp_path: Path, sealed: bool
) -> None:
    later = START + 30 * DAY
    archived(
        tmp_path,
        [
            viewed("a", "large", at=later),
            viewed("a", "control"),
            viewed("b", "large", message_id="once"),
            viewed("b", "large", message_id="once", at=later),
            viewed("b", "large", experiment="quiet"),
        ],
        sealed=sealed,
    )
    assert seen(tmp_path) == {"control": 1, "large": 1}


def test_what_a_visitor_saw_is_the_users_who_they_turned_out_to_be(tmp_path: Path) -> None:
    archived(
        tmp_path,
        [
            viewed("user_id:ruth", "control", at=START + 1),
            viewed("a", "large"),
            viewed("b", "large", at=START + 2, proven=False),
        ],
        [linked("a", "ruth"), linked("b", "ruth")],
    )
    assert seen(tmp_path) == {"control": 0, "large": 1}


def test_bots_are_not_counted(tmp_path: Path) -> None:
    archived(tmp_path, [viewed("a", "large"), viewed("b", "large", type_=EVENTS_OF_BOTS)])
    assert seen(tmp_path) == {"control": 0, "large": 1}


def drawn(lost: int) -> Iterable[Message]:
    """What is told of 2,000 visitors by the arm that they are drawn; of those with the large banner, every so many
    gives up before it is shown."""
    experiment = parse(CATALOG).experiments["hero"]
    for number in range(2_000):
        found = assigned("hero", experiment, f"visitor-{number}")
        if found and not (found.arm == "large" and lost and number % lost == 0):
            yield viewed(f"visitor-{number}", found.arm)


@pytest.mark.parametrize(("lost", "is_suspicious"), [(0, False), (4, True)])
def test_an_arm_that_loses_visitors_is_found_and_a_fair_experiment_passes(
    tmp_path: Path, lost: int, is_suspicious: bool
) -> None:
    archived(tmp_path, drawn(lost))
    found = told(tmp_path)
    assert found["is_suspicious"] == is_suspicious, found
    assert (found["p"] < 0.001) == is_suspicious
    assert found["arms"][0]["expected"] == found["exposures"] / 2
    warned = run("--data", tmp_path)
    assert ("hero: the arms do not have their shares" in warned.stderr) == is_suspicious
    assert warned.exit_code == 0


def test_all_experiments_are_listed_and_too_few_visitors_tell_nothing(tmp_path: Path) -> None:
    archived(tmp_path, [viewed("a", "large")])
    listed = run("--data", tmp_path)
    assert listed.exit_code == 0
    assert "hero" in listed.stdout
    assert "quiet" in listed.stdout
    assert "too few" in listed.stdout
    lines = run("--data", tmp_path, "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["hero", "quiet"]
    assert told(tmp_path)["p"] is None


def test_what_is_said_of_unknown_arms_and_experiments_is_counted_and_told(tmp_path: Path) -> None:
    archived(tmp_path, [viewed("a", "largo"), viewed("b", "\x1b[2J"), viewed("c", "a", experiment="hreo")])
    assert told(tmp_path)["unknown"] == {"\x1b[2J": 1, "largo": 1}
    assert told(tmp_path)["exposures"] == 0
    warned = run("--data", tmp_path).stderr
    assert "hero: 2 visitors are said to have seen '\\x1b[2J' or 1 others" in warned
    assert "1 visitors are said to have seen 'hreo', which the catalogue does not have" in warned


def test_without_visitors_and_without_a_catalogue_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert run("--data", tmp_path).exit_code == 0


def test_an_experiment_that_there_is_not_is_named(tmp_path: Path) -> None:
    archived(tmp_path, [])
    found = run("huro", "--data", tmp_path)
    assert found.exit_code == 1
    assert "expected an experiment of the catalogue (hero, quiet), found 'huro'" in found.stderr


def test_a_catalogue_that_is_not_published_yet_can_be_gone_by(tmp_path: Path) -> None:
    archived(tmp_path, [viewed("a", "small")])
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "it.yaml").write_text("experiments: {hero: {name: Hero, arms: [{id: small}, {id: large}]}}")
    found = run("hero", "--data", tmp_path, "--catalog", folder, "--json")
    assert json.loads(found.stdout)["arms"][0] == {"id": "small", "exposures": 1, "expected": 0.5}
