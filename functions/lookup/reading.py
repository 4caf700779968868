"""How lookup reads documents: none from a store that is known to be down, and none for longer than its reader waits."""

import asyncio
from typing import Generic, TypeVar

from functions.lookup.breaker import Breaker
from segue.domain.errors import Unavailable
from segue.ports import Clock, Document, Store

LONG_MS = 50
"""A read that its reader gave up after so long has failed; one that was given up sooner says nothing of the store."""

MOST = 2_000
"""Values that are kept at most: of so many visitors who ask at the same moment, a few KB each."""

Value = TypeVar("Value")


class Reader:
    """Reads from one store, as of now. Raises `Unavailable` at once while the store is down."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._breaker = Breaker()

    async def get(self, path: str) -> Document | None:
        """The document, or None. Who gives up waiting cancels the read, and nothing of it is left."""
        began = self._clock.now()
        if not self._breaker.admits(began):
            raise Unavailable("the store has not answered for a while, and is tried again in a moment")
        try:
            found = await self._store.get(path)
        except asyncio.CancelledError:
            now = self._clock.now()
            if now - began >= LONG_MS:
                self._breaker.failed(now)
            raise
        except Unavailable:
            self._breaker.failed(self._clock.now())
            raise
        self._breaker.succeeded()
        return found


class Recent(Generic[Value]):
    """Values by key, each for some ms from the instant its reading began, and at most `MOST`: the oldest go first.

    Instants are in epoch ms, of a clock that may be put back.
    """

    def __init__(self, kept_ms: int) -> None:
        self._kept_ms = kept_ms
        self._held: dict[str, tuple[int, Value]] = {}

    def get(self, key: str, now: int) -> Value | None:
        """The value, unless it is too old."""
        held = self._held.get(key)
        return held[1] if held and 0 <= now - held[0] < self._kept_ms else None

    def put(self, key: str, value: Value, began: int) -> None:
        """Keep what a reading that began then has found, unless a later one has found it already."""
        held = self._held.get(key)
        if held and held[0] > began:
            return
        self._held.pop(key, None)
        self._held[key] = (began, value)
        while len(self._held) > MOST or self._oldest < began - self._kept_ms:
            del self._held[next(iter(self._held))]

    @property
    def _oldest(self) -> int:
        """When the reading began that is the first to go."""
        return next(iter(self._held.values()))[0]
