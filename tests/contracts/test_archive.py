"""What an archive keeps, and how many members it counts: the laptop's, and BigQuery by what stands in for it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.event import Event
from segue.domain.membership import Interval, Transition
from segue.domain.message import (
    EVENTS_RECEIVED,
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    MEMBERSHIP_CHANGED,
    EventsReceived,
    EventsRefused,
    EventsWithheld,
    MembershipChanged,
    RefusedEvent,
)
from segue.domain.profile import ProfileRef
from segue.ports import Archive, Message, SegmentSize
from tests.bigquery import Subscribed, bigquery

ANNA, BEN, CARLA = ("a" * 32, "b" * 32, "c" * 32)


class Sealed(ArchiveFile):
    """Seals whatever it is given at once."""

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        await super().append(topic, messages)
        await self.seal()


@pytest.fixture(params=["in the tail", "sealed", pytest.param("bigquery", marks=pytest.mark.slow)])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    async with ARCHIVES[request.param](tmp_path) as archive:
        yield archive


@asynccontextmanager
async def embedded(kind: type[ArchiveFile], folder: Path) -> AsyncIterator[ArchiveFile]:
    archive = kind.open(folder)
    yield archive
    await archive.close()


@asynccontextmanager
async def subscribed(_folder: Path) -> AsyncIterator[Archive]:
    with bigquery() as (tables, url):
        archive = Subscribed.to(tables, url)
        yield archive
        await archive.close()


ARCHIVES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Archive]]] = {
    "in the tail": partial(embedded, ArchiveFile),
    "sealed": partial(embedded, Sealed),
    "bigquery": subscribed,
}


def message(identifier: str, data: bytes = b"{}", time: int = 1, kind: str = "test") -> Message:
    return Message(id=identifier, type=kind, source="//test", time=time, data=data)


def received(identifier: str, key: str, *events: str, at: int = 1) -> Message:
    data = EventsReceived(
        key=key,
        profile=ProfileRef("user_id", key),
        source="shop",
        events=tuple(Event(message_id=each, name="Any", occurred_at=1, received_at=at) for each in events),
    )
    return message(identifier, msgspec.json.encode(data), kind=EVENTS_RECEIVED)


def snapshot(
    key: str, seq: int, memberships: dict[str, tuple[Interval, ...]], *announced: tuple[str, int], at: int = 1
) -> Message:
    data = MembershipChanged(
        key=key,
        profile=ProfileRef("user_id", key),
        seq=seq,
        catalog=1,
        at=at,
        known_until=None,
        memberships=memberships,
        transitions=tuple(
            Transition(segment=segment, transition="exited", at=at, seq=seq - 1, definition="d", reason="event")
            for segment, at in announced
        ),
    )
    return message(f"{key}:{seq}", msgspec.json.encode(data), kind=MEMBERSHIP_CHANGED)


async def kept(archive: Archive, topic: str) -> list[Message]:
    return [message async for message in archive.read(topic)]


async def test_messages_are_read_in_order_of_time_then_id_and_by_topic(archive: Archive) -> None:
    late, b, a = message("c", time=2), message("b", time=1), message("a", time=1)
    await archive.append("events", [late, b])
    await archive.append("events", [a])
    await archive.append("memberships", [message("other")])
    assert await kept(archive, "events") == [a, b, late]


async def test_a_long_topic_is_read_whole(archive: Archive) -> None:
    messages = [message(f"{n:04}", time=n // 7) for n in range(1_234)]
    await archive.append("events", messages)
    assert await kept(archive, "events") == messages


async def test_a_message_that_comes_again_is_kept_once(archive: Archive) -> None:
    await archive.append("events", [message("a", b"1"), message("a", b"1")])
    await archive.append("events", [message("a", b"2", time=5)])
    assert await kept(archive, "events") == [message("a", b"1")]


async def test_it_knows_which_events_of_a_profile_it_holds(archive: Archive) -> None:
    await archive.append("events", [received("m1", ANNA, "e1", "e2"), received("m2", ANNA, "e3")])
    await archive.append("events", [received("m3", BEN, "e4")])
    assert await archive.holds(ANNA, ["e1", "e3", "e4", "e5"]) == {"e1", "e3"}
    assert await archive.holds(CARLA, ["e1"]) == frozenset()


async def test_what_is_no_such_message_is_kept_all_the_same(archive: Archive) -> None:
    broken = [
        message("a", b"{", kind=EVENTS_RECEIVED),
        message("b", b"[1]", kind=MEMBERSHIP_CHANGED),
        message("d", b"[" * 100_000, kind=MEMBERSHIP_CHANGED),
    ]
    await archive.append("events", broken)
    assert await kept(archive, "events") == broken
    assert await archive.sizes(0) == {}


async def test_members_are_counted_in_half_open_intervals(archive: Archive) -> None:
    #   anna  [10 ------- 20)       [30 ---
    #   ben         [15 ------ 25)
    await archive.append("memberships", [snapshot(ANNA, 2, {"s": ((10, 20), (30, None))})])
    await archive.append("memberships", [snapshot(BEN, 2, {"s": ((15, 25),)})])
    sizes = {at: (await archive.sizes(at))["s"].members for at in (9, 10, 14, 15, 19, 20, 24, 25, 29, 30)}
    assert sizes == {9: 0, 10: 1, 14: 1, 15: 2, 19: 2, 20: 1, 24: 1, 25: 0, 29: 0, 30: 1}


async def test_the_newest_snapshot_counts_in_whatever_order_they_come(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ANNA, 5, {"new": ((10, None),)})])
    await archive.append("memberships", [snapshot(ANNA, 3, {"old": ((5, None),)})])
    assert await archive.sizes(20) == {"new": SegmentSize(members=1, last_change=10)}


async def test_the_last_change_is_announced_or_known_ahead_and_not_to_come(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ANNA, 2, {}, ("left", 7))])
    await archive.append("memberships", [snapshot(BEN, 2, {"left": ((1, 3),), "timed": ((4, 20),)})])
    at_10, at_20 = await archive.sizes(10), await archive.sizes(20)
    assert at_10 == {"left": SegmentSize(members=0, last_change=7), "timed": SegmentSize(members=1, last_change=4)}
    assert at_20["timed"] == SegmentSize(members=0, last_change=20)


async def test_sizes_of_the_past_are_those_of_then(archive: Archive) -> None:
    #   said at 10: anna [10 --- 40)     said at 20: anna no more      said at 30: anna [30 ---
    await archive.append("memberships", [snapshot(ANNA, 2, {"s": ((10, 40),)}, at=10)])
    await archive.append("memberships", [snapshot(ANNA, 4, {}, ("s", 20), at=20), snapshot(BEN, 2, {}, at=25)])
    await archive.append("memberships", [snapshot(ANNA, 6, {"s": ((30, None),)}, at=30)])
    sizes = {at: (await archive.sizes(at)).get("s") for at in (9, 10, 19, 20, 29, 30, 50)}
    assert sizes == {
        9: None,
        10: SegmentSize(members=1, last_change=10),
        19: SegmentSize(members=1, last_change=10),
        20: SegmentSize(members=0, last_change=20),
        29: SegmentSize(members=0, last_change=20),
        30: SegmentSize(members=1, last_change=30),
        50: SegmentSize(members=1, last_change=30),
    }


async def test_a_snapshot_of_the_past_is_the_newest_of_then(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ANNA, 4, {"b": ((20, None),)}, at=20)])
    await archive.append("memberships", [snapshot(ANNA, 2, {"a": ((10, None),)}, at=10), snapshot(BEN, 9, {}, at=15)])
    found = {at: await archive.snapshot(ANNA, at) for at in (9, 10, 19, 20, 99)}
    assert {at: one and [*one.memberships] for at, one in found.items()} == {
        9: None, 10: ["a"], 19: ["a"], 20: ["b"], 99: ["b"],
    }  # fmt: skip


async def test_what_a_profile_sent_is_read_in_the_order_in_which_it_came(archive: Archive) -> None:
    first, second = received("m2", ANNA, "e1", "e2"), received("m1", ANNA, "e3")
    await archive.append("events", [first, received("m3", BEN, "e4")])
    await archive.append("events", [second])
    assert [each async for each in archive.received(ANNA)] == [first, second]


async def test_the_histories_of_several_profiles_are_read_at_once(archive: Archive) -> None:
    first, second, third = received("m2", ANNA, "e1", "e2"), received("m1", ANNA, "e3"), received("m3", BEN, "e4")
    await archive.append("events", [first, third])
    assert await archive.histories([ANNA, BEN, "0" * 32]) == {ANNA: [first], BEN: [third]}
    await archive.append("events", [second, first])
    assert await archive.histories([ANNA]) == {ANNA: [first, second]}


async def test_what_an_erased_profile_did_leaves_only_its_number(archive: Archive) -> None:
    both = [received("m1", ANNA, "e1", "e2"), received("m2", BEN, "e3"), received("m3", ANNA, "e4", at=50)]
    await archive.append("events", both)
    await archive.append("memberships", [snapshot(ANNA, 1, {"a": ((1, None),)}), snapshot(BEN, 1, {"a": ((1, None),)})])
    for _ in range(2):
        await archive.erase({ANNA: 10})
        withheld, others, later = await kept(archive, "events")
        told = msgspec.json.decode(withheld.data, type=EventsWithheld)
        assert (withheld.id, told.count, told.reason) == ("m1", 2, "erased")
        assert [others, later] == both[1:]
        assert [each async for each in archive.received(ANNA)] == [later]
        assert [each.id for each in await kept(archive, "memberships")] == [snapshot(BEN, 1, {}).id]
        assert await archive.snapshot(ANNA, 10) is None
        assert (await archive.sizes(1))["a"].members == 1


async def test_what_comes_later_of_an_erased_profile_is_not_kept_unless_it_happened_later(archive: Archive) -> None:
    await archive.erase({ANNA: 10})
    await archive.append("events", [received("m1", ANNA, "e1"), received("m2", ANNA, "e2", at=11)])
    await archive.append("memberships", [snapshot(ANNA, 1, {"a": ((1, None),)}), snapshot(ANNA, 2, {}, at=11)])
    assert [each.type for each in await kept(archive, "events")] == [EVENTS_WITHHELD, EVENTS_RECEIVED]
    assert [each.id for each in await kept(archive, "memberships")] == [snapshot(ANNA, 2, {}).id]


async def test_refused_calls_are_erased_one_by_one(archive: Archive) -> None:
    calls = [RefusedEvent(index=i, reason="odd", event={"n": key}, keys=(key,)) for i, key in enumerate((ANNA, BEN))]
    for identifier, refused in (("both", calls), ("hers", calls[:1])):
        data = EventsRefused(source="shop", received_at=5, refused=tuple(refused))
        await archive.append("events", [message(identifier, msgspec.json.encode(data), kind=EVENTS_REFUSED)])
    await archive.erase({ANNA: 10})
    (left,) = await kept(archive, "events")
    assert msgspec.json.decode(left.data, type=EventsRefused).refused == tuple(calls[1:])
