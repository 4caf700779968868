"""What was done already, in a SQLite file: each transition once, and how far each visitor has come."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS taken (transition TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS newest (visitor TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""


class Sent:
    """Each call opens the file anew, so that several threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as connection:
            connection.executescript(SCHEMA)

    def is_outdated(self, visitor: str, seq: int) -> bool:
        """Put down that a visitor's transition came; whether a later one came before it."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
                (visitor, seq),
            )
            (newest,) = connection.execute("SELECT seq FROM newest WHERE visitor = ?", (visitor,)).fetchone()
        return bool(seq < newest)

    def claim(self, transition: str) -> bool:
        """Take a transition; whether nobody had it yet. It stays taken, whoever is cut short, unless released."""
        with self._open() as connection:
            return (
                connection.execute("INSERT INTO taken VALUES (?) ON CONFLICT DO NOTHING", (transition,)).rowcount == 1
            )

    def release(self, transition: str) -> None:
        """Give a transition back, for nothing was done."""
        with self._open() as connection:
            connection.execute("DELETE FROM taken WHERE transition = ?", (transition,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10.0)) as connection, connection:
            yield connection
