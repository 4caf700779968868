"""What ingest does with a request: its calls become events, those of each profile one message, and requests to link."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from segue.domain.call import CallType, Reading, Reception, Warning, envelope, read, showable
from segue.domain.consent import consented
from segue.domain.errors import Invalid, TooLarge
from segue.domain.event import Event, Json
from segue.domain.identity import identifier, named
from segue.domain.identity_token import without_token
from segue.domain.message import (
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
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

Address: TypeAlias = CallType | Literal["batch", "import"]
"""What a request was sent to: one call, several, or a log."""

LARGEST_MESSAGE = 1_000_000
"""Bytes of a message's data; what is larger is halved. A single event is far smaller."""

LARGEST_COMMON_PART = 4_000_000
"""Bytes that the envelope's context may come to, counted once for each call that it is merged under."""

MESSAGE_SOURCE = "segue/ingest"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request came to: the messages to publish before it is answered, and what there is to note of it."""

    messages: tuple[Message, ...]
    events: int
    refused: int
    withheld: int
    warnings: Mapping[Warning, int]


def ingest(
    body: Mapping[str, Json],
    address: Address,
    reception: Reception,
    key_of: Callable[[ProfileRef], str],
    new_id: Callable[[], str],
) -> Accepted:
    """The messages that a request's body leads to: one a profile, one for each two that are said to be one, one for the
    calls that were refused, and one that counts those for which there is no consent.

    Raises Invalid if not one call can be an event, TooLarge if the calls of a batch come to too much.
    """
    calls, reception = _opened(body, address, reception)
    readings, refused = _read(calls, reception, key_of)
    kept, withheld = consented(readings, reception.consent, reception.gpc)
    of_visitors, of_bots = _told_apart(kept, reception)
    data = [
        *((EVENTS_RECEIVED, each) for each in _received(of_visitors, reception, key_of)),
        *((EVENTS_OF_BOTS, each) for each in _received(of_bots, reception, key_of)),
        *((LINK_REQUESTED, each) for each in _link_requests(of_visitors, reception, key_of)),
    ]
    if withheld:
        data.append((EVENTS_WITHHELD, _withheld(withheld, reception)))
    if refused:
        told = EventsRefused(source=reception.source, received_at=reception.received_at, refused=tuple(refused))
        data.append((EVENTS_REFUSED, msgspec.json.encode(told)))
    return Accepted(
        messages=tuple(
            Message(id=new_id(), type=kind, source=MESSAGE_SOURCE, time=reception.received_at, data=each)
            for kind, each in data
        ),
        events=len(readings),
        refused=len(refused),
        withheld=withheld,
        warnings=Counter(warning for reading in readings for warning in reading.warnings),
    )


def withdrawal(
    asked: Mapping[str, str], now: int, key_of: Callable[[ProfileRef], str], new_id: Callable[[], str]
) -> Message:
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


def _opened(body: Mapping[str, Json], address: Address, reception: Reception) -> tuple[Sequence[Json], Reception]:
    """The calls of a body, and how they arrived: with what their envelope says of them all."""
    if address not in ("batch", "import"):
        return [{**body, "type": address}], reception
    common, token = without_token(body)
    batch = envelope(common)
    context = batch.context or {}
    if len(msgspec.json.encode(context)) * len(batch.batch) > LARGEST_COMMON_PART:
        raise TooLarge("expected a smaller context, or fewer calls that it is merged under")
    sent_at = reception.sent_at if batch.sent_at is None else batch.sent_at
    return batch.batch, msgspec.structs.replace(
        reception,
        context=context,
        sent_at=sent_at,
        identity_token=reception.identity_token if token is None else token,
    )


def _read(
    calls: Sequence[Json], reception: Reception, key_of: Callable[[ProfileRef], str]
) -> tuple[Sequence[Reading], Sequence[RefusedEvent]]:
    """The calls that can be events, and those that cannot. Raises Invalid if all cannot, for the first one's reason."""
    readings, refused = [], []
    for index, sent in enumerate(calls):
        call, token = without_token(sent)
        try:
            readings.append(read(call, reception, token))
        except Invalid as error:
            keys = tuple(key_of(each) for each in named(call))
            shown = showable(call, reception)
            refused.append(RefusedEvent(index=index, reason=str(error), event=shown, keys=keys))
    if not readings:
        raise Invalid(refused[0].reason)
    return readings, refused


def _told_apart(readings: Sequence[Reading], reception: Reception) -> tuple[Sequence[Reading], Sequence[Reading]]:
    """Those of visitors, and those of bots if the source leaves them out."""
    if reception.keeps_bots:
        return readings, ()
    told: dict[bool, list[Reading]] = {False: [], True: []}
    for reading in readings:
        told[reading.event.context.get("bot") is True].append(reading)
    return told[False], told[True]


def _received(
    readings: Sequence[Reading], reception: Reception, key_of: Callable[[ProfileRef], str]
) -> Iterator[bytes]:
    """The data of the messages: the events of each profile, in the order in which they were sent."""
    events: dict[ProfileRef, list[Event]] = {}
    for reading in readings:
        events.setdefault(reading.profile, []).append(reading.event)
    for profile, of_profile in events.items():
        received = EventsReceived(
            key=key_of(profile),
            profile=profile,
            source=reception.source,
            events=tuple(of_profile),
            imported=reception.imported,
            proven=reception.trusted or profile.kind == "user_id",
        )
        yield from _in_messages(received)


def _withheld(count: int, reception: Reception) -> bytes:
    told = EventsWithheld(source=reception.source, received_at=reception.received_at, count=count, reason="consent")
    return msgspec.json.encode(told)


def _link_requests(
    readings: Sequence[Reading], reception: Reception, key_of: Callable[[ProfileRef], str]
) -> Iterator[bytes]:
    """The data of a message for each anonymous visitor and the user they are said to be, however often it is said."""
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
        yield msgspec.json.encode(request)


def _in_messages(received: EventsReceived) -> Iterator[bytes]:
    data = msgspec.json.encode(received)
    if len(data) <= LARGEST_MESSAGE:
        yield data
        return
    middle = len(received.events) // 2
    for half in (received.events[:middle], received.events[middle:]):
        yield from _in_messages(msgspec.structs.replace(received, events=half))
