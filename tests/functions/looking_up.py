"""Lookup on the embedded platform, behind the real evaluate and update, with the demo's catalogue and a still clock."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp

from emulator.catalog import load
from functions.evaluate.evaluate import Evaluator
from functions.lookup.routes import application
from functions.update.update import Updater
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import ManualClock
from segue.catalogs import Catalogs
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, MEMBERSHIPS, EventsReceived
from segue.domain.profile import IdentifierKind, ProfileRef, profile_key
from segue.ports import Document, Message, Ports, Store, Write
from segue.settings import Settings
from segue.wiring import Platform
from tests.embedded import ports_of
from tests.project.files import ROOT

NOW = 1_715_342_400_000
"""2024-05-10T12:00:00Z, when everything begins."""

SECRET_KEY = "demo-secret-key"  # noqa: S105  # the demo catalogue's, known to everybody

UPDATE = Subscription(name="update", topic=MEMBERSHIPS)


@cache
def _demo() -> bytes:
    """The demo's catalogue: reading its files takes longer than most tests."""
    return load(ROOT / "infra" / "catalog")


class ReadAlone:
    """What a store of a test shares with all others: lookup does nothing but read. How, each says itself."""

    async def commit(self, writes: Sequence[Write]) -> None:
        raise AssertionError(f"lookup writes nothing, but wrote {writes}")

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        raise AssertionError(f"lookup asks for nothing due, but asked {collection}, {shard}, {until}, {limit}")

    def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        raise AssertionError(f"lookup scans nothing, but scanned {collection} after {after!r}")


class Site:
    """A site's visitors, the CMS that asks about them, and the catalogue between them."""

    def __init__(self, embedded: EmbeddedPlatform, clock: ManualClock) -> None:
        self.embedded = embedded
        self.clock = clock
        self.settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": "a secret of the tests"})
        self.http = self.instance()
        self.ports = self._ports(embedded.store)
        self._events = 0
        self._updated = 0

    def instance(self, store: Store | None = None, recent_ms: int = 0) -> httpx.AsyncClient:
        """A client of a new instance of lookup, which reads from this store instead of the platform's."""
        transport = httpx.ASGITransport(self.app(store, recent_ms))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", auth=(SECRET_KEY, ""))

    def app(self, store: Store | None = None, recent_ms: int = 0) -> ASGIApp:
        """A new instance of lookup."""
        ports = self._ports(store or self.embedded.store)
        settings = msgspec.structs.replace(self.settings, recent_ms=recent_ms)
        platform = Platform(settings=settings, ports=ports, catalogs=Catalogs(ports.catalog, self.clock))
        return application(platform, lambda: "receipt")

    async def publish(self, **sections: Mapping[str, Any]) -> None:
        """Publish the demo's catalogue with these definitions added or replaced."""
        documents = msgspec.json.decode(_demo())
        for section, definitions in sections.items():
            documents[section] = documents.get(section, {}) | definitions
        await self.embedded.catalog.publish(msgspec.json.encode(documents, order="sorted"))

    async def happens(
        self,
        visitor: str,
        name: str,
        *,
        updated: bool = True,
        kind: IdentifierKind = "anonymous_id",
        traits: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> str:
        """An event of the visitor, now, evaluated and (unless told not to) on the public profile; its message id."""
        self._events += 1
        profile = ProfileRef(kind, visitor)
        event = Event(
            message_id=f"event-{self._events}",
            name=name,
            occurred_at=self.clock.now(),
            received_at=self.clock.now(),
            properties=properties,
            traits=dict(traits or {}),
        )
        received = EventsReceived(
            key=profile_key(self.settings.profile_secret, profile), profile=profile, source="shop", events=(event,)
        )
        message = Message(
            id=f"message-{self._events}",
            type=EVENTS_RECEIVED,
            source="//segue/ingest",
            time=self.clock.now(),
            data=msgspec.json.encode(received),
        )
        await self.embedded.archive.append(EVENTS, [message])
        await self.evaluate(message)
        if updated:
            await self.update()
        return event.message_id

    async def evaluate(self, message: Message) -> None:
        """Deliver a message of the events to a new instance of evaluate."""
        ports = self.ports
        await Evaluator(ports, Catalogs(ports.catalog, self.clock))(message)

    async def update(self) -> None:
        """Put every snapshot that was announced on its public profile."""
        waiting = await self.embedded.bus.after(f"{UPDATE.name}:{MEMBERSHIPS}", self._updated, 1_000)
        for each in waiting:
            await Updater(self.ports)(each.message)
        self._updated = max([self._updated, *(each.number for each in waiting)])

    async def segments(self, visitor: str, **parameters: str | int) -> Any:
        """What is answered for the visitor."""
        answer = await self.http.get(f"/v1/profiles/anonymous_id:{visitor}/segments", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _ports(self, store: Store) -> Ports:
        return msgspec.structs.replace(ports_of(self.embedded, self.clock), store=store)


@asynccontextmanager
async def looking_up(folder: Path, *, published: bool = True) -> AsyncIterator[Site]:
    """A site without visitors yet; the demo's catalogue is published unless told not to."""
    clock = ManualClock(NOW)
    embedded = EmbeddedPlatform.open(folder, clock, [UPDATE])
    try:
        site = Site(embedded, clock)
        if published:
            await site.publish()
        yield site
        await site.http.aclose()
    finally:
        await embedded.close()
