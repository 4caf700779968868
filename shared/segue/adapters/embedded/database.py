"""One SQLite file in its own thread: what callers ask while a transaction runs shares the next one, and its fsync."""

import asyncio
import contextlib
import itertools
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from segue.domain.errors import Unavailable

Result = TypeVar("Result")
Operation: TypeAlias = Callable[[sqlite3.Connection], Result]

GROUP = 1_000
"""At most so many operations share one transaction, so that the first of them does not wait for ever."""

IDLE_S = 1.0
"""When nothing is asked for so long, the write-ahead log is emptied: what was deleted is then in no file any more."""


class _Job(NamedTuple, Generic[Result]):
    operation: Operation[Result]
    answer: asyncio.Future[Result]
    writes: bool


class _Outcome(NamedTuple):
    """What a job came to: its result, or the exception it raised."""

    answer: asyncio.Future[Any]
    value: Any


class Database:
    """Runs operations, each with the connection as its argument, in the order in which they were asked.

    `write` returns once the operation's effect is on the disk (group commit, `synchronous=FULL`); one that raises is
    undone by itself, and the others of its group are committed. `read` sees every write that has returned, waits for no
    fsync of its own, and must not write; one that nobody waits for any more is left out. Both raise `Unavailable` where
    SQLite fails: disk full, damaged file. What is deleted is overwritten.
    """

    def __init__(self, path: Path, schema: str, *, max_pages: int | None = None) -> None:
        """Opens the file, or creates it. `max_pages` (of 4 KiB) caps its size, as a full disk would."""
        self._path = path
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._logged = False
        try:
            self._connection = _connect(path, schema, max_pages)
        except sqlite3.Error as error:
            raise Unavailable(f"{path}: cannot be opened as a SQLite file: {error}") from error
        self._thread = threading.Thread(target=self._run, name=f"sqlite {path.name}", daemon=True)
        self._thread.start()

    async def write(self, operation: Operation[Result]) -> Result:
        return await self._ask(operation, writes=True)

    async def read(self, operation: Operation[Result]) -> Result:
        return await self._ask(operation, writes=False)

    async def close(self) -> None:
        """Finish what was asked, then close the file. May be called again."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _ask(self, operation: Operation[Result], *, writes: bool) -> asyncio.Future[Result]:
        if self._closed:
            raise Unavailable(f"{self._path.name}: is closed")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(operation, answer, writes))
        return answer

    def _run(self) -> None:
        with contextlib.closing(self._connection):
            ending = False
            while not ending:
                waiting = self._waiting()
                ending = None in waiting
                jobs = [job for job in waiting if job is not None]
                reads = [job for job in jobs if not job.writes and not job.answer.done()]
                self._tell([_Outcome(job.answer, self._attempt(job.operation)) for job in reads])
                self._tell(self._commit([job for job in jobs if job.writes]))

    def _waiting(self) -> Sequence[_Job[Any] | None]:
        """At least one job, or the None that ends the thread, and those that wait behind it."""
        waiting = [self._next()]
        with contextlib.suppress(queue.Empty):
            while len(waiting) < GROUP:
                waiting.append(self._jobs.get_nowait())
        return waiting

    def _next(self) -> _Job[Any] | None:
        if self._logged:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get(timeout=IDLE_S)
            with contextlib.suppress(sqlite3.Error):  # on a full disk it stays as it is
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._logged = False
        return self._jobs.get()

    def _commit(self, jobs: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
        """Run the jobs in one transaction. Where that fails as a whole, each of them has failed."""
        if not jobs:
            return ()
        try:
            self._logged = True
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [_Outcome(job.answer, self._attempt_undoing(job.operation)) for job in jobs]
            self._connection.execute("COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return [_Outcome(job.answer, error) for job in jobs]
        return outcomes

    def _attempt_undoing(self, operation: Operation[Any]) -> Any:
        """Attempt an operation and, if it raised, undo it alone. Raises what it raised if the transaction is lost."""
        self._connection.execute("SAVEPOINT operation")
        value = self._attempt(operation)
        if isinstance(value, Exception):
            if not self._connection.in_transaction:  # on a full disk SQLite rolls back everything
                raise value
            self._connection.execute("ROLLBACK TO operation")
        self._connection.execute("RELEASE operation")
        return value

    def _attempt(self, operation: Operation[Any]) -> Any:
        """The operation's result, or the exception it raised: for whoever awaits it, not for this thread."""
        try:
            return operation(self._connection)
        except Exception as error:
            return error

    def _tell(self, outcomes: Sequence[_Outcome]) -> None:
        """Hand the outcomes to the loops that await them, with one call a loop."""
        for loop, group in itertools.groupby(outcomes, key=lambda outcome: outcome.answer.get_loop()):
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._resolve, list(group))

    def _resolve(self, outcomes: Sequence[_Outcome]) -> None:
        for answer, value in outcomes:
            if answer.done():  # its caller was cancelled
                continue
            if isinstance(value, sqlite3.Error):
                answer.set_exception(Unavailable(f"{self._path.name}: {value}"))
            elif isinstance(value, Exception):
                answer.set_exception(value)
            else:
                answer.set_result(value)


class Numbers:
    """Numbers that only grow, over restarts too: one after the largest in the file, then the one after that."""

    def __init__(self, largest: str) -> None:
        """`largest` is the query for the largest number in the file; it may answer NULL."""
        self._largest = largest
        self._last: int | None = None

    def next(self, connection: sqlite3.Connection) -> int:
        """To be called by operations only."""
        if self._last is None:
            self._last = int(connection.execute(self._largest).fetchone()[0] or 0)
        self._last += 1
        return self._last


def _connect(path: Path, schema: str, max_pages: int | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(schema)
        if max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {max_pages:d}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
