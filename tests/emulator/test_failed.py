"""What was given up goes back to its topic once, and never so that an event counts twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from emulator import failed
from segue import failures
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.domain.errors import NotFound, Rejected
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EVENTS_REFUSED, EventsReceived, FailedMessage
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY
from segue.ports import Message, Write
from tests.embedded import ports_of

RECEIVED = EventsReceived(
    key="0" * 32,
    profile=ProfileRef("user_id", "1"),
    source="shop",
    events=(Event(message_id="event-1", name="A", occurred_at=1, received_at=1),),
)


def message(id_: str, type_: str = EVENTS_RECEIVED, data: bytes | None = None) -> Message:
    data = msgspec.json.encode(RECEIVED) if data is None else data
    return Message(id=id_, type=type_, source="//test", time=1, data=data)


class Platform:
    """Ports whose queue nobody empties."""

    def __init__(self, opened: EmbeddedPlatform) -> None:
        self.opened = opened
        self.ports = ports_of(opened, SystemClock())

    async def give_up(self, given_up: Message, age: int = 0) -> str:
        """Record a message as given up so many ms ago; the record's id."""
        path = failures.failed_path("evaluate", given_up.id)
        record = FailedMessage(
            stage="evaluate",
            reason="broken",
            failed_at=self.ports.clock.now() - age,
            topic=EVENTS,
            id=given_up.id,
            type=given_up.type,
            data=given_up.data.decode(),
        )
        await self.ports.store.commit([Write(path=path, data=msgspec.json.encode(record))])
        return path.partition("/")[2]

    async def queued(self) -> list[tuple[str, str, bytes]]:
        waiting = await self.opened.bus.after("events-evaluate:events", 0, 10)
        return [(each.message.id, each.message.type, each.message.data) for each in waiting]


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    opened = EmbeddedPlatform.open(tmp_path, SystemClock(), [Subscription(name="events-evaluate", topic=EVENTS)])
    yield Platform(opened)
    await opened.close()


async def test_a_message_is_published_again_as_it_was_and_its_record_is_gone(platform: Platform) -> None:
    given_up = message("message-1")
    id_ = await platform.give_up(given_up)
    assert [record.id for record in await failed.records(platform.ports)] == [id_]
    await failed.replay(platform.ports, id_)
    assert await platform.queued() == [("message-1", EVENTS_RECEIVED, given_up.data)]
    assert await failed.records(platform.ports) == []


async def test_records_are_listed_the_oldest_first(platform: Platform) -> None:
    for id_, age in (("new", 0), ("old", 2_000), ("older", 5_000)):
        await platform.give_up(message(id_), age)
    assert [record.message.id for record in await failed.records(platform.ports)] == ["older", "old", "new"]


async def test_an_unknown_record_is_named(platform: Platform) -> None:
    with pytest.raises(NotFound, match="nothing-here"):
        await failed.replay(platform.ports, "nothing-here")


@pytest.mark.parametrize(
    ("given_up", "reason"),
    [
        (message("refused", EVENTS_REFUSED, b"{}"), "the client has to send better ones"),
        (message("cut", data=b'{"key":'), "no whole JSON"),
    ],
)
async def test_what_could_never_succeed_stays(platform: Platform, given_up: Message, reason: str) -> None:
    id_ = await platform.give_up(given_up)
    with pytest.raises(Rejected, match=reason):
        await failed.replay(platform.ports, id_)
    assert await platform.queued() == []
    assert len(await failed.records(platform.ports)) == 1


#                    24 h ago                 now
#  ──────────────────────┼─────────────────────│──►  the state's ids reach back 24 h
#   gave up: refused  ◄──┼──►  gave up: replayed, copies are known
@pytest.mark.parametrize(("age", "stays"), [(DAY - 60_000, False), (DAY + 1, True)])
async def test_events_that_came_by_another_message_too_are_not_counted_twice(
    platform: Platform, age: int, stays: bool
) -> None:
    await platform.ports.archive.append(EVENTS, [message("message-1"), message("sent-again")])
    id_ = await platform.give_up(message("message-1"), age)
    if stays:
        with pytest.raises(Rejected, match="by the message sent-again too"):
            await failed.replay(platform.ports, id_)
    else:
        await failed.replay(platform.ports, id_)
    assert len(await platform.queued()) == (0 if stays else 1)


async def test_an_old_message_whose_events_came_only_by_itself_goes_back(platform: Platform) -> None:
    await platform.ports.archive.append(EVENTS, [message("message-1")])
    await failed.replay(platform.ports, await platform.give_up(message("message-1"), 2 * DAY))
    assert len(await platform.queued()) == 1
