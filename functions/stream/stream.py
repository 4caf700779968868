"""A page is told that its visitor's segments have changed, for as long as it listens."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, Protocol, TypeAlias

import msgspec

from functions.stream.hub import Ear, Hub, Limits
from segue.domain import document, hint
from segue.domain.errors import Invalid, Unauthorized, Unavailable
from segue.domain.links import MOST_REDIRECTS
from segue.domain.time import SECOND
from segue.ports import Ports

FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_GROWTH = 0.002, 0.2, 1.5

JITTER = 0.1
"""By so much of its life a stream ends earlier than the longest: not all that began together come again together."""

End: TypeAlias = Literal["expired", "over", "ended"]
"""Why a stream ends: whoever listens may no longer, or it was open for long enough, or the instance ends."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who listens, by the profile's key: until the instant `until` (epoch ms; None: for as long as a stream lives), and
    while `check` does not raise Unauthorized."""

    key: str
    until: int | None = None
    check: Callable[[], Awaitable[None]]


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


Stand: TypeAlias = dict[str, int]
"""How far a visitor has come as lookups see it: the newest snapshot's `seq` of each profile, by its key. An anonymous
visitor's own comes first, and last that of the user who they turned out to be."""


class Stream:
    """Tells pages, each by a channel of its own, what the hub hears. Raises Unavailable if documents cannot be read."""

    def __init__(self, ports: Ports, secret: bytes, hub: Hub, limits: Limits) -> None:
        self._store = ports.store
        self._clock = ports.clock
        self._secret = secret
        self._hub = hub
        self._limits = limits

    async def __call__(self, visitor: Visitor, told: str | None, ear: Ear, channel: Channel) -> None:
        """Tell a page until it ends. `told` is the position that it was told last, None if it was told none.

        First the ear is put on the profile, then it is read: what is announced in between rings, and what was missed
        before is seen by the position.
        """
        ends = asyncio.get_running_loop().time() + self._life_s(visitor, told)
        stands = self._position(await self._stand(ear, visitor.key))
        await self._sent(channel.open(stands))
        if told not in (None, stands):
            await self._sent(channel.tell(stands))
        await self._sent(channel.end(await self._told(visitor, stands, ear, channel, ends)))

    async def _told(self, visitor: Visitor, told: str, ear: Ear, channel: Channel, ends: float) -> End:
        """Tell whatever changes; why there is nothing more to be told."""
        loop = asyncio.get_running_loop()
        while not ear.ended:
            left = ends - loop.time()
            if left <= 0:
                return "over" if visitor.until is None or self._clock.now() < visitor.until else "expired"
            if await ear.rings(min(left, self._limits.heartbeat)):
                stands = await self._settled(ear, visitor.key)
                if stands != told:
                    told = stands
                    await self._sent(channel.tell(stands))
                    await asyncio.sleep(self._limits.gap)
            elif left > self._limits.heartbeat:
                await self._sent(channel.beat())
                try:
                    await visitor.check()
                except Unauthorized:
                    return "expired"
        return "ended"

    async def _settled(self, ear: Ear, key: str) -> str:
        """The position with what was heard, once lookups see it: a page that asks at once gets the new answer."""
        loop = asyncio.get_running_loop()
        patience, pause = loop.time() + self._limits.patience, FIRST_PAUSE_S
        news: dict[str, int] = {}
        stand: Stand = {key: 0}
        while True:
            news |= ear.taken()
            with suppress(Unavailable):
                stand = await self._stand(ear, key)
                if all(stand.get(each, seq) >= seq for each, seq in news.items()):
                    return self._position(stand)
            if loop.time() > patience:
                return self._position({each: max(seq, news.get(each, 0)) for each, seq in stand.items()})
            await asyncio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)

    async def _stand(self, ear: Ear, key: str) -> Stand:
        """Where the visitor stands. Their ear is on each profile before it is read."""
        stand: Stand = {}
        for _ in range(1 + MOST_REDIRECTS):
            self._hub.follow(ear, {*ear.follows, key})
            found = await self._store.get(document.profile_path(key))
            try:
                profile = document.decode_profile(found.data) if found else None
            except Invalid as error:
                raise Unavailable(f"the visitor's document cannot be read: {error}") from error
            stand[key] = profile.seq if profile else 0
            if profile is None or profile.into is None:
                self._hub.follow(ear, stand.keys())
                return stand
            key = profile.into
        raise Unavailable("the visitor's documents refer to each other")

    def _position(self, stand: Stand) -> str:
        return hint.position(self._secret, *list(stand.items())[-1])

    def _life_s(self, visitor: Visitor, told: str | None) -> float:
        now = self._clock.now()
        share = zlib.crc32(f"{visitor.key}:{told}:{now}".encode()) / 2**32
        life = self._limits.longest * (1 - JITTER * share)
        return life if visitor.until is None else min(life, (visitor.until - now) / SECOND)

    async def _sent(self, sending: Awaitable[None]) -> None:
        """Raises TimeoutError if the client takes nothing for too long."""
        async with asyncio.timeout(self._limits.stuck):
            await sending
