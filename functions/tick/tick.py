"""Time itself is an event: whatever profile has something to announce by now is told so."""

import asyncio
from collections.abc import Mapping

import msgspec

from functions.tick.sweep import Sweeper
from segue.catalogs import Catalogs
from segue.domain import strict
from segue.domain.document import STATES
from segue.domain.message import EVENTS, PROFILE_DUE, TICK, ClockName, ProfileDue, Tick
from segue.domain.profile import SHARDS
from segue.ports import Message, Ports

KINDS = {TICK: Tick}

SHARDS_OF: Mapping[ClockName, range] = {"wall": range(SHARDS), "import": range(SHARDS, 2 * SHARDS)}
"""The shards of the due index that each clock drives."""

MOST_PER_SHARD = 10_000
"""Profiles one tick tells in each shard, those due first before others; the next tick finds the rest."""


AT_ONCE = 8
"""Shards asked for at the same time. Firestore answers from an index; its emulator reads every document each time."""


class Ticker:
    """Publishes one `segue.profile.due` for each profile that is due, the same however often a tick is repeated."""

    def __init__(self, ports: Ports, catalogs: Catalogs) -> None:
        self._ports = ports
        self._catalogs = catalogs
        self._sweep = Sweeper(ports, catalogs)

    async def __call__(self, message: Message) -> None:
        """Return once every profile that was due `grace` before the tick, or earlier, has been told.

        On the wall's clock, bringing all profiles up to the catalogue goes on, too.
        """
        tick = strict.decode_one_of(message.type, message.data, KINDS)
        grace = (await self._catalogs.current()).catalog.settings.grace
        until = (message.time if tick.at is None else tick.at) - grace
        slots = asyncio.Semaphore(AT_ONCE)
        for told in await asyncio.gather(
            *(self._tell(shard, until, slots) for shard in SHARDS_OF[tick.clock]), return_exceptions=True
        ):
            if told is not None:
                raise told
        if tick.clock == "wall":
            await self._sweep(until)

    async def _tell(self, shard: int, until: int, slots: asyncio.Semaphore) -> None:
        async with slots:
            keys = await self._ports.store.due(STATES, shard, until, MOST_PER_SHARD)
        if keys:
            await self._ports.bus.publish(EVENTS, [_due(key, until) for key in keys])


def _due(key: str, until: int) -> Message:
    return Message(
        id=f"{key}:due:{until}",
        type=PROFILE_DUE,
        source="//segue/tick",
        time=until,
        data=msgspec.json.encode(ProfileDue(key=key, at=until)),
    )
