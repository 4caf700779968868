"""The Bus port on SQLite: a message lies in the queue of each subscription until that one is done with it."""

import asyncio
import fnmatch
import sqlite3
from collections.abc import Callable, Mapping, Sequence

import msgspec

from segue.adapters.embedded.database import Database, Numbers
from segue.domain.errors import TooLarge, Unavailable
from segue.ports import Clock, Message

SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_in_queue ON waiting (queue, number);
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS traced (
    number INTEGER PRIMARY KEY,
    trace TEXT NOT NULL
);
"""
"""A message's trace lies beside it: code that knows of none works on the same file."""

MAX_BYTES = 10_000_000
"""The most that Pub/Sub takes in one message: what fits here fits there."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets a topic's messages, and how often they are tried.

    `topic` may be a pattern (`retry-*`); each topic that matches has a queue of its own. A message that has failed
    waits `backoff_s`, then twice as long each time, up to `longest_backoff_s`. After `attempts`, or once it is older
    than `retention_ms`, it becomes a dead letter.
    """

    name: str
    topic: str
    concurrency: int = 64
    attempts: int = 20
    backoff_s: float = 1.0
    longest_backoff_s: float = 60.0
    retention_ms: int = 86_400_000


class Waiting(msgspec.Struct, frozen=True):
    """A message in a queue. `number` is its place; `attempts` is how often its delivery has failed."""

    number: int
    queue: str
    attempts: int
    published_at: int
    message: Message


class EmbeddedBus:
    """Queues in a database whose schema includes `SCHEMA`. `push.Push` delivers what lies in them."""

    def __init__(self, database: Database, clock: Clock, subscriptions: Sequence[Subscription]) -> None:
        self._database = database
        self._clock = clock
        self._numbers = Numbers(
            "SELECT max((SELECT coalesce(max(number), 0) FROM waiting),"
            " (SELECT coalesce(max(number), 0) FROM dead_letters))"
        )
        self.subscriptions = tuple(subscriptions)
        self.arrived: Callable[[str], None] = unheard
        """Called with the queue's name once something new lies in it."""
        self._listeners: dict[str, tuple[str, Callable[[Message], None]]] = {}

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Raises Unavailable if nobody subscribes to the topic: the messages are good once somebody does."""
        queues = [f"{each.name}:{topic}" for each in self.subscriptions if fnmatch.fnmatchcase(topic, each.topic)]
        if not queues:
            raise Unavailable(f"topic {topic}: has no subscription")
        for message in messages:
            if len(message.data) > MAX_BYTES:
                raise TooLarge(f"message {message.id}: expected at most {MAX_BYTES} bytes, found {len(message.data)}")
        # Shielded: a caller that is cancelled meanwhile must not keep the queues from hearing of what was committed.
        await asyncio.shield(self._append(topic, queues, messages))

    async def listen(self, topic: str, name: str, begun: Callable[[], None], hear: Callable[[Message], None]) -> None:
        """Nothing lies in between in one process: this never raises Unavailable."""
        self._listeners[name] = (topic, hear)
        try:
            begun()
            await asyncio.get_running_loop().create_future()
        finally:
            del self._listeners[name]

    async def _append(self, topic: str, queues: Sequence[str], messages: Sequence[Message]) -> None:
        now = self._clock.now()

        def append(connection: sqlite3.Connection) -> None:
            numbered = [(self._numbers.next(connection), queue, each) for queue in queues for each in messages]
            connection.executemany(
                "INSERT INTO waiting VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?)",
                [
                    (number, queue, now, each.id, each.type, each.source, each.time, each.data)
                    for number, queue, each in numbered
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO traced VALUES (?, ?)",
                [(number, each.trace) for number, _, each in numbered if each.trace],
            )

        await self._database.write(append)
        for queue in queues:
            self.arrived(queue)
        for heard, hear in tuple(self._listeners.values()):
            if heard == topic:
                for message in messages:
                    hear(message)

    async def after(self, queue: str, number: int, limit: int) -> Sequence[Waiting]:
        """At most `limit` messages of a queue that come after that place, in order."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT waiting.*, coalesce(trace, '') FROM waiting LEFT JOIN traced USING (number)"
                " WHERE queue = ? AND number > ? ORDER BY number LIMIT ?",
                (queue, number, limit),
            ).fetchall()
        )
        return [_waiting(row) for row in rows]

    async def remove(self, waiting: Waiting) -> None:
        """The subscription has acknowledged the message."""
        await self._database.write(lambda connection: _delete(connection, waiting))

    async def count_attempt(self, waiting: Waiting) -> None:
        """The delivery has failed once more."""
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE waiting SET attempts = attempts + 1 WHERE number = ?", (waiting.number,)
            )
        )

    async def requeue(self, waiting: Waiting) -> None:
        """Put the message at the end of its queue."""

        def move(connection: sqlite3.Connection) -> None:
            moved = (self._numbers.next(connection), waiting.number)
            connection.execute("UPDATE waiting SET number = ? WHERE number = ?", moved)
            connection.execute("UPDATE OR REPLACE traced SET number = ? WHERE number = ?", moved)

        await self._database.write(move)
        self.arrived(waiting.queue)

    async def bury(self, waiting: Waiting, *, noted: bool = False) -> None:
        """Move the message to the dead letters; without what it says if somebody took note, so that it lies there only
        once."""
        data = b"" if noted else waiting.message.data

        def move(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO dead_letters SELECT * FROM waiting WHERE number = ?", (waiting.number,))
            connection.execute("UPDATE dead_letters SET data = ? WHERE number = ?", (data, waiting.number))
            _delete(connection, waiting)

        await self._database.write(move)

    async def waiting(self) -> Mapping[str, int]:
        """How many messages lie in each queue that is not empty."""
        return dict(
            await self._database.read(
                lambda connection: connection.execute("SELECT queue, count(*) FROM waiting GROUP BY queue").fetchall()
            )
        )

    async def empty(self) -> bool:
        """Whether nothing waits in any queue."""
        return await self._database.read(
            lambda connection: connection.execute("SELECT 1 FROM waiting LIMIT 1").fetchone() is None
        )

    async def dead_letters(self) -> Sequence[Waiting]:
        """Every dead letter, the oldest first."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT *, '' FROM dead_letters ORDER BY number").fetchall()
        )
        return [_waiting(row) for row in rows]


def unheard(_queue: str) -> None:
    """Nobody delivers: the messages lie where they are."""


def _delete(connection: sqlite3.Connection, waiting: Waiting) -> None:
    connection.execute("DELETE FROM waiting WHERE number = ?", (waiting.number,))
    if waiting.message.trace:
        connection.execute("DELETE FROM traced WHERE number = ?", (waiting.number,))


def _waiting(row: tuple[int, str, int, int, str, str, str, int, bytes, str]) -> Waiting:
    number, queue, attempts, published_at, identifier, kind, source, time, data, trace = row
    message = Message(id=identifier, type=kind, source=source, time=time, data=data, trace=trace)
    return Waiting(number, queue, attempts, published_at, message)
