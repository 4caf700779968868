"""The embedded platform in one folder: documents and queues in one file, archive and catalogue each in its own."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from segue.adapters.embedded import queue, store
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.adapters.embedded.database import Database
from segue.adapters.embedded.push import Bury, Deliver, Push, unnoted
from segue.adapters.embedded.queue import EmbeddedBus, Subscription
from segue.adapters.embedded.store import EmbeddedStore
from segue.domain.errors import Unavailable
from segue.ports import Clock

GRACE_S = 5.0


class EmbeddedPlatform:
    """`store`, `bus`, `archive` and `catalog` of one folder, which one process has open at a time."""

    def __init__(
        self, folder: Path, lock: IO[str], clock: Clock, subscriptions: Sequence[Subscription], max_pages: int | None
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._push: Push | None = None
        self._database = Database(folder / "segue.db", store.SCHEMA + queue.SCHEMA, max_pages=max_pages)
        self.store = EmbeddedStore(self._database)
        self.bus = EmbeddedBus(self._database, clock, subscriptions)
        self.archive = ArchiveFile.open(folder)
        self.catalog = CatalogFile.open(folder)

    @classmethod
    def open(
        cls, folder: Path, clock: Clock, subscriptions: Sequence[Subscription] = (), *, max_pages: int | None = None
    ) -> "EmbeddedPlatform":
        """Opens the folder, or makes it. Raises Unavailable if another process has it open, or a file is damaged.

        `max_pages` caps the documents and queues, in pages of 4 KiB, as a full disk would.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(folder)
        try:
            return cls(folder, lock, clock, subscriptions, max_pages)
        except BaseException:
            lock.close()
            raise

    async def push_to(self, deliver: Deliver, bury: Bury = unnoted) -> None:
        """Deliver what lies in the queues, and what is published from now on."""
        self._push = Push(self.bus, self._clock, deliver, bury)
        await self._push.start()

    async def stop_pushing(self, grace_s: float = GRACE_S) -> None:
        """Give deliveries under way so many seconds; what is not done by then comes again at the next start."""
        if self._push:
            await self._push.stop(grace_s)
            self._push = None

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Stop pushing, close the files and free the folder."""
        await self.stop_pushing(grace_s)
        for file in (self._database, self.archive, self.catalog):
            await file.close()
        self._lock.close()


def _locked(folder: Path) -> IO[str]:
    """The folder's lock file, held until it is closed or the process ends, however it ends."""
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise Unavailable(f"{folder}: process {holder} has this data folder open") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
