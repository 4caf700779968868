"""Trying again at once when another writer came first."""

import zlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from segue import telemetry
from segue.domain.errors import Conflict
from segue.ports import Clock

WAITS_S = (0.02, 0.08, 0.3)
"""The longest wait before each further try; three waits make four tries."""

SHORTEST_WAIT_S = 0.005

Result = TypeVar("Result")


async def on_conflict(clock: Clock, name: str, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """What `attempt` returns; it reads anew each time. Raises the last Conflict when no try is left.

    Waits between tries are spread by `name`, so that those who collided do not collide again and a run can be repeated.
    """
    for number, longest in enumerate(WAITS_S):
        try:
            return await attempt()
        except Conflict:
            telemetry.note("commit_conflicted", "DEBUG", attempt=number + 1)
            share = zlib.crc32(f"{name}:{number}".encode()) / 2**32
            await clock.sleep(SHORTEST_WAIT_S + share * (longest - SHORTEST_WAIT_S))
    return await attempt()
