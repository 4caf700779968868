"""Who listens on this instance, by profile: what is announced rings where somebody waits for it, and nowhere else."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from segue import tracing
from segue.domain.errors import Throttled, Unavailable
from segue.domain.message import MEMBERSHIP_CHANGED
from segue.domain.profile import Key
from segue.ports import Message


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one instance takes on. Durations are in seconds.

    `most`: open streams, as many as Cloud Run sends to an instance at most. `of_visitor`: those of one visitor.
    `heartbeat`: so often a stream that has nothing to tell says so, for proxies cut off what is silent for a minute.
    `longest`: the life of a stream, of which each is given a little less, for Cloud Run ends requests after an hour.
    `gap`: the least time between two hints of one stream. `patience`: how long a hint waits until lookups see what it
    is about. `stuck`: how long a client may take nothing at all.
    """

    most: int = 1_000
    of_visitor: int = 20
    heartbeat: float = 15.0
    longest: float = 3_300.0
    gap: float = 0.5
    patience: float = 3.0
    stuck: float = 60.0


RETRY_AFTER_S = 10
"""When a visitor with too many streams may come again."""


class Announced(msgspec.Struct, frozen=True):
    """Of MembershipChanged what a stream has to know: the rest lookups tell."""

    key: Key
    seq: int
    transitions: Sequence[msgspec.Raw]
    into: Key | None = None
    decides_anew: bool = False

    @property
    def is_news(self) -> bool:
        """Whether the visitor is in other segments, is perhaps shown something else, or turned out to be another."""
        return bool(self.transitions) or self.decides_anew or self.into is not None


class Ear:
    """What one stream has heard of the profiles it follows: by key the newest snapshot's number, and the newest one's
    that was news. However much is heard, that is all that is kept."""

    def __init__(self) -> None:
        self.follows: set[str] = set()
        self.heard: dict[str, int] = {}
        self.news: dict[str, int] = {}
        self.ended = False
        self._rung = asyncio.Event()

    def hear(self, announced: Announced) -> None:
        """Ring for a snapshot."""
        self.heard[announced.key] = max(announced.seq, self.heard.get(announced.key, 0))
        if announced.is_news:
            self.news[announced.key] = max(announced.seq, self.news.get(announced.key, 0))
        self._rung.set()

    def end(self) -> None:
        """Ring for the last time."""
        self.ended = True
        self._rung.set()

    async def rings(self, within_s: float) -> bool:
        """Whether it rings in that time; what is heard from then on rings again."""
        try:
            async with asyncio.timeout(within_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Hub:
    """Everybody who listens. There is nobody to listen while what is announced may not be heard."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ears: dict[str, set[Ear]] = {}
        self._all: set[Ear] = set()
        self._of_visitor: Counter[str] = Counter()
        self._hears = False

    def begun(self) -> None:
        """From now on everything that is announced is heard."""
        self._hears = True

    def ended(self) -> None:
        """Nothing is heard any more: every stream ends, and its page comes again."""
        self._hears = False
        for ear in self._all:
            ear.end()

    def hear(self, message: Message) -> None:
        """Ring where somebody waits for what was announced."""
        if message.type != MEMBERSHIP_CHANGED:
            return
        try:
            announced = msgspec.json.decode(message.data, type=Announced)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        ears = self._ears.get(announced.key, ())
        if ears:
            with tracing.call("stream", "consumer", message.trace, function="stream", streams=len(ears)):
                for ear in ears:
                    ear.hear(announced)

    @contextmanager
    def listening(self, visitor: str) -> Iterator[Ear]:
        """An ear for a visitor, named by the profile's key, for as long as the block runs.

        Raises Throttled if the visitor has too many, and Unavailable if the instance has, or nothing is heard.
        """
        if not self._hears:
            raise Unavailable("nothing is heard of what changes just now")
        if self.open >= self._limits.most:
            raise Unavailable(f"expected at most {self._limits.most} open streams on an instance")
        if self._of_visitor[visitor] >= self._limits.of_visitor:
            raise Throttled(f"expected at most {self._limits.of_visitor} open streams of a visitor", RETRY_AFTER_S)
        ear = Ear()
        self._all.add(ear)
        self._of_visitor[visitor] += 1
        try:
            yield ear
        finally:
            self.follow(ear, ())
            self._all.discard(ear)
            self._of_visitor[visitor] -= 1
            if not self._of_visitor[visitor]:
                del self._of_visitor[visitor]

    def follow(self, ear: Ear, keys: Collection[str]) -> None:
        """Let an ear hear of these profiles, and of no others."""
        for key in ear.follows.difference(keys):
            self._ears[key].discard(ear)
            if not self._ears[key]:
                del self._ears[key]
        for key in keys:
            self._ears.setdefault(key, set()).add(ear)
        ear.follows = {*keys}

    @property
    def open(self) -> int:
        """How many streams there are."""
        return len(self._all)
