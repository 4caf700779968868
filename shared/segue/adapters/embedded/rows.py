"""An archived message as rows: one for each of its events, with what conditions ask for in columns of its own.

The first row of a message holds its bytes as they came. A message without events, or that is none of ours, is one row.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from segue.domain.membership import Interval
from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIP_CHANGED, EventsReceived, MembershipChanged, archived
from segue.ports import Message

COLUMNS = {
    "number": "BIGINT",
    "position": "INTEGER",
    "id": "VARCHAR",
    "type": "VARCHAR",
    "source": "VARCHAR",
    "time": "BIGINT",
    "data": "VARCHAR",
    "profile": "VARCHAR",
    "message_id": "VARCHAR",
    "name": "VARCHAR",
    "occurred_at": "BIGINT",
    "received_at": "BIGINT",
    "anonymous_id": "VARCHAR",
    "user_id": "VARCHAR",
    "proven": "BOOLEAN",
    "properties": "JSON",
    "traits": "JSON",
    "context": "JSON",
    "seq": "BIGINT",
    "evaluated_at": "BIGINT",
    "intervals": 'STRUCT(segment VARCHAR, since BIGINT, "until" BIGINT)[]',
    "linked_to": "VARCHAR",
    "linked_since": "BIGINT",
}
"""Their names and DuckDB's types; `data` in Base64."""


class Span(msgspec.Struct):
    """One interval of a snapshot's memberships; `until` is None where it never ends."""

    segment: str
    since: int
    until: int | None


class Row(msgspec.Struct, omit_defaults=True):
    """One row; what does not apply is None."""

    number: int
    position: int
    id: str
    type: str
    source: str
    time: int
    data: str | None = None
    profile: str | None = None
    message_id: str | None = None
    name: str | None = None
    occurred_at: int | None = None
    received_at: int | None = None
    anonymous_id: str | None = None
    user_id: str | None = None
    proven: bool | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    seq: int | None = None
    evaluated_at: int | None = None
    intervals: list[Span] | None = None
    linked_to: str | None = None
    linked_since: int | None = None


class Numbered(msgspec.Struct, frozen=True):
    """A message of the tail."""

    number: int
    message: Message


def rows(numbered: Numbered) -> Iterator[Row]:
    """The rows of a message."""
    message = numbered.message
    row = Row(
        number=numbered.number,
        position=0,
        id=message.id,
        type=message.type,
        source=message.source,
        time=message.time,
        data=base64.b64encode(message.data).decode(),
    )
    received = archived(message.data, message.type, EVENTS_RECEIVED, EventsReceived)
    changed = archived(message.data, message.type, MEMBERSHIP_CHANGED, MembershipChanged)
    if received is not None and received.events:
        yield from _of_events(row, received)
    elif changed is not None:
        yield msgspec.structs.replace(
            row,
            profile=changed.key,
            seq=changed.seq,
            evaluated_at=changed.at,
            intervals=list(_spans(changed.memberships)),
            linked_to=changed.into,
            linked_since=changed.into_since,
        )
    else:
        yield row


def encoded(messages: Iterable[Numbered]) -> Iterator[bytes]:
    """The rows of these messages as lines of JSON."""
    for numbered in messages:
        for row in rows(numbered):
            yield msgspec.json.encode(row) + b"\n"


def _of_events(first: Row, received: EventsReceived) -> Iterator[Row]:
    for position, event in enumerate(received.events):
        yield msgspec.structs.replace(
            first,
            position=position,
            data=None if position else first.data,
            profile=received.key,
            message_id=event.message_id,
            name=event.name,
            occurred_at=event.occurred_at,
            received_at=event.received_at,
            anonymous_id=event.anonymous_id,
            user_id=event.user_id,
            proven=received.proven,
            properties=event.properties or None,
            traits=event.traits or None,
            context=event.context or None,
        )


def _spans(memberships: dict[str, tuple[Interval, ...]]) -> Iterator[Span]:
    for segment, intervals in memberships.items():
        yield from (Span(segment, since, until) for since, until in intervals)
