"""What is folded anew, explained, previewed and counted afterwards knows a visitor and the user they are as one."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from emulator.command import main
from emulator.explained import explained, traits_of
from emulator.fold import histories
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.linked import join_linked
from segue.adapters.system import ManualClock
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
from segue.domain.time import HOUR
from segue.ports import Message
from tests.emulator.test_host import ANNA, NOON, call, client

RUTH = ProfileRef("user_id", "ruth")
VISITOR, USER = "a" * 32, "b" * 32


async def test_all_that_both_did_is_explained_and_previewed_as_the_users(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with client(tmp_path, clock) as segue:
        await segue.call(call("Order Completed", "first"))
        await segue.call({"type": "track", "event": "Order Completed", "userId": "ruth", "messageId": "second"})
        await segue.call({"type": "identify", "anonymousId": "anna", "traits": {"city": "Paris", "plan": "free"}})
        clock.advance(1)
        said = {"type": "identify", "anonymousId": "anna", "userId": "ruth", "traits": {"plan": "paid"}}
        await segue.call({**said, "messageId": "login"})
        await segue.settle()
        told = await segue.sizes()
    for profile in (ANNA, RUTH):
        found = await explained(tmp_path, profile, "frequent-buyer", NOON)
        assert sorted(str(each.message_id) for each in found.when.counted) == ["first", "second"]
    sizes = {each["id"]: each["members"] for each in told["segments"]}
    assert sizes["frequent-buyer"] == 1
    asked = ["members", "frequent-buyer", "--data", str(tmp_path), "--version", "1", "--at", str(NOON + HOUR)]
    shown = await traits_of(tmp_path, ANNA)
    assert {name: each.value for name, each in shown.items()} == {"city": "Paris", "plan": "paid"}
    assert (shown["plan"].source, shown["plan"].message_id) == ("shop", "login")
    members = await asyncio.to_thread(CliRunner().invoke, main, asked)
    (line,) = [json.loads(line) for line in members.stdout.splitlines()]
    assert line["profile"] == "user_id:ruth"


def received(number: int, *, proven: bool) -> Message:
    """An event of the visitor, received `number` ms after noon."""
    at = NOON + number
    event = Event(message_id=f"event-{number}", name="Product Viewed", occurred_at=at, received_at=at)
    data = EventsReceived(key=VISITOR, profile=ANNA, source="shop", events=(event,), proven=proven)
    return Message(id=f"m-{number}", type=EVENTS_RECEIVED, source="//t", time=at, data=msgspec.json.encode(data))


def snapshot(seq: int, into_since: int | None) -> Message:
    """What evaluate tells of the visitor: that they are the user, or not."""
    data = MembershipChanged(
        key=VISITOR,
        profile=ANNA,
        seq=seq,
        catalog=1,
        at=NOON,
        known_until=None,
        memberships={},
        transitions=(),
        into=None if into_since is None else USER,
        into_since=into_since,
    )
    body = msgspec.json.encode(data)
    return Message(id=f"{VISITOR}:{seq}", type=MEMBERSHIP_CHANGED, source="//t", time=NOON, data=body)


LINKED, WITHDRAWN = snapshot(2, NOON + 5), snapshot(3, None)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("snapshots", "users"),
    [
        ([], []),
        ([snapshot(1, None)], []),
        ([LINKED], ["event-1", "event-9"]),
        ([snapshot(1, None), LINKED], ["event-1", "event-9"]),
        ([WITHDRAWN, LINKED], []),
    ],
)
async def test_the_newest_snapshot_tells_what_of_the_visitor_is_the_users(
    tmp_path: Path, sealed: bool, snapshots: Sequence[Message], users: Sequence[str]
) -> None:
    archive = ArchiveFile.open(tmp_path)
    try:
        #             linked
        # ──1 (unproven)──┤──8 (unproven)──9 (proven)
        await archive.append(EVENTS, [received(1, proven=False), received(8, proven=False), received(9, proven=True)])
        await archive.append(MEMBERSHIPS, snapshots)
        if sealed:
            await archive.seal()
        async with archive.scanned(EVENTS, MEMBERSHIPS) as connection:
            join_linked(connection)
            rows = connection.execute("SELECT profile, message_id FROM events ORDER BY message_id").fetchall()
    finally:
        await archive.close()
    assert [message_id for profile, message_id in rows if profile == USER] == users
    assert len(rows) == 3


def test_in_a_log_who_turns_out_to_be_a_user_is_that_user_from_the_beginning() -> None:
    at = {"timestamp": "2024-05-01T12:00:00Z"}
    log = [
        {"type": "track", "event": "Product Viewed", "anonymousId": "anna", **at},
        {"type": "identify", "anonymousId": "anna", "userId": "ruth", **at},
        {"type": "track", "event": "Product Viewed", "anonymousId": "ben", **at},
        {"type": "identify", "anonymousId": "anna", "userId": "saul", **at},
    ]

    found = histories(log, NOON, HOUR, Counter())
    assert {str(profile): len(events) for profile, events in found.items()} == {
        "user_id:ruth": 2,
        "anonymous_id:ben": 1,
        "user_id:saul": 1,
    }
