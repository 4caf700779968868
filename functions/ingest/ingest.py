"""What ingest does with a request: its calls become events, those of each profile one message, and requests to link."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from functions.ingest.messages import MESSAGE_SOURCE, KeyOf, events, link_requests, refusals, withholding
from segue.domain.call import CallType, Reading, Reception, Warning, envelope, read, showable
from segue.domain.consent import consented
from segue.domain.errors import Invalid, TooLarge
from segue.domain.event import Json
from segue.domain.identity import named
from segue.domain.identity_token import without_token
from segue.domain.message import EVENTS_OF_BOTS, EVENTS_RECEIVED, RefusedEvent
from segue.ports import Message

Address: TypeAlias = CallType | Literal["batch", "import"]
"""What a request was sent to: one call, several, or a log."""

LARGEST_COMMON_PART = 4_000_000
"""Bytes that the envelope's context may come to, counted once for each call that it is merged under."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request came to: the messages to publish before it is answered, and what there is to note of it."""

    messages: tuple[Message, ...]
    message_ids: tuple[str, ...]
    accepted: int
    of_bots: int
    refused: int
    withheld: int
    warnings: Mapping[Warning, int]


def ingest(
    body: Mapping[str, Json],
    address: Address,
    reception: Reception,
    key_of: KeyOf,
    new_id: Callable[[], str],
) -> Accepted:
    """What a request's body leads to: it is opened, its calls are read, consent is asked for, bots are set apart.

    Raises Invalid if not one call can be an event, TooLarge if the calls of a batch come to too much.
    """
    calls, reception = _opened(body, address, reception)
    readings, refused = _read(calls, reception, key_of)
    kept, withheld = consented(readings, reception.consent, reception.gpc)
    of_visitors, of_bots = _told_apart(kept, reception)
    contents = [
        *events(EVENTS_RECEIVED, of_visitors, reception, key_of),
        *events(EVENTS_OF_BOTS, of_bots, reception, key_of),
        *link_requests(of_visitors, reception, key_of),
        *withholding(withheld, reception),
        *refusals(refused, reception),
    ]
    return Accepted(
        messages=tuple(
            Message(id=new_id(), type=kind, source=MESSAGE_SOURCE, time=reception.received_at, data=data)
            for kind, data in contents
        ),
        message_ids=tuple(reading.event.message_id for reading in readings),
        accepted=len(of_visitors),
        of_bots=len(of_bots),
        refused=len(refused),
        withheld=withheld,
        warnings=Counter(warning for reading in readings for warning in reading.warnings),
    )


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
    calls: Sequence[Json], reception: Reception, key_of: KeyOf
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
