"""The Archive port: Parquet files, and before them a tail of recent messages in a SQLite file.

A message is durable in the tail when `append` returns. Once the tail is long or old enough, its messages are *sealed*:
written into files by topic and day, each whole, then renamed, then forgotten here. Readers see both as one, and each
message once, wherever a crash may have left it.
"""

import asyncio
import itertools
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from segue.adapters.embedded import segments
from segue.adapters.embedded.database import Database
from segue.adapters.embedded.rows import Numbered
from segue.domain.audience import Audience
from segue.domain.erasure import Content, remaining
from segue.domain.errors import Unavailable
from segue.domain.membership import covers
from segue.domain.message import EVENTS, EVENTS_RECEIVED, MEMBERSHIP_CHANGED, MEMBERSHIPS, MembershipChanged
from segue.domain.time import DAY
from segue.ports import Message, SegmentSize

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA = """
CREATE TABLE IF NOT EXISTS tail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    day TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    profile TEXT,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS tail_in_time ON tail (topic, time, id);
CREATE INDEX IF NOT EXISTS tail_of_profile ON tail (profile) WHERE profile IS NOT NULL;
CREATE TABLE IF NOT EXISTS ids (
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (topic, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    profile TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS erased (
    profile TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    segment TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (segment, at)
) WITHOUT ROWID;
"""

PAGE = 500

LONGEST_TAIL = 10_000
"""So many messages are sealed together."""

OLDEST_TAIL = DAY
"""The tail is sealed, however short, when a message comes so much later than its first."""

IDS_KEPT_FOR = 2 * DAY
"""A message is known again for so long after it is sealed; subscriptions bring none that is older than a day."""

MOST_FILES = 8
"""A day that still grows gets one of them all when it has more files, and one that does not when it has two."""

Value = TypeVar("Value")


class _ReceivedAt(msgspec.Struct):
    received_at: int


class _Received(msgspec.Struct):
    """Of EventsReceived: whose they are, and when they came."""

    key: str
    events: list[_ReceivedAt]


class _EventId(msgspec.Struct):
    message_id: str


class _EventIds(msgspec.Struct):
    """Of EventsReceived: which they are."""

    events: tuple[_EventId, ...]


class ArchiveFile:
    """Reads and appends; the folder may be open in several processes, of which one appends at a time."""

    def __init__(self, database: Database, root: Path, longest_tail: int = LONGEST_TAIL) -> None:
        self._database = database
        self._root = root
        self._longest_tail = longest_tail
        self._sealing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def open(cls, folder: Path, *, longest_tail: int = LONGEST_TAIL) -> "ArchiveFile":
        """The archive of a data folder, made if it is not there. Raises Unavailable if the tail's file is damaged."""
        root = folder / "archive"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(Database(folder / "archive.db", SCHEMA), root, longest_tail)

    async def close(self) -> None:
        """Finish what is being sealed, and close the file."""
        if self._sealing:
            await asyncio.wait([self._sealing])
        await self._database.close()

    # Appending

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        def keep(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
            erased = _erased(connection, messages)
            for message in messages:
                _keep(connection, topic, message, erased)
            return connection.execute(_LENGTH).fetchone()  # type: ignore[no-any-return]

        length, oldest = await self._database.write(keep)
        newest = max((message.time for message in messages), default=0)
        if (
            length is not None
            and oldest is not None
            and (length >= self._longest_tail or newest - oldest > OLDEST_TAIL)
        ):
            self._seal_soon()

    def _seal_soon(self) -> None:
        """Seal in the background, one at a time. What cannot be sealed now (a full disk) stays in the tail."""

        async def attempt() -> None:
            with suppress(Unavailable):
                await self.seal()

        if self._sealing is None or self._sealing.done():
            self._sealing = asyncio.create_task(attempt())

    async def seal(self) -> None:
        """Move the tail into files. Raises Unavailable if that fails; nothing is lost then."""
        async for _ in self.sealing():
            pass

    async def sealing(self) -> AsyncGenerator[str, None]:
        """Seal step by step: each yields what was just done, and whatever happens then, nothing is lost or doubled."""
        async with self._one_at_a_time:
            unsealed = await self._unsealed()
            async for step in self._sealed(unsealed):
                yield step
            async for step in self._compacted({self._root / topic / f"received={day}" for topic, day in unsealed}):
                yield step

    async def _sealed(self, unsealed: Mapping[tuple[str, str], Sequence[Numbered]]) -> AsyncIterator[str]:
        from segue.adapters.embedded import parquet  # takes its time, and is not needed before

        for (topic, day), messages in unsealed.items():
            folder = self._root / topic / f"received={day}"
            file = segments.segment(folder, messages[0].number, messages[-1].number)
            unfinished = file.path.with_suffix(segments.UNFINISHED)
            await _off_the_loop(parquet.write, unfinished, messages)
            yield "written"
            await _off_the_loop(segments.settle, unfinished, file.path)
            yield "renamed"
        await self._forget_sealed()
        yield "forgotten"

    async def _unsealed(self) -> Mapping[tuple[str, str], Sequence[Numbered]]:
        """The tail by topic and day, less what a file has already: a crash came before it was forgotten."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT topic, day, number, id, type, source, time, data FROM tail ORDER BY number LIMIT ?",
                (2 * self._longest_tail,),
            ).fetchall()
        )
        found: defaultdict[tuple[str, str], list[Numbered]] = defaultdict(list)
        for topic, day, *row in rows:
            found[topic, day].append(_numbered(row))
        for (topic, day), messages in found.items():
            done = segments.sealed(self._root / topic, day)
            messages[:] = [one for one in messages if one.number > done]
        return {place: messages for place, messages in found.items() if messages}

    async def _forget_sealed(self) -> None:
        sealed = [
            (topic.name, day.name.removeprefix("received="), segments.sealed(topic, day.name.removeprefix("received=")))
            for topic in self._topics()
            for day in segments.days(topic)
        ]

        def forget(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM tail WHERE topic = ? AND day = ? AND number <= ?", sealed)
            connection.execute("DELETE FROM ids WHERE time < (SELECT max(time) FROM ids) - ?", (IDS_KEPT_FOR,))

        await self._database.write(forget)

    async def _compacted(self, growing: Collection[Path]) -> AsyncIterator[str]:
        """Make one file of a day's many, and delete what no reader looks at any more. `growing` days got another one
        just now, and wait until they have more than a few."""
        from segue.adapters.embedded import parquet

        for topic in self._topics():
            for folder in segments.days(topic):
                parts = segments.segments(folder)
                if len(parts) > (MOST_FILES if folder in growing else 1):
                    merged = segments.segment(folder, parts[0].first, parts[-1].last)
                    unfinished = merged.path.with_suffix(segments.UNFINISHED)
                    await _off_the_loop(parquet.merge, unfinished, [one.path for one in parts])
                    yield "merged"
                    await _off_the_loop(segments.settle, unfinished, merged.path)
                    yield "replaced"
                segments.delete(self._root, [*segments.superseded(folder)])

    def _topics(self) -> Sequence[Path]:
        return sorted(path for path in self._root.iterdir() if path.is_dir())

    # Erasing

    async def erase(self, erased: Mapping[str, int]) -> None:
        async for _ in self.erasing(erased):
            pass

    async def erasing(self, erased: Mapping[str, int]) -> AsyncGenerator[str, None]:
        """Erase step by step: each yields what was just done. Whatever happens then, nothing else is lost or doubled,
        and erasing again completes it.

        Raises Unavailable while somebody reads what is to be deleted.
        """
        async with self._one_at_a_time:
            await self._database.write(lambda connection: _forget(connection, erased))
            yield "forgotten"
            for topic in self._topics():
                for folder in segments.days(topic):
                    for file in segments.segments(folder):
                        async for step in self._rewritten(file, erased):
                            yield step
                    if not segments.delete(self._root, [*segments.superseded(folder)]):
                        raise Unavailable(f"{folder}: somebody reads what is to be deleted")

    async def _rewritten(self, file: segments.Segment, erased: Mapping[str, int]) -> AsyncIterator[str]:
        from segue.adapters.embedded import parquet

        found = await _off_the_loop(parquet.telling_of, file.path, [*erased])
        left = {one.number: _left(one.message, erased) for one in found}
        gone = [one.number for one in found if left[one.number] != one.message]
        if not gone:
            return
        instead = [Numbered(number, message) for number in gone if (message := left[number])]
        revised = segments.segment(file.path.parent, file.first, file.last, file.revision + 1)
        unfinished = revised.path.with_suffix(segments.UNFINISHED)
        await _off_the_loop(parquet.rewrite, unfinished, file.path, gone, instead)
        yield "rewritten"
        await _off_the_loop(segments.settle, unfinished, revised.path)
        yield "replaced"

    # Reading

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        newest = await self._database.read(
            lambda connection: connection.execute("SELECT max(at) FROM snapshots").fetchone()[0]
        )
        changes = await self._database.read(lambda connection: _last_changes(connection, at))
        members: Counter[str] = Counter()
        if newest is not None and newest > at:
            rows = await self._rows(MEMBERSHIPS, _SIZES, {"at": at})
        else:
            rows = [
                (segment, int(covers(intervals, at) is not None), edge)
                async for snapshot in self._snapshots()
                for segment, intervals in snapshot.memberships.items()
                for edge in [max((edge for edge in itertools.chain(*intervals) if edge and edge <= at), default=None)]
            ]
        for segment, inside, edge in rows:
            members[segment] += inside
            if edge is not None and edge >= changes.get(segment, edge):
                changes[segment] = edge
        return {
            segment: SegmentSize(members=members[segment], last_change=changes.get(segment))
            for segment in sorted(members | changes)
        }

    async def snapshot(self, key: str, at: int) -> MembershipChanged | None:
        rows = await self._rows(MEMBERSHIPS, _SNAPSHOT, {"key": key, "at": at})
        found = [msgspec.json.decode(data, type=MembershipChanged) for (data,) in rows]
        return found[0] if found else None

    async def received(self, key: str) -> AsyncIterator[Message]:
        for identifier, kind, source, time, data in await self._rows(EVENTS, _RECEIVED, {"key": key}):
            yield Message(id=identifier, type=kind, source=source, time=time, data=data)

    async def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        marks = ", ".join("?" * len(keys))
        tail = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT profile, id, type, source, time, data FROM tail WHERE profile IN ({marks}) ORDER BY number",
                tuple(keys),
            ).fetchall()
        )
        found: dict[str, dict[str, Message]] = {}
        for key, identifier, kind, source, time, data in [*await self._sealed_histories(keys), *tail]:
            message = Message(id=identifier, type=kind, source=source, time=time, data=data)
            found.setdefault(key, {}).setdefault(identifier, message)
        return {key: [*messages.values()] for key, messages in found.items()}

    async def _sealed_histories(self, keys: Sequence[str]) -> list[Any]:
        """Of the files alone; what is in the tail now, and not when it was read, was appended in between."""
        from segue.adapters.embedded import parquet

        if not self._has_files(EVENTS):
            return []
        with segments.reading(self._root):
            files = [one.path for day in segments.days(self._root / EVENTS) for one in segments.segments(day)]
            with parquet.scanned({EVENTS: []}, {EVENTS: files}, threads=1) as connection:
                return await _off_the_loop(lambda: connection.execute(_HISTORIES, {"keys": list(keys)}).fetchall())

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        wanted = frozenset(message_ids)
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT data FROM tail WHERE profile = ?", (key,)).fetchall()
        )
        found = wanted & {
            event.message_id for (data,) in rows for event in msgspec.json.decode(data, type=_EventIds).events
        }
        if found == wanted or not self._has_files(EVENTS):
            return found
        return found | (wanted & {identifier for (identifier,) in await self._rows(EVENTS, _IDS, {"key": key})})

    async def audience(self, asked: Audience, at: int, part: str) -> Sequence[str]:
        from segue.adapters.embedded.audiences import identifiers

        async with self.scanned(EVENTS, MEMBERSHIPS, threads=1) as connection:
            return await _off_the_loop(identifiers, connection, asked, at, part)

    async def read(self, topic: str) -> AsyncIterator[Message]:
        pages = self._pages_of_files(topic) if self._has_files(topic) else self._pages_of_tail(topic)
        async for page in pages:
            for identifier, kind, source, time, data in page:
                yield Message(id=identifier, type=kind, source=source, time=time, data=data)

    @asynccontextmanager
    async def scanned(self, *topics: str, threads: int | None = None) -> AsyncIterator["DuckDBPyConnection"]:
        """A DuckDB with a view of each of these topics, as they are at this moment: the rows of all messages."""
        from segue.adapters.embedded import parquet

        tails = {topic: await self._tail(topic) for topic in topics}
        with segments.reading(self._root):
            days = {topic: segments.days(self._root / topic) for topic in topics}
            files = {topic: [one for folder in days[topic] for one in segments.segments(folder)] for topic in topics}
            done = {one.path.parent: one.last for topic in topics for one in files[topic]}
            unsealed = {
                topic: [
                    one for day, one in tails[topic] if one.number > done.get(self._root / topic / f"received={day}", 0)
                ]
                for topic in topics
            }
            paths = {topic: [one.path for one in files[topic]] for topic in topics}
            with parquet.scanned(unsealed, paths, threads) as connection:
                yield connection

    async def _rows(self, topic: str, query: str, parameters: Mapping[str, Any]) -> list[Any]:
        async with self.scanned(topic, threads=1) as connection:
            return await _off_the_loop(lambda: connection.execute(query, parameters).fetchall())

    async def _tail(self, topic: str) -> list[tuple[str, Numbered]]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT day, number, id, type, source, time, data FROM tail WHERE topic = ? ORDER BY number", (topic,)
            ).fetchall()
        )
        return [(day, _numbered(row)) for day, *row in rows]

    def _has_files(self, topic: str) -> bool:
        return any(segments.segments(folder) for folder in segments.days(self._root / topic))

    async def _pages_of_files(self, topic: str) -> AsyncIterator[list[Any]]:
        async with self.scanned(topic, threads=1) as connection:
            query = _MESSAGES.format(topic=topic.replace('"', '""'))
            cursor = await _off_the_loop(lambda: connection.execute(query))
            while page := await _off_the_loop(cursor.fetchmany, PAGE):
                yield page

    async def _pages_of_tail(self, topic: str) -> AsyncIterator[list[Any]]:
        last = (-1, "")

        def page(connection: sqlite3.Connection) -> list[tuple[str, str, str, int, bytes]]:
            return connection.execute(
                "SELECT id, type, source, time, data FROM tail WHERE topic = ? AND (time, id) > (?, ?) "
                "ORDER BY time, id LIMIT ?",
                (topic, *last, PAGE),
            ).fetchall()

        while rows := await self._database.read(page):
            yield rows
            last = (rows[-1][3], rows[-1][0])

    async def _snapshots(self) -> AsyncIterator[MembershipChanged]:
        last = ""

        def page(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
            return connection.execute(
                "SELECT profile, data FROM snapshots WHERE profile > ? ORDER BY profile LIMIT ?", (last, PAGE)
            ).fetchall()

        while rows := await self._database.read(page):
            for _, data in rows:
                yield msgspec.json.decode(data, type=MembershipChanged)
            last = rows[-1][0]


_LENGTH = """
SELECT
    (SELECT number FROM tail ORDER BY number DESC LIMIT 1) - (SELECT number FROM tail ORDER BY number LIMIT 1) + 1,
    (SELECT time FROM tail ORDER BY number LIMIT 1)
"""

_SIZES = """
WITH newest AS (
    SELECT arg_max(intervals, seq) AS intervals FROM memberships WHERE evaluated_at <= $at GROUP BY profile
), spans AS (SELECT unnest(intervals, max_depth := 2) FROM newest)
SELECT
    segment,
    count(*) FILTER (since <= $at AND ("until" IS NULL OR "until" > $at)),
    max(greatest(CASE WHEN since <= $at THEN since END, CASE WHEN "until" <= $at THEN "until" END))
FROM spans GROUP BY segment
"""

_SNAPSHOT = """
SELECT from_base64(data) FROM memberships WHERE profile = $key AND evaluated_at <= $at ORDER BY seq DESC LIMIT 1
"""

_RECEIVED = """
SELECT id, any_value(type), any_value(source), any_value(time), any_value(from_base64(data)) FROM events
WHERE profile = $key AND position = 0 GROUP BY id ORDER BY min(number)
"""

_HISTORIES = """
SELECT profile, id, any_value(type), any_value(source), any_value(time), any_value(from_base64(data)) FROM events
WHERE list_contains($keys, profile) AND position = 0 GROUP BY profile, id ORDER BY min(number)
"""

_IDS = "SELECT DISTINCT message_id FROM events WHERE profile = $key"

_MESSAGES = """
SELECT id, type, source, time, from_base64(data) FROM "{topic}" WHERE position = 0 ORDER BY time, id
"""


_KEY = re.compile(rb'"([0-9a-f]{32})"')
"""What may be a profile's key in the data of a message."""


async def _off_the_loop(function: Callable[..., Value], *arguments: Any) -> Value:
    """What the function returns. Raises Unavailable where DuckDB or the disk fails."""
    from duckdb import Error

    try:
        return await asyncio.to_thread(function, *arguments)
    except (Error, OSError) as error:
        raise Unavailable(f"the archive: {error}") from error


def _numbered(row: Sequence[Any]) -> Numbered:
    number, identifier, kind, source, time, data = row
    return Numbered(number, Message(id=identifier, type=kind, source=source, time=time, data=data))


def _left(message: Message, erased: Mapping[str, int]) -> Message | None:
    left = remaining(Content(message.type, message.data), erased)
    return None if left is None else msgspec.structs.replace(message, type=left.type, data=left.data)


def _erased(connection: sqlite3.Connection, messages: Sequence[Message]) -> Mapping[str, int]:
    """Of the profiles that were erased, those that these messages tell of."""
    if connection.execute("SELECT 1 FROM erased LIMIT 1").fetchone() is None:
        return {}
    keys = {key.decode() for message in messages for key in _KEY.findall(message.data)}
    found = (
        connection.execute("SELECT profile, until FROM erased WHERE profile = ?", (key,)).fetchone() for key in keys
    )
    return dict(row for row in found if row)


def _forget(connection: sqlite3.Connection, erased: Mapping[str, int]) -> None:
    """Leave nothing of these profiles in the tail, now or later."""
    connection.executemany(
        "INSERT INTO erased VALUES (?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)", erased.items()
    )
    connection.executemany("DELETE FROM snapshots WHERE profile = ? AND at <= ?", erased.items())
    for number, *row in connection.execute("SELECT number, id, type, source, time, data FROM tail").fetchall():
        message = _numbered((number, *row)).message
        left = _left(message, erased)
        if left is None:
            connection.execute("DELETE FROM tail WHERE number = ?", (number,))
        elif left != message:
            received = _decoded(left.data, _Received) if left.type == EVENTS_RECEIVED else None
            connection.execute(
                "UPDATE tail SET type = ?, profile = ?, data = ? WHERE number = ?",
                (left.type, received and received.key, left.data, number),
            )


def _keep(connection: sqlite3.Connection, topic: str, message: Message, erased: Mapping[str, int]) -> None:
    known = connection.execute(
        "INSERT INTO ids VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (topic, message.id, message.time)
    )
    left = _left(message, erased) if known.rowcount else None
    if left is None:
        return
    message = left
    received = _decoded(message.data, _Received) if message.type == EVENTS_RECEIVED else None
    snapshot = _decoded(message.data, MembershipChanged) if message.type == MEMBERSHIP_CHANGED else None
    instants = [event.received_at for event in received.events] if received else [snapshot.at] if snapshot else []
    connection.execute(
        "INSERT INTO tail (topic, day, id, type, source, time, profile, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            topic,
            _day(max(instants, default=message.time)),
            message.id,
            message.type,
            message.source,
            message.time,
            received and received.key,
            message.data,
        ),
    )
    if snapshot:
        _keep_snapshot(connection, snapshot, message.data)


def _day(instant: int) -> str:
    """The day (UTC) on which a message's newest event was received, or its profile was evaluated."""
    try:
        return datetime.fromtimestamp(instant // 1_000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return "0001-01-01"


def _keep_snapshot(connection: sqlite3.Connection, snapshot: MembershipChanged, data: bytes) -> None:
    connection.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq, at = excluded.at, "
        "data = excluded.data WHERE excluded.seq > seq",
        (snapshot.key, snapshot.seq, snapshot.at, data),
    )
    connection.executemany(
        "INSERT INTO changes VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(transition.segment, transition.at) for transition in snapshot.transitions],
    )


def _last_changes(connection: sqlite3.Connection, at: int) -> dict[str, int]:
    return dict(
        connection.execute("SELECT segment, max(at) FROM changes WHERE at <= ? GROUP BY segment", (at,)).fetchall()
    )


def _decoded(data: bytes, kind: type[Value]) -> Value | None:
    """None for what is no such value: the archive keeps whatever was accepted."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
