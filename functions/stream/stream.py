"""A page is told that its visitor's segments have changed, for as long as it listens."""

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Literal, Protocol, TypeAlias

import msgspec

from functions.stream.hub import Ear, Hub, Limits
from segue.domain import document, hint, membership
from segue.domain.errors import Invalid, Unavailable
from segue.domain.links import MOST_REDIRECTS
from segue.domain.membership import Interval
from segue.domain.time import SECOND
from segue.ports import Ports

FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_GROWTH = 0.002, 0.2, 1.5

CLOCKS_DIFFER_BY = 20
"""Milliseconds, on instances beside each other: to a lookup, too, the instant has to be past that a page is told of."""

JITTER = 0.1
"""By so much of its life a stream ends earlier than the longest: not all that began together come again together."""

End: TypeAlias = Literal["expired", "over", "ended"]
"""Why a stream ends: whoever listens may no longer, or it was open for long enough, or the instance ends."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who listens, by the profile's key: until the instant `until` (epoch ms; None: for as long as a stream lives), and
    while they are `admitted`."""

    key: str
    until: int | None = None
    admitted: Callable[[], Awaitable[bool]]


class Channel(Protocol):
    """How a page is told. Every call returns once the page's network has room for more."""

    async def open(self, position: str) -> None:
        """Say where the visitor stands; the first call."""
        ...

    async def tell(self, position: str) -> None:
        """Say that it has changed."""
        ...

    async def beat(self) -> None:
        """Say that nothing has, for a while."""
        ...

    async def end(self, why: End) -> None:
        """The last call."""
        ...


class Stand(msgspec.Struct, frozen=True):
    """How far a visitor had come at the instant `at`, as lookups see it: the newest snapshot's number of each of their
    profiles, by key, and the memberships of the last. An anonymous visitor's own profile is first, and last the user's
    who they turned out to be."""

    at: int
    seqs: Mapping[str, int]
    memberships: Mapping[str, tuple[Interval, ...]]

    @property
    def key(self) -> str:
        """Of the profile that lookups answer for."""
        return next(reversed([*self.seqs]))

    def lacks(self, announced: Mapping[str, int]) -> bool:
        """Whether something was announced of these profiles that is not in it."""
        return any(announced.get(key, 0) > seq for key, seq in self.seqs.items())


class Stream:
    """Tells pages what the hub hears, each by a channel of its own."""

    def __init__(self, ports: Ports, secret: bytes, hub: Hub, limits: Limits) -> None:
        self._store = ports.store
        self._clock = ports.clock
        self._secret = secret
        self._hub = hub
        self._limits = limits

    async def __call__(self, visitor: Visitor, told: str | None, ear: Ear, channel: Channel) -> None:
        """Tell a page until it ends. `told` is the position that it was told last, None if it was told none.

        First the ear is put on the profile, then it is read: what is announced in between rings, and what was missed
        before is seen by the position. Raises Unavailable, with the channel not yet open, if it cannot be read.
        """
        ends = asyncio.get_running_loop().time() + self._life_s(visitor, told)
        stand = await self._stand(ear, visitor.key)
        await self._sent(channel.open(self._position(stand)))
        if told not in (None, self._position(stand)):
            await self._sent(channel.tell(self._position(stand)))
        await self._sent(channel.end(await self._told(visitor, stand, ear, channel, ends)))

    async def _told(self, visitor: Visitor, stand: Stand, ear: Ear, channel: Channel, ends: float) -> End:
        """Tell whatever changes, or from time to time that nothing does; why there is nothing more to be told.

        It changes when that is announced, and when its time has come: memberships are known ahead.
        """
        loop = asyncio.get_running_loop()
        silent_until = loop.time() + self._limits.heartbeat
        while not ear.ended and loop.time() < ends:
            within = min(ends, silent_until) - loop.time()
            rang = await ear.rings(min(within, self._seconds_to_step(stand)))
            beats = loop.time() >= silent_until
            if rang or self._seconds_to_step(stand) <= 0 or (beats and stand.lacks(ear.heard)):
                before, stand = stand, await self._settled(ear, visitor.key, stand)
                if self._position(stand) != self._position(before) or before.lacks(ear.news):
                    await self._sent(channel.tell(self._position(stand)))
                    await asyncio.sleep(self._limits.gap)
            if beats:
                await self._sent(channel.beat())
                silent_until = loop.time() + self._limits.heartbeat
                if not await visitor.admitted():
                    return "expired"
        if ear.ended:
            return "ended"
        return "over" if visitor.until is None or self._clock.now() < visitor.until else "expired"

    async def _settled(self, ear: Ear, key: str, stand: Stand) -> Stand:
        """Where the visitor stands once lookups see what was heard: a page that asks at once gets the new answer.

        After a while as it is then: what lacks is told all the same, and looked for again when the heart beats.
        """
        loop = asyncio.get_running_loop()
        patience, pause = loop.time() + self._limits.patience, FIRST_PAUSE_S
        while loop.time() < patience:
            with suppress(Unavailable):
                stand = await self._stand(ear, key)
                if not stand.lacks(ear.heard):
                    return stand
            await asyncio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)
        return msgspec.structs.replace(stand, at=self._clock.now())

    async def _stand(self, ear: Ear, key: str) -> Stand:
        """Where the visitor stands. Their ear is on each profile before it is read."""
        seqs: dict[str, int] = {}
        for _ in range(1 + MOST_REDIRECTS):
            self._hub.follow(ear, {*ear.follows, key})
            found = await self._store.get(document.profile_path(key))
            try:
                profile = document.decode_profile(found.data) if found else None
            except Invalid as error:
                raise Unavailable(f"the visitor's document cannot be read: {error}") from error
            seqs[key] = profile.seq if profile else 0
            if profile is None or profile.into is None:
                self._hub.follow(ear, seqs.keys())
                return Stand(self._clock.now(), seqs, profile.memberships if profile else {})
            key = profile.into
        raise Unavailable("the visitor's documents refer to each other")

    def _position(self, stand: Stand) -> str:
        return hint.position(self._secret, stand.key, membership.at(stand.memberships, stand.at))

    def _seconds_to_step(self, stand: Stand) -> float:
        """How long it is until the next instant at which a membership begins or ends is past on every clock."""
        step = membership.next_step(stand.memberships, stand.at)
        return math.inf if step is None else (step + CLOCKS_DIFFER_BY - self._clock.now()) / SECOND

    def _life_s(self, visitor: Visitor, told: str | None) -> float:
        now = self._clock.now()
        share = zlib.crc32(f"{visitor.key}:{told}:{now}".encode()) / 2**32
        life = self._limits.longest * (1 - JITTER * share)
        return life if visitor.until is None else min(life, (visitor.until - now) / SECOND)

    async def _sent(self, sending: Awaitable[None]) -> None:
        """Raises TimeoutError if the client takes nothing for too long."""
        async with asyncio.timeout(self._limits.stuck):
            await sending
