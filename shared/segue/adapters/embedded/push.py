"""Pushes what lies in the queues to the subscribers: at least once, in any order, as Pub/Sub does."""

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, TypeVar

from segue import telemetry
from segue.adapters.embedded.queue import EmbeddedBus, Subscription, Waiting, unheard
from segue.domain.errors import Unavailable
from segue.ports import Clock, Message

Deliver: TypeAlias = Callable[[Subscription, Message, int], Awaitable[int]]
"""Hands a message to a subscriber, with the instant of its publishing (epoch ms). The answer is an HTTP status; 2xx
acknowledges the message."""

Bury: TypeAlias = Callable[[Subscription, str, Message], Awaitable[None]]
"""Takes note of a message of this topic that becomes a dead letter; called again if that fails."""

Result = TypeVar("Result")

PAGE = 100
ROOM = 1_000
"""So many of a queue's messages may be under way or wait to be tried again; the others wait for them."""


class Push:
    """One pump a queue. A queue that comes to be later gets its own when its first message arrives."""

    def __init__(self, bus: EmbeddedBus, clock: Clock, deliver: Deliver, bury: Bury) -> None:
        self._bus = bus
        self._clock = clock
        self._deliver = deliver
        self._bury = bury
        self._subscriptions = {each.name: each for each in bus.subscriptions}
        self._pumps: dict[str, Pump] = {}

    async def start(self) -> None:
        """Deliver what lies in the queues, and whatever arrives from now on."""
        self._bus.arrived = self._arrived
        for queue, count in (await self._bus.waiting()).items():
            if self._subscription(queue) is None:
                telemetry.note("queue_unattended", "ERROR", queue=queue, count=count)
            self._arrived(queue)

    async def stop(self, grace_s: float) -> None:
        """Begin no further delivery, and give those under way so many seconds. What is unfinished comes again."""
        self._bus.arrived = unheard
        await asyncio.gather(*(pump.stop(grace_s) for pump in self._pumps.values()))

    def _arrived(self, queue: str) -> None:
        subscription = self._subscription(queue)
        if subscription and queue not in self._pumps:
            self._pumps[queue] = Pump(queue, subscription, self._bus, self._clock, self._deliver, self._bury)
        if queue in self._pumps:
            self._pumps[queue].wake()

    def _subscription(self, queue: str) -> Subscription | None:
        return self._subscriptions.get(queue.partition(":")[0])


class Pump:
    """Delivers one queue, many messages at once. One that fails steps out for a while, then joins the queue's end."""

    def __init__(
        self, queue: str, subscription: Subscription, bus: EmbeddedBus, clock: Clock, deliver: Deliver, bury: Bury
    ) -> None:
        self._queue = queue
        self._subscription = subscription
        self._bus = bus
        self._clock = clock
        self._deliver = deliver
        self._note_burial = bury
        self._something_new = asyncio.Event()
        self._room = asyncio.Semaphore(ROOM)
        self._slots = asyncio.Semaphore(subscription.concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        # Whoever publishes the first message has nothing to do with the others.
        self._pumping = asyncio.create_task(self._pump(), context=contextvars.Context())

    def wake(self) -> None:
        self._something_new.set()

    async def stop(self, grace_s: float) -> None:
        self._pumping.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                for _ in range(self._subscription.concurrency):
                    await self._slots.acquire()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._pumping, *self._tasks, return_exceptions=True)

    async def _pump(self) -> None:
        place = 0
        while True:
            self._something_new.clear()
            page = await self._insist(partial(self._bus.after, self._queue, place, PAGE))
            for waiting in page:
                await self._room.acquire()
                await self._slots.acquire()
                place = waiting.number
                task = asyncio.create_task(self._handle(waiting))
                self._tasks.add(task)
                task.add_done_callback(self._handled)
            if not page:
                await self._something_new.wait()

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _handle(self, waiting: Waiting) -> None:
        try:
            again = await self._attempt(waiting)
        finally:
            self._slots.release()
        if again:
            await self._clock.sleep(backoff_s(self._subscription, waiting.attempts))
            await self._insist(partial(self._bus.requeue, waiting))

    async def _attempt(self, waiting: Waiting) -> bool:
        """Deliver the message, and put down what came of it. Whether it is to be tried again."""
        if self._clock.now() - waiting.published_at > self._subscription.retention_ms:
            await self._bury(waiting)
            return False
        if await self._delivered(waiting):
            await self._insist(partial(self._bus.remove, waiting))
            return False
        await self._insist(partial(self._bus.count_attempt, waiting))
        if waiting.attempts + 1 < self._subscription.attempts:
            return True
        await self._bury(waiting)
        return False

    async def _delivered(self, waiting: Waiting) -> bool:
        try:
            return 200 <= await self._deliver(self._subscription, waiting.message, waiting.published_at) < 300
        except Exception as error:
            self._note("message_not_delivered", waiting, error=type(error).__name__, where=telemetry.where(error))
            return False

    async def _bury(self, waiting: Waiting) -> None:
        _, _, topic = self._queue.partition(":")
        await self._insist(partial(self._note_burial, self._subscription, topic, waiting.message))
        await self._insist(partial(self._bus.bury, waiting, noted=self._note_burial is not unnoted))
        self._note("message_dead", waiting)

    def _note(self, event: telemetry.EventName, waiting: Waiting, **fields: object) -> None:
        telemetry.note(event, "ERROR", queue=self._queue, message=waiting.message.id, **fields)

    async def _insist(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """The call's result, however long the database is unavailable: the disk may be full."""
        while True:
            try:
                return await call()
            except Unavailable as error:
                telemetry.note("queue_unavailable", "ERROR", queue=self._queue, error=type(error).__name__)
                await self._clock.sleep(self._subscription.backoff_s)


async def unnoted(_subscription: Subscription, _topic: str, _message: Message) -> None:
    """Dead letters lie in the file, and nobody else hears of them."""


def backoff_s(subscription: Subscription, failures_before: int) -> float:
    """How long a message waits that has failed once more."""
    return min(subscription.backoff_s * 2.0**failures_before, subscription.longest_backoff_s)
