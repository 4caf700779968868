"""Every profile is brought up to the catalogue in force, those who are quiet too; then what was filled is in force.

A pass goes through all states, in parts if they are many, and tells evaluate of those that are behind. Passes follow
each other until one finds none. What is done lies in one document, so that it goes on wherever a tick was cut short;
profiles that are told twice are brought up once.
"""

from collections.abc import Sequence

import msgspec

from segue import catalogs, telemetry
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, sweep
from segue.domain.document import STATES
from segue.domain.message import PROFILES_BEHIND, SWEEPS, ProfilesBehind
from segue.domain.sweep import Sweep
from segue.domain.time import SECOND
from segue.ports import ABSENT, Document, Message, Ports, Write

TOLD_TOGETHER = 100
"""Profiles in one message: their histories are read together."""

MOST_A_TICK = 50_000
"""States that one tick looks at; the next one goes on."""

ALL_KNOW = 5 * SECOND
"""So long after a version was seen first, every instance has it: a pass from then on finds whoever is behind."""

PATIENCE = 4
"""For each profile that was told, so many ms pass before the next pass looks whether it came up."""


class Sweeper:
    """Goes on with the sweep of the catalogue in force, if there is anything left to do."""

    def __init__(self, ports: Ports, catalogs: Catalogs) -> None:
        self._ports = ports
        self._catalogs = catalogs

    async def __call__(self, at: int) -> None:
        """Let one more part of the states be looked at, their profiles carried on to `at` (epoch ms)."""
        compiled = await self._catalogs.current()
        stored = await self._ports.store.get(sweep.PATH)
        now = self._ports.clock.now()
        before = sweep.decode(stored.data) if stored else sweep.begun(0, now)
        if before.catalog > compiled.version:
            compiled = await self._catalogs.at_least(before.catalog)
        if before.catalog < compiled.version:
            before = sweep.begun(compiled.version, now)
        elif before.done or now < before.not_before:
            return
        after = await self._pass(before, compiled, at, now)
        if after.done and compiled.prepared is not None:
            await catalogs.finish(self._ports.catalog, compiled.version)
            telemetry.note("measurements_filled", version=compiled.version)
        await self._ports.store.commit([_write(stored, after)])

    async def _pass(self, before: Sweep, compiled: Compiled, at: int, now: int) -> Sweep:
        """The sweep after one more part, to the end of the pass if it comes to that."""
        began = before.began if before.after else now
        seen, last, behind = before.seen, before.after, list[str]()
        async for last, found in self._ports.store.scan(STATES, before.after):
            seen += 1
            standing = document.standing(found.data)
            if standing is not None and catalogs.is_behind(standing, compiled):
                behind.append(last)
            if seen - before.seen == MOST_A_TICK:
                await self._tell(behind, compiled.version, at)
                behind_now = before.behind + len(behind)
                return msgspec.structs.replace(before, began=began, after=last, seen=seen, behind=behind_now)
        await self._tell(behind, compiled.version, at)
        number = before.behind + len(behind)
        return Sweep(
            catalog=before.catalog,
            first_seen=before.first_seen,
            began=began,
            not_before=now + number * PATIENCE,
            profiles=seen,
            left=number,
            done=number == 0 and began >= before.first_seen + ALL_KNOW,
        )

    async def _tell(self, behind: Sequence[str], version: int, at: int) -> None:
        for first in range(0, len(behind), TOLD_TOGETHER):
            keys = tuple(behind[first : first + TOLD_TOGETHER])
            await self._ports.bus.publish(SWEEPS, [_behind(keys, version, at)])


def _behind(keys: tuple[str, ...], version: int, at: int) -> Message:
    return Message(
        id=f"{keys[0]}:behind:{version}:{at}",
        type=PROFILES_BEHIND,
        source="//segue/tick",
        time=at,
        data=msgspec.json.encode(ProfilesBehind(keys=keys, catalog=version, at=at)),
    )


def _write(stored: Document | None, after: Sweep) -> Write:
    return Write(path=sweep.PATH, data=sweep.encode(after), expects=stored.version if stored else ABSENT)
