"""The Catalog port in a SQLite file of its own, which several processes may open at once."""

import sqlite3
from pathlib import Path

from segue.adapters.embedded.database import Database
from segue.domain.errors import Conflict
from segue.ports import PublishedCatalog

FILE = "catalog.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pointer (name TEXT PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions);
"""


class CatalogFile:
    """Immutable versions, and a pointer to the current one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, folder: Path) -> "CatalogFile":
        """The catalogue of a data folder, made if it is not there. Raises Unavailable if the file is damaged."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(Database(folder / FILE, SCHEMA))

    async def close(self) -> None:
        await self._database.close()

    async def current(self) -> PublishedCatalog | None:
        return await self._database.read(_current)

    async def version(self, number: int) -> PublishedCatalog | None:
        """An earlier version, or None if there never was one of that number."""

        def read(connection: sqlite3.Connection) -> PublishedCatalog | None:
            row = connection.execute("SELECT version, data FROM versions WHERE version = ?", (number,)).fetchone()
            return row and PublishedCatalog(*row)

        return await self._database.read(read)

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        def append(connection: sqlite3.Connection) -> PublishedCatalog:
            current = _current(connection)
            version = current.version if current else 0
            if expects not in (None, version):
                raise Conflict(f"expected version {expects} of the catalogue to be current, found {version}")
            if current is not None and current.data == data:
                return current
            (last,) = connection.execute("SELECT coalesce(max(version), 0) FROM versions").fetchone()
            published = PublishedCatalog(last + 1, data)
            connection.execute("INSERT INTO versions VALUES (?, ?)", (published.version, published.data))
            connection.execute("INSERT OR REPLACE INTO pointer VALUES ('current', ?)", (published.version,))
            return published

        return await self._database.write(append)


def _current(connection: sqlite3.Connection) -> PublishedCatalog | None:
    row = connection.execute(
        "SELECT version, data FROM versions JOIN pointer USING (version) WHERE name = 'current'"
    ).fetchone()
    return row and PublishedCatalog(*row)
