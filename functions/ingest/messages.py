"""What ingest publishes: the messages' types and their data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from segue.domain.call import Reading, Reception
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.identity import identifier
from segue.domain.message import (
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    EventsReceived,
    EventsRefused,
    EventsWithheld,
    LinkRequested,
    LinkWithdrawn,
    RefusedEvent,
)
from segue.domain.profile import IdentifierKind, ProfileRef
from segue.ports import Message

LARGEST_MESSAGE = 1_000_000
"""Bytes of a message's data; what is larger is halved. A single event is far smaller."""

MESSAGE_SOURCE = "segue/ingest"

KeyOf: TypeAlias = Callable[[ProfileRef], str]
"""The key that a profile's documents are stored under."""

Content: TypeAlias = tuple[str, bytes]
"""A message's type, and its data."""


def events(kind: str, readings: Sequence[Reading], reception: Reception, key_of: KeyOf) -> Iterator[Content]:
    """The events of each profile, in the order in which they were sent: in one message, or in more if it is large."""
    by_profile: dict[ProfileRef, list[Event]] = {}
    for reading in readings:
        by_profile.setdefault(reading.profile, []).append(reading.event)
    for profile, of_profile in by_profile.items():
        received = EventsReceived(
            key=key_of(profile),
            profile=profile,
            source=reception.source,
            events=tuple(of_profile),
            imported=reception.imported,
            proven=reception.trusted or profile.kind == "user_id",
        )
        yield from ((kind, data) for data in _in_messages(received))


def link_requests(readings: Sequence[Reading], reception: Reception, key_of: KeyOf) -> Iterator[Content]:
    """A request for each anonymous visitor and the user they are said to be, however often it is said."""
    saying = {(reading.profile, reading.link): reading for reading in reversed(readings) if reading.link}
    for (profile, anonymous), reading in saying.items():
        request = LinkRequested(
            key=key_of(profile),
            profile=profile,
            anonymous_key=key_of(anonymous),
            anonymous=anonymous,
            source=reception.source,
            message_id=reading.event.message_id,
            at=reading.event.received_at,
            imported=reception.imported,
        )
        yield LINK_REQUESTED, msgspec.json.encode(request)


def withholding(count: int, reception: Reception) -> Iterator[Content]:
    """How many events there is no consent for, if any."""
    if count:
        told = EventsWithheld(source=reception.source, received_at=reception.received_at, count=count, reason="consent")
        yield EVENTS_WITHHELD, msgspec.json.encode(told)


def refusals(refused: Sequence[RefusedEvent], reception: Reception) -> Iterator[Content]:
    """The calls that can be no events, if any."""
    if refused:
        told = EventsRefused(source=reception.source, received_at=reception.received_at, refused=tuple(refused))
        yield EVENTS_REFUSED, msgspec.json.encode(told)


def withdrawal(asked: Mapping[str, str], now: int, key_of: KeyOf, new_id: Callable[[], str]) -> Message:
    """The message that says that an `anonymous_id` is not a `user_id`. Raises Invalid unless both are ids."""
    visitor, user = (_asked(asked, kind) for kind in ("anonymous_id", "user_id"))
    withdrawn = LinkWithdrawn(key=key_of(user), profile=user, anonymous_key=key_of(visitor), anonymous=visitor, at=now)
    data = msgspec.json.encode(withdrawn)
    return Message(id=new_id(), type=LINK_WITHDRAWN, source=MESSAGE_SOURCE, time=now, data=data)


def _asked(asked: Mapping[str, str], kind: IdentifierKind) -> ProfileRef:
    found = identifier(asked.get(kind), kind)
    if found is None:
        raise Invalid("expected an id, found none", kind)
    return ProfileRef(kind, found)


def _in_messages(received: EventsReceived) -> Iterator[bytes]:
    data = msgspec.json.encode(received)
    if len(data) <= LARGEST_MESSAGE:
        yield data
        return
    middle = len(received.events) // 2
    for half in (received.events[:middle], received.events[middle:]):
        yield from _in_messages(msgspec.structs.replace(received, events=half))
