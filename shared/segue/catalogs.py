"""The catalogue in force: what was published last, compiled, and never more than a moment old."""

import asyncio

import msgspec

from segue import ports, telemetry
from segue.domain import catalog as definitions
from segue.domain import rules
from segue.domain.errors import Invalid, SegueError, Unavailable
from segue.domain.time import MINUTE, SECOND

FRESH = 2 * SECOND
"""Older than that, one request starts a refresh and goes on with what there is."""

STALE = MINUTE
"""Older than that, requests wait for the refresh: so long may a revoked key live on."""

PATIENCE_S = 2.0
"""How long a request waits for a refresh before it goes on with what there is."""


class Compiled(msgspec.Struct, frozen=True):
    """One published version, ready for use."""

    version: int
    catalog: definitions.Catalog
    program: rules.Program


def compiled(published: ports.PublishedCatalog) -> Compiled:
    """A published version, checked and compiled. Raises `Invalid` if it is broken."""
    try:
        documents = msgspec.json.decode(published.data)
    except msgspec.DecodeError as error:
        raise Invalid(f"expected JSON, found {error}") from error
    catalog = definitions.parse(documents)
    return Compiled(published.version, catalog, catalog.program())


class Catalogs:
    """Reads the published catalogue for one instance of a function, one refresh at a time.

    Once a version has been read there is always one to go on with: while no newer one can be read, or the newer one is
    broken, the log says so and the one before stays in force. An instance belongs to one event loop.
    """

    def __init__(self, catalog: ports.Catalog, clock: ports.Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._held: Compiled | None = None
        self._newest = 0
        self._read_at = 0
        self._tried_at = 0
        self._refresh: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether there is a version to go on with, however old."""
        return self._held is not None

    async def current(self, patience_s: float = PATIENCE_S) -> Compiled:
        """The version in force, at most `STALE` old unless it cannot be read within `patience_s`.

        Raises `Unavailable` if there is none to go on with.
        """
        now = self._clock.now()
        if self._held is None or now - self._tried_at > FRESH:
            self._refreshing(now)
        if self._refresh and (self._held is None or now - self._read_at > STALE):
            await asyncio.wait([self._refresh], timeout=patience_s)
        if self._held is None:
            raise Unavailable("no catalogue that can be used has been published")
        return self._held

    async def at_least(self, version: int) -> Compiled:
        """This version or a newer one, read now unless it is held. Raises `Unavailable` if there is only an older one.

        A refresh that is already under way may have begun before the version was published, hence a second.
        """
        for _ in range(2):
            if self._held and self._held.version >= version:
                return self._held
            await asyncio.wait([self._refreshing(self._clock.now())])
        if self._held and self._held.version >= version:
            return self._held
        raise Unavailable(f"version {version} of the catalogue cannot be read yet")

    def _refreshing(self, now: int) -> asyncio.Task[None]:
        if self._refresh is None or self._refresh.done():
            self._tried_at = now
            self._refresh = asyncio.create_task(self._read(now))
        return self._refresh

    async def _read(self, now: int) -> None:
        try:
            published = await self._catalog.current()
            self._read_at = now
            if published and published.version > self._newest:
                self._newest = published.version
                self._held = compiled(published)
                telemetry.note("catalog_refreshed", version=published.version)
        except SegueError as error:
            telemetry.note("catalog_not_refreshed", "ERROR", version=self._newest, error=error)
