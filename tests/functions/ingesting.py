"""Ingest on the embedded platform in a folder of its own, with the demo's catalogue and a clock that stands still."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import msgspec

from emulator.catalog import load
from functions.ingest.routes import application
from segue import wiring
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import ManualClock
from segue.catalogs import Catalogs
from segue.domain.message import (
    EVENTS,
    EVENTS_RECEIVED,
    EVENTS_REFUSED,
    LINK_REQUESTED,
    MEMBERSHIPS,
    EventsReceived,
    EventsRefused,
    LinkRequested,
)
from segue.ports import Message
from segue.settings import Settings
from segue.wiring import Platform
from tests.embedded import ports_of
from tests.functions.bad_input import WRITE_KEY, Case
from tests.project.files import ROOT

NOW = 1_715_342_400_000
"""2024-05-10T12:00:00Z, when everything arrives."""

EVALUATE = Subscription(name="evaluate", topic=EVENTS)
UPDATE = Subscription(name="update", topic=MEMBERSHIPS)

DATA = {EVENTS_RECEIVED: EventsReceived, EVENTS_REFUSED: EventsRefused, LINK_REQUESTED: LinkRequested}


class Ingest:
    """The app, a client of it, and what it has published."""

    def __init__(self, embedded: EmbeddedPlatform, platform: Platform, clock: ManualClock) -> None:
        numbers = count(1)
        self.platform = platform
        self.app = application(platform, lambda: f"id-{next(numbers)}")
        self.clock = clock
        self._embedded = embedded
        self._seen = 0
        transport = httpx.ASGITransport(self.app, client=("198.51.100.7", 50_000))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def post(self, path: str, body: Any, key: str | None = WRITE_KEY, **headers: str) -> httpx.Response:
        """Send JSON, with the key as Basic user name."""
        auth = httpx.USE_CLIENT_DEFAULT if key is None else httpx.BasicAuth(key, "")
        return await self.http.post(path, json=body, auth=auth, headers=headers)

    async def answer(self, case: Case) -> httpx.Response:
        """What is answered to a case."""

        async def body() -> AsyncIterator[bytes]:
            for chunk in case.chunks():
                yield chunk

        auth = (case.key, "") if case.key is not None else None
        return await self.http.request(case.method, case.path, content=body(), auth=auth, headers=dict(case.headers))

    async def messages(self) -> list[Message]:
        """What was published since this was last asked."""
        waiting = await self._embedded.bus.after(f"{EVALUATE.name}:{EVENTS}", self._seen, 10_000)
        self._seen = max([self._seen, *(each.number for each in waiting)])
        return [each.message for each in waiting]

    async def published(self) -> list[Any]:
        """The data of those messages."""
        return [msgspec.json.decode(each.data, type=DATA[each.type]) for each in await self.messages()]


@cache
def _catalog() -> bytes:
    return load(ROOT / "infra" / "catalog")


@asynccontextmanager
async def ingesting(
    folder: Path,
    *,
    subscribed: bool = True,
    source: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Ingest]:
    """Ingest; `source` changes the demo's source, `environment` adds to the least one. Nobody subscribed: what is
    published cannot be kept."""
    clock = ManualClock(NOW)
    embedded = EmbeddedPlatform.open(folder, clock, [EVALUATE, UPDATE] if subscribed else [])
    try:
        documents = msgspec.json.decode(_catalog())
        documents["sources"]["shop"] |= source or {}
        await embedded.catalog.publish(msgspec.json.encode(documents))
        ports = ports_of(embedded, clock)
        settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": "a secret of the tests", **(environment or {})})
        platform = Platform(
            settings=settings,
            ports=ports,
            catalogs=Catalogs(embedded.catalog, clock),
            locate=wiring.places(settings),
        )
        ingest = Ingest(embedded, platform, clock)
        async with ingest.http:
            yield ingest
    finally:
        await embedded.close()
