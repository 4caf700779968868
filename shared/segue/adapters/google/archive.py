"""The Archive port in the cloud: BigQuery tables that Pub/Sub's own subscriptions write, one for each archived topic.

A row is a message as it was published: `data` its bytes as text, `attributes` the CloudEvent's context, `publish_time`
and `message_id` Pub/Sub's own. A message may be there several times, and counts once, as it was published first. The
tables are clustered by `data`: what tells of one profile alone begins with its key, so that its history is a range of
them. `erasures` names who is erased and up to when: whatever comes of them later is never read.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from segue.adapters.google import archive_sql as sql
from segue.adapters.google.archive_members import identifiers
from segue.adapters.google.queries import Queries, Row, Value
from segue.domain.audience import Audience
from segue.domain.erasure import Content, remaining
from segue.domain.errors import Rejected
from segue.domain.message import (
    EVENTS,
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    EventsReceived,
    MembershipChanged,
    archived,
)
from segue.domain.time import instant
from segue.ports import Message, SegmentSize

DEAD_LETTERS = "dead-letters"

REVISED_TOGETHER = 4_000_000
"""Bytes: a query and its parameters are at most 10 MB."""

ERASED_TOGETHER = 200
"""Profiles in a query: each takes two parameters, of which 10,000 are allowed, and a range, of which many are slow."""

Erased = Mapping[str, int]
_KEY = re.compile(rb'"([0-9a-f]{32})"')
"""What may be a profile's key in the data of a message."""


class Condition(NamedTuple):
    """Which rows are wanted, with the parameters that it names."""

    text: str
    parameters: Mapping[str, Value]


class Kept(NamedTuple):
    """A row of an archive's table. `message_id` is Pub/Sub's, who may have written it twice."""

    message_id: str
    attributes: Mapping[str, str]
    message: Message


class BigQueryArchive:
    """`ports.Archive`, but that nobody appends: subscriptions do, within moments of the publishing."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    @classmethod
    def open(
        cls, project: str, dataset: str, *, environment: Mapping[str, str] = os.environ, **more: Any
    ) -> "BigQueryArchive":
        """`BIGQUERY_EMULATOR_HOST` is the URL of what stands in for BigQuery; without it, it is the cloud."""
        return cls(Queries(project, dataset, environment.get("BIGQUERY_EMULATOR_HOST"), **more))

    async def close(self) -> None:
        self._queries.close()

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        """Raises Rejected: what is published is archived by Pub/Sub itself."""
        raise Rejected(f"{len(messages)} messages: the archive of {topic} is written by Pub/Sub's subscriptions alone")

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        rows = await self._queries.scanned(sql.SIZES, instant=at)
        return {segment: SegmentSize(members=members, last_change=changed) for segment, members, changed in rows}

    async def snapshot(self, key: str, at: int) -> MembershipChanged | None:
        messages = await self._of_keys(MEMBERSHIPS, [key])
        told = (archived(each.data, each.type, MEMBERSHIP_CHANGED, MembershipChanged) for each in messages)
        return max((each for each in told if each and each.at <= at), key=lambda each: each.seq, default=None)

    async def received(self, key: str) -> AsyncIterator[Message]:
        for message in (await self.histories([key])).get(key, ()):
            yield message

    async def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        found: dict[str, list[Message]] = {}
        for message in await self._of_keys(EVENTS, keys):
            if received := archived(message.data, message.type, EVENTS_RECEIVED, EventsReceived):
                found.setdefault(received.key, []).append(message)
        return found

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        messages = await self._of_keys(EVENTS, [key])
        decoded = (archived(message.data, message.type, EVENTS_RECEIVED, EventsReceived) for message in messages)
        return frozenset(message_ids) & {event.message_id for each in decoded if each for event in each.events}

    async def audience(self, asked: Audience, at: int, part: str) -> Sequence[str]:
        return await identifiers(self._queries, asked, at, part)

    async def read(self, topic: str) -> AsyncIterator[Message]:
        erased = await self._erased()
        last = None
        async for page in self._queries.pages(sql.EVERYTHING.format(table=_table(topic))):
            for message in (_kept(row).message for row in page):
                if message.id != last and (left := _left_of(message, erased)):
                    yield left
                last = message.id

    async def erase(self, erased: Mapping[str, int]) -> None:
        """Raises Unavailable, too, while rows cannot be changed yet: nothing of them is read any more by then."""
        erasures = [msgspec.json.encode({"key": key, "until": until}).decode() for key, until in erased.items()]
        await self._queries.rows(sql.ERASE, erasures=erasures)
        for first in range(0, len(erased), ERASED_TOGETHER):
            some = dict([*erased.items()][first : first + ERASED_TOGETHER])
            await asyncio.gather(*(self._revise(topic, some) for topic in _TELLING))

    async def _revise(self, topic: str, erased: Erased) -> None:
        """Put what is left of messages in their place."""
        wanted = _TELLING[topic]([*erased])
        written = {kept.message_id: kept for kept in await self._rows(topic, wanted)}
        query = sql.REVISED.format(table=_table(topic), wanted=wanted.text, type=_type(topic))
        for some in _together([each for kept in written.values() for each in _revision(kept, erased)]):
            await self._queries.rows(query, revisions=some, **wanted.parameters)

    async def _of_keys(self, topic: str, keys: Sequence[str]) -> list[Message]:
        """What begins with one of these keys, each message once, without what is erased."""
        rows, erased = await asyncio.gather(self._rows(topic, _beginning_with(keys)), self._erased(keys))
        return _left([each.message for each in rows], erased)

    async def _rows(self, topic: str, wanted: Condition) -> list[Kept]:
        query = sql.ROWS.format(table=_table(topic), wanted=wanted.text)
        return [_kept(row) for row in await self._queries.rows(query, **wanted.parameters)]

    async def _erased(self, keys: Sequence[str] | None = None) -> Erased:
        asked = self._queries.rows(sql.ERASED) if keys is None else self._queries.rows(sql.ERASED_OF, keys=keys)
        return dict(await asked)


def _beginning_with(keys: Sequence[str]) -> Condition:
    return _between([f'{{"key":"{key}"' for key in keys])


def _naming(keys: Sequence[str]) -> Condition:
    """Rows that begin with one of these keys, or may tell of them elsewhere."""
    return _between([*(f'{{"key":"{key}"' for key in keys), *sql.OF_SEVERAL])


def _between(beginnings: Sequence[str]) -> Condition:
    """Rows whose data begins with one of these texts, each a range: a table clustered by `data` is read there alone.

    All of them lie in one range, too: of neighbours, as a sweep asks for, that is hardly more."""
    if not beginnings:
        return Condition("FALSE", {})
    lowest = {f"lowest_{number}": each for number, each in enumerate(beginnings)}
    beyond = {f"beyond_{number}": each[:-1] + chr(ord(each[-1]) + 1) for number, each in enumerate(beginnings)}
    ranges = [f"(data >= @{first} AND data < @{last})" for first, last in zip(lowest, beyond, strict=True)]
    return Condition(
        f"data >= @lowest AND data < @beyond AND ({' OR '.join(ranges)})",
        {"lowest": min(lowest.values()), "beyond": max(beyond.values()), **lowest, **beyond},
    )


def _holding(keys: Sequence[str]) -> Condition:
    """Dead letters, which are few and may be anything, with one of these keys in them."""
    held = [f"STRPOS(SAFE_CONVERT_BYTES_TO_STRING(data), @key_{number}) > 0" for number in range(len(keys))]
    return Condition(" OR ".join(held) or "FALSE", {f"key_{number}": key for number, key in enumerate(keys)})


_TELLING = {EVENTS: _naming, MEMBERSHIPS: _beginning_with, DEAD_LETTERS: _holding}
"""The archived topics, and which of their rows tell of profiles."""


def _table(topic: str) -> str:
    return topic.replace("-", "_")


def _type(topic: str) -> str:
    """Of the column `data`: what is a dead letter may be no text."""
    return "BYTES" if topic == DEAD_LETTERS else "STRING"


def _kept(row: Row) -> Kept:
    message_id: str
    message_id, published_at, text, data = row
    attributes = msgspec.json.decode(text, type=dict[str, str])
    time = instant(attributes.get("ce-time"))
    message = Message(
        id=attributes.get("ce-id", message_id),
        type=attributes.get("ce-type", ""),
        source=attributes.get("ce-source", ""),
        time=published_at if time is None else time,
        data=data.encode() if isinstance(data, str) else data,
    )
    return Kept(message_id, attributes, message)


def _left(messages: Sequence[Message], erased: Erased) -> list[Message]:
    """Each message once, the first of them, and of it what is not erased."""
    first = {message.id: message for message in reversed(messages)}
    once = (message for message in messages if first[message.id] is message)
    return [left for message in once if (left := _left_of(message, erased))]


def _left_of(message: Message, erased: Erased) -> Message | None:
    told_of = {key for found in _KEY.findall(message.data) if (key := found.decode()) in erased} if erased else ()
    if not told_of:
        return message
    left = remaining(Content(message.type, message.data), {key: erased[key] for key in told_of})
    return None if left is None else msgspec.structs.replace(message, type=left.type, data=left.data)


def _revision(kept: Kept, erased: Erased) -> Iterator[str]:
    left = remaining(Content(kept.message.type, kept.message.data), erased)
    if left is None:
        yield msgspec.json.encode({"message_id": kept.message_id}).decode()
    elif left.data != kept.message.data:
        attributes = msgspec.json.encode({**kept.attributes, "ce-type": left.type}).decode()
        revised: dict[str, Any] = {"message_id": kept.message_id, "attributes": attributes, "data": left.data.decode()}
        yield msgspec.json.encode(revised).decode()


def _together(revisions: Sequence[str]) -> Iterator[list[str]]:
    """The revisions in as few parts as a query takes; one that is too large alone goes alone."""
    part: list[str] = []
    size = 0
    for each in revisions:
        size += len(each)
        if part and size > REVISED_TOGETHER:
            yield part
            part, size = [], len(each)
        part.append(each)
    if part:
        yield part
