"""The seeded scheduler: what can happen next, in an order, at times and with faults that a seed decides."""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from segue.domain.errors import SegueError, Unavailable
from tests.simulation.loop import SteppedLoop

Effect = Callable[[], Any]

MOST_STEPS = 60_000


class Violation(AssertionError):
    """The simulation saw what must never be."""


class Faults:
    """How likely each fault is, at each step where it can happen."""

    def __init__(self, **likelihoods: float) -> None:
        self.fails_before = likelihoods.get("fails_before", 0.0)
        self.loses_reply = likelihoods.get("loses_reply", 0.0)
        self.crashes = likelihoods.get("crashes", 0.0)
        self.duplicates = likelihoods.get("duplicates", 0.0)
        self.refuses = likelihoods.get("refuses", 0.0)


STORMY = Faults(fails_before=0.04, loses_reply=0.04, crashes=0.003, duplicates=0.1, refuses=0.15)
CALM = Faults()


class Instance:
    """One running copy of a function: its memory is gone once it is dead, and nothing it waits for comes any more."""

    def __init__(self, name: str, skew: int) -> None:
        self.name = name
        self.skew = skew
        self.alive = True
        self.waiting: list[asyncio.Future[Any]] = []
        """Kept, so that what a dead instance waited for is never thrown away, which would let it clean up."""


class _Action(NamedTuple):
    """Something that can happen from `not_before` on; offered `number`-th."""

    not_before: int
    number: int
    run: Callable[[], None]
    instance: Instance | None


class World:
    """Everything that can happen, and the complete history of what did."""

    def __init__(self, seed: int, start: int) -> None:
        self.random = random.Random(seed)
        self.now = start
        self.faults = CALM
        self.history: list[str] = []
        self.loop = SteppedLoop(self._timer, lambda: self.now)  # type: ignore[abstract]  # as much as is used
        self._ready: list[_Action] = []
        self._later: list[_Action] = []
        self._offered = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.steps = 0

    def note(self, line: str) -> None:
        self.history.append(f"{self.now} {line}")

    def chance(self, likelihood: float) -> bool:
        return likelihood > 0 and self.random.random() < likelihood

    # What can happen

    def offer(self, run: Callable[[], None], *, delay: int = 0, instance: Instance | None = None) -> None:
        """Let this happen at some time, no sooner than in `delay` ms; never, if its instance is dead by then."""
        self._offered += 1
        heapq.heappush(self._later, _Action(self.now + delay, self._offered, run, instance))

    def start(self, coroutine: Coroutine[Any, Any, None], done: Callable[[BaseException | None], None]) -> None:
        """Run a coroutine, and say how it ended."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: done(ended.exception()))

    async def call(self, instance: Instance, name: str, effect: Effect, risk: float = 1.0) -> Any:
        """A call of a port: its effect is one step and its reply another, and a fault can come at either.

        What is on its way when its sender dies may still take effect, or not. `risk` scales how likely faults are.
        """
        reply = self.loop.create_future()
        instance.waiting.append(reply)
        if instance.alive:
            self.offer(lambda: self._take_effect(instance, name, effect, reply, risk))
        return await reply

    async def sleep(self, instance: Instance, seconds: float) -> None:
        """Return after at least that long, if the instance lives to see it."""
        reply = self.loop.create_future()
        instance.waiting.append(reply)
        self.offer(lambda: reply.set_result(None), delay=round(seconds * 1_000), instance=instance)
        await reply

    def _take_effect(
        self, instance: Instance, name: str, effect: Effect, reply: asyncio.Future[Any], risk: float
    ) -> None:
        if self.chance(self.faults.fails_before * risk) or (not instance.alive and self.chance(0.5)):
            self.note(f"{instance.name} {name}: fails before its effect")
            self._answer(instance, reply, None, Unavailable(f"{name} failed"))
            return
        try:
            result, error = effect(), None
        except SegueError as raised:
            result, error = None, raised
        self.note(f"{instance.name} {name}: {type(error).__name__ if error else 'takes effect'}")
        if self.chance(self.faults.loses_reply * risk):
            self.note(f"{instance.name} {name}: the reply is lost")
            result, error = None, Unavailable(f"the reply of {name} was lost")
        self._answer(instance, reply, result, error)

    def _answer(self, instance: Instance, reply: asyncio.Future[Any], result: Any, error: SegueError | None) -> None:
        self.offer(lambda: reply.set_exception(error) if error else reply.set_result(result), instance=instance)

    def _timer(self, delay: float, ring: Callable[[], None]) -> None:
        self.offer(ring, delay=round(delay * 1_000))

    # What does happen

    def step(self) -> bool:
        """Let one thing happen, or time go on to when something can. False if nothing is left that could."""
        while self._later and self._later[0].not_before <= self.now:
            self._ready.append(heapq.heappop(self._later))
        if not self._ready:
            self.now = self._later[0].not_before if self._later else self.now
            return bool(self._later)
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Violation("it does not come to rest")
        self.now += self.random.randrange(20) if self.chance(0.97) else self.random.randrange(20_000)
        index = self.random.randrange(len(self._ready))
        self._ready[index], self._ready[-1] = self._ready[-1], self._ready[index]
        action = self._ready.pop()
        if action.instance is None or action.instance.alive:
            action.run()
            self.loop.drain()
        return True
