"""An event loop that does nothing by itself: no sockets, threads or clock; whoever steps it decides what goes on."""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

Later = Callable[[float, Callable[[], None]], None]
"""Asked to call back in so many seconds."""


class SteppedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order they were asked for, until none is left, each time `drain` is called."""

    def __init__(self, later: Later, now: Callable[[], int]) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._later = later
        self._now = now

    def drain(self) -> None:
        """Run everything that can go on without anything happening outside."""
        events._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(None)

    def call_soon(  # type: ignore[override]  # the arguments' types are not needed here
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # likewise
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self._later(delay, lambda: self._ready.append(handle))
        return handle

    def time(self) -> float:
        return self._now() / 1_000

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **_: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self)
        # A crashed instance's tasks end with the simulation, not before: that they never finish is the point.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return task

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer does nothing when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Errors of callbacks end the simulation; what was never looked at when it was thrown away does not."""
        if "handle" in context:
            raise context["exception"]

    def get_debug(self) -> bool:
        return False
