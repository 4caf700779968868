"""`failed_events` in an operator's hands: what is in there, and putting a message back once its cause is gone."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from segue.domain.document import FAILED_EVENTS
from segue.domain.errors import Invalid, NotFound, Rejected
from segue.domain.message import EVENTS_RECEIVED, EVENTS_REFUSED, EventsReceived, FailedMessage, RefusedEvent
from segue.domain.time import DAY
from segue.ports import Message, Ports, Write

SOURCE = "//segue/failed"

REMEMBERED = DAY
"""So long a profile's state knows the ids of its events, and folds no copy."""


class Record(msgspec.Struct, frozen=True):
    """A message in `failed_events`, and the id it has there."""

    id: str
    message: FailedMessage


class _Held(msgspec.Struct):
    """Of EventsReceived and EventsRefused, the events."""

    events: list[msgspec.Raw] = []
    refused: list[RefusedEvent] = []


async def records(ports: Ports) -> Sequence[Record]:
    """Everything that was given up, the oldest first."""
    found = [Record(id_, _decoded(stored.data)) async for id_, stored in ports.store.scan(FAILED_EVENTS)]
    return sorted(found, key=lambda record: (record.message.failed_at, record.id))


def reasons(record: Record) -> Counter[str]:
    """Why events of a message were given up, and how many."""
    try:
        held = msgspec.json.decode(record.message.data, type=_Held)
    except msgspec.DecodeError:
        return Counter([record.message.reason])
    return Counter([event.reason for event in held.refused] + [record.message.reason] * len(held.events))


async def replay(ports: Ports, id_: str) -> None:
    """Publish the message again to the topic it came from, and then delete its record.

    Raises NotFound, and Rejected if that could not succeed or would count events twice.
    """
    path = f"{FAILED_EVENTS}/{id_}"
    stored = await ports.store.get(path)
    if stored is None:
        raise NotFound(f"{id_}: there is no such record in {FAILED_EVENTS}")
    failed = _decoded(stored.data)
    await _check(ports, failed)
    message = Message(id=failed.id, type=failed.type, source=SOURCE, time=failed.failed_at, data=failed.data.encode())
    await ports.bus.publish(failed.topic, [message])
    await ports.store.commit([Write(path=path, data=None, expects=stored.version)])


async def _check(ports: Ports, failed: FailedMessage) -> None:
    if failed.type == EVENTS_REFUSED:
        raise Rejected(f"{failed.id}: these events were refused as they are; the client has to send better ones")
    try:
        msgspec.json.decode(failed.data)
    except msgspec.DecodeError:
        raise Rejected(f"{failed.id}: the record holds no whole JSON, which no function could ever read") from None
    if failed.type == EVENTS_RECEIVED and ports.clock.now() - failed.failed_at > REMEMBERED:
        await _check_against_the_archive(ports, failed)


async def _check_against_the_archive(ports: Ports, failed: FailedMessage) -> None:
    """After a day the profile's state knows nothing any more of copies that came with other messages."""
    try:
        lost = msgspec.json.decode(failed.data, type=EventsReceived)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), failed.id) from None
    wanted = {event.message_id for event in lost.events}
    if not await ports.archive.holds(lost.key, sorted(wanted)):
        return
    async for message in ports.archive.received(lost.key):
        if message.id != failed.id and message.type == EVENTS_RECEIVED:
            other = msgspec.json.decode(message.data, type=EventsReceived)
            twice = wanted & {event.message_id for event in other.events}
            if twice:
                raise Rejected(
                    f"{failed.id}: failed more than 24 h ago, and the archive has {len(twice)} of its {len(wanted)}"
                    f" events by the message {message.id} too: to fold it now would count them twice"
                )


def _decoded(data: bytes) -> FailedMessage:
    return msgspec.json.decode(data, type=FailedMessage)
