"""The Archive port in a SQLite file of its own: every message once, and the newest snapshot of each profile."""

import itertools
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from segue.adapters.embedded.database import Database
from segue.domain.membership import covers
from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIP_CHANGED, MembershipChanged
from segue.ports import Message, SegmentSize

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    profile TEXT,
    data BLOB NOT NULL,
    UNIQUE (topic, id)
);
CREATE INDEX IF NOT EXISTS messages_in_time ON messages (topic, time, id);
CREATE INDEX IF NOT EXISTS messages_of_profile ON messages (profile) WHERE profile IS NOT NULL;
CREATE TABLE IF NOT EXISTS snapshots (profile TEXT PRIMARY KEY, seq INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    segment TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (segment, at)
) WITHOUT ROWID;
"""

PAGE = 500

Value = TypeVar("Value")


class _Profile(msgspec.Struct):
    """Of EventsReceived: whose they are."""

    key: str


class _EventId(msgspec.Struct):
    message_id: str


class _EventIds(msgspec.Struct):
    """Of EventsReceived: which they are."""

    events: tuple[_EventId, ...]


class ArchiveFile:
    """Reads and appends; the file may be open in several processes, of which one appends at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, folder: Path) -> "ArchiveFile":
        """The archive of a data folder, made if it is not there. Raises Unavailable if the file is damaged."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(Database(folder / "archive.db", SCHEMA))

    async def close(self) -> None:
        await self._database.close()

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        def keep(connection: sqlite3.Connection) -> None:
            for message in messages:
                _keep(connection, topic, message)

        await self._database.write(keep)

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        members: Counter[str] = Counter()
        changes = await self._database.read(lambda connection: _last_changes(connection, at))
        async for snapshot in self._snapshots():
            for segment, intervals in snapshot.memberships.items():
                members[segment] += covers(intervals, at) is not None
                for edge in itertools.chain.from_iterable(intervals):
                    if edge is not None and changes.get(segment, edge) <= edge <= at:
                        changes[segment] = edge
        return {
            segment: SegmentSize(members=members[segment], last_change=changes.get(segment))
            for segment in sorted(members | changes)
        }

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        wanted = frozenset(message_ids)
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT data FROM messages WHERE profile = ?", (key,)).fetchall()
        )
        return wanted & {
            event.message_id for (data,) in rows for event in msgspec.json.decode(data, type=_EventIds).events
        }

    async def read(self, topic: str) -> AsyncIterator[Message]:
        last = (-1, "")

        def page(connection: sqlite3.Connection) -> list[tuple[str, str, str, int, bytes]]:
            return connection.execute(
                "SELECT id, type, source, time, data FROM messages WHERE topic = ? AND (time, id) > (?, ?) "
                "ORDER BY time, id LIMIT ?",
                (topic, *last, PAGE),
            ).fetchall()

        while rows := await self._database.read(page):
            for identifier, kind, source, time, data in rows:
                yield Message(id=identifier, type=kind, source=source, time=time, data=data)
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


def _keep(connection: sqlite3.Connection, topic: str, message: Message) -> None:
    profile = _decoded(message.data, _Profile) if message.type == EVENTS_RECEIVED else None
    kept = connection.execute(
        "INSERT INTO messages (topic, id, type, source, time, profile, data) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (topic, message.id, message.type, message.source, message.time, profile and profile.key, message.data),
    )
    snapshot = _decoded(message.data, MembershipChanged) if message.type == MEMBERSHIP_CHANGED else None
    if kept.rowcount and snapshot:
        _keep_snapshot(connection, snapshot, message.data)


def _keep_snapshot(connection: sqlite3.Connection, snapshot: MembershipChanged, data: bytes) -> None:
    connection.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq, data = excluded.data "
        "WHERE excluded.seq > seq",
        (snapshot.key, snapshot.seq, data),
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
