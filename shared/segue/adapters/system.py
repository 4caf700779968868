"""The clocks: the system's, and one that stands still until it is told to go on."""

import asyncio
import heapq
import itertools
import time


class SystemClock:
    """`ports.Clock` of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """`ports.Clock` that only `advance` moves: for tests, simulations and logs that bring their own time."""

    def __init__(self, now: int = 0) -> None:
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds * 1_000, next(self._order), woken))
        self.advance(0)
        await woken

    def advance(self, milliseconds: int) -> None:
        """Let time pass, and wake whoever slept no longer than that, the earliest first."""
        self._now += milliseconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
