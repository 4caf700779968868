"""The catalogue in force: what was published last, compiled, and never more than a moment old."""

import asyncio
from collections.abc import Mapping

import msgspec

from segue import ports, telemetry
from segue.domain import catalog as definitions
from segue.domain import edition as editions
from segue.domain import rules
from segue.domain.decision import Place
from segue.domain.document import Standing, StateDocument
from segue.domain.edition import Edition
from segue.domain.errors import SegueError, Unavailable
from segue.domain.time import MINUTE, SECOND

FRESH = 2 * SECOND
"""Older than that, one request starts a refresh and goes on with what there is."""

STALE = MINUTE
"""Older than that, requests wait for the refresh: so long may a revoked key live on."""

NOT_READ = "the catalogue cannot be read"
NOTHING_PUBLISHED = "no catalogue has been published"

PATIENCE_S = 2.0
"""How long a request waits for a refresh before it goes on with what there is."""


class Compiled(msgspec.Struct, frozen=True):
    """One published version, ready for use.

    `program` answers. While measurements are being filled from the archive, `waiting` are the segments that it answers
    as they were defined before, and `prepared` is the program to come. `filled`: see `Edition`. `slots` are made ready
    for decisions.
    """

    version: int
    catalog: definitions.Catalog
    program: rules.Program
    slots: Mapping[str, Place] = {}
    prepared: rules.Program | None = None
    waiting: frozenset[str] = frozenset()
    filled: int = 0

    def state_of(self, stored: StateDocument) -> rules.State:
        """A profile's state, to be answered from by `program`. Raises `Invalid` for corrupt bytes."""
        successor = stored.prepared
        if stored.catalog <= self.filled and successor is not None and successor.catalog == self.filled:
            return rules.decode(successor.state)
        return rules.decode(stored.state)


def compiled(published: ports.PublishedCatalog) -> Compiled:
    """A published version, compiled. Raises `Invalid` if it is broken; what `publish` has checked is believed."""
    edition = editions.read(published.data)
    catalog = definitions.read(edition.definitions)
    program, places = catalog.program(), catalog.places()
    bridge = rules.bridge(_answering(edition.over), program) if edition.over else None
    if bridge is None:
        return Compiled(published.version, catalog, program, places, filled=edition.filled)
    return Compiled(published.version, catalog, bridge.program, places, program, bridge.waiting, edition.filled)


def _answering(edition: Edition) -> rules.Program:
    program = definitions.read(edition.definitions).program()
    bridge = rules.bridge(_answering(edition.over), program) if edition.over else None
    return program if bridge is None else bridge.program


def is_behind(stored: StateDocument | Standing, compiled: Compiled) -> bool:
    """Whether a profile's state has yet to be brought up to the version in force, and to what that one prepares."""
    if stored.is_erased:
        return False
    if stored.catalog < compiled.version:
        return True
    ready = stored.prepared is not None and stored.prepared.catalog >= compiled.version
    return compiled.prepared is not None and not ready


async def publish(catalog: ports.Catalog, data: bytes) -> ports.PublishedCatalog:
    """Publish definitions (the JSON of their documents) as the next version; the same ones change nothing.

    They are in force at once if the states of profiles hold all that they measure. Where they do not, the definitions
    before go on answering until tick has seen to it. Raises `Invalid` if they are broken, `Conflict` if somebody else
    published meanwhile.
    """
    current = await catalog.current()
    before = editions.read(current.data) if current else None
    after = succession(before, data)
    if current and after is before:
        return current
    return await catalog.publish(editions.written(after), expects=current.version if current else 0)


def succession(before: Edition | None, data: bytes) -> Edition:
    """What comes after an edition (None: nothing was published yet) once these definitions are published: itself if
    they are the same. Raises `Invalid` if they are broken."""
    edition = editions.read(data)
    if before and edition.definitions == before.definitions:
        return before
    program = definitions.parse(edition.definitions).program()
    if before is None:
        return edition
    over = before if rules.bridge(_answering(before), program) else None
    return Edition(definitions=edition.definitions, over=over, filled=before.filled)


async def finish(catalog: ports.Catalog, filled: int) -> None:
    """Put version `filled`, whose measurements every profile has now, in force as the next one."""
    current = await catalog.current()
    if current is not None and current.version == filled:
        edition = Edition(definitions=editions.read(current.data).definitions, filled=filled)
        await catalog.publish(editions.written(edition), expects=filled)


class Catalogs:
    """Reads the published catalogue for one instance of a function, one refresh at a time.

    Once a version has been read there is always one to go on with: while no newer one can be read, or the newer one is
    broken, the log says so and the one before stays in force. An instance belongs to one event loop.
    """

    def __init__(self, catalog: ports.Catalog, clock: ports.Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._held: Compiled | None = None
        self._lacking = NOT_READ
        self._newest = 0
        self._read_at = 0
        self._tried_at = 0
        self._refresh: asyncio.Task[None] | None = None
        self._given_up: asyncio.Task[None] | None = None

    @property
    def held(self) -> Compiled | None:
        """The version to go on with, however old; None before one was read."""
        return self._held

    async def current(self, patience_s: float = PATIENCE_S) -> Compiled:
        """The version in force, at most `STALE` old unless it cannot be read within `patience_s`. Once a refresh has
        taken longer than that, nobody else waits for it while there is a version to go on with.

        Raises `Unavailable` if there is none to go on with, and says why.
        """
        now = self._clock.now()
        if self._held is None or now - self._tried_at > FRESH:
            self._refreshing(now)
        refresh, is_stale = self._refresh, now - self._read_at > STALE
        if refresh and (self._held is None or (is_stale and refresh is not self._given_up)):
            await asyncio.wait([refresh], timeout=patience_s)
            self._given_up = None if refresh.done() else refresh
        if self._held is None:
            raise Unavailable(self._lacking)
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
        self._lacking = NOT_READ
        try:
            published = await self._catalog.current()
            self._read_at = now
            self._lacking = f"catalogue version {published.version} is broken" if published else NOTHING_PUBLISHED
            if published and published.version > self._newest:
                self._newest = published.version
                self._held = compiled(published)
                telemetry.note("catalog_refreshed", version=published.version)
        except SegueError as error:
            telemetry.note("catalog_not_refreshed", "ERROR", version=self._newest, error=error)
