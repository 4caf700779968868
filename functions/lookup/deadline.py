"""How long an answer may take: a part of what the asker has, so that it has arrived by then."""

import asyncio

from segue.catalogs import Catalogs, Compiled

IN_TIME = 0.9
"""The part of the deadline after which a decision is made, so that it has arrived by the deadline."""

FOR_A_NEWER_CATALOG = 0.3
"""The part of the deadline that a stale catalogue may take to be read again; the first may take all of it."""


class Deadline:
    """So many milliseconds from now, when the question has arrived; `at` is the instant on the event loop's clock."""

    def __init__(self, deadline_ms: int) -> None:
        self._seconds = deadline_ms / 1_000
        self.at = asyncio.get_running_loop().time() + self._seconds * IN_TIME

    async def catalog(self, catalogs: Catalogs) -> Compiled:
        """The catalogue, in time for something to be read after it. Raises `Unavailable` if there is none."""
        return await catalogs.current(self._seconds * (FOR_A_NEWER_CATALOG if catalogs.held else IN_TIME))
