"""The Store port on SQLite: documents with a version each, and an index of what is due."""

import sqlite3
from collections.abc import AsyncIterator, Sequence

from segue.adapters.embedded.database import Database, Numbers
from segue.domain.errors import Conflict, Invalid, TooLarge
from segue.ports import ABSENT, Document, Write

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    due INTEGER,
    shard INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
);
CREATE INDEX IF NOT EXISTS documents_due ON documents (collection, shard, due, id) WHERE due IS NOT NULL;
"""

MAX_WRITES = 10
MAX_BYTES = 1_048_487
"""The most that Firestore takes in one value: what fits here fits there."""

PAGE = 500


class EmbeddedStore:
    """Documents in a database whose schema includes `SCHEMA`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = Numbers("SELECT max(version) FROM documents")

    async def get(self, path: str) -> Document | None:
        place = _place(path)
        row = await self._database.read(
            lambda connection: connection.execute(
                "SELECT data, version FROM documents WHERE collection = ? AND id = ?", place
            ).fetchone()
        )
        return row and Document(row[0], str(row[1]))

    async def commit(self, writes: Sequence[Write]) -> None:
        if not 1 <= len(writes) <= MAX_WRITES:
            raise Invalid(f"expected 1 to {MAX_WRITES} writes, found {len(writes)}")
        for write in writes:
            _place(write.path)
            if write.data is not None and len(write.data) > MAX_BYTES:
                raise TooLarge(f"{write.path}: expected at most {MAX_BYTES} bytes, found {len(write.data)}")

        def apply(connection: sqlite3.Connection) -> None:
            for write in writes:
                _check(connection, write)
            for write in writes:
                _write(connection, write, self._versions.next(connection))

        await self._database.write(apply)

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT id FROM documents WHERE collection = ? AND shard = ? AND due <= ? ORDER BY due, id LIMIT ?",
                (collection, shard, until, limit),
            ).fetchall()
        )
        return [identifier for (identifier,) in rows]

    async def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        last = after

        def page(connection: sqlite3.Connection) -> list[tuple[str, bytes, int]]:
            return connection.execute(
                "SELECT id, data, version FROM documents WHERE collection = ? AND id > ? ORDER BY id LIMIT ?",
                (collection, last, PAGE),
            ).fetchall()

        while rows := await self._database.read(page):
            for identifier, data, version in rows:
                yield identifier, Document(data, str(version))
            last = rows[-1][0]


def _place(path: str) -> tuple[str, str]:
    collection, _, identifier = path.partition("/")
    if not collection or not identifier or "/" in identifier:
        raise Invalid(f"expected collection/id, found {path!r}")
    return collection, identifier


def _check(connection: sqlite3.Connection, write: Write) -> None:
    if write.expects is None:
        return
    row = connection.execute(
        "SELECT version FROM documents WHERE collection = ? AND id = ?", _place(write.path)
    ).fetchone()
    found = ABSENT if row is None else str(row[0])
    if found != write.expects:
        raise Conflict(f"{write.path}: expected version {write.expects or 'none'}, found {found or 'none'}")


def _write(connection: sqlite3.Connection, write: Write, version: int) -> None:
    place = _place(write.path)
    if write.data is None:
        connection.execute("DELETE FROM documents WHERE collection = ? AND id = ?", place)
    else:
        connection.execute(
            "INSERT INTO documents (collection, id, version, data, due, shard) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (collection, id) DO UPDATE SET "
            "version = excluded.version, data = excluded.data, due = excluded.due, shard = excluded.shard",
            (*place, version, write.data, write.due, write.shard),
        )
