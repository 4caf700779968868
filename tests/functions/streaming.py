"""The stream service on the embedded platform, really served, and pages that listen to it over the network."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import websockets

from emulator.catalog import load
from functions.stream.hub import Hub, Limits
from functions.stream.routes import ADDRESS, application
from functions.stream.server import Server, config
from functions.update.update import Updater
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.catalogs import Catalogs
from segue.domain.membership import Interval, Transition
from segue.domain.message import MEMBERSHIP_CHANGED, MEMBERSHIPS, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.visitor_token import issued
from segue.ports import Message, Ports
from segue.settings import Settings
from segue.wiring import Platform
from tests.embedded import ports_of
from tests.project.files import ROOT

SECRET_KEY = "demo-secret-key"  # noqa: S105  # the demo catalogue's, known to everybody
SITE = "http://localhost:8080"
ANN, RUTH = ProfileRef("anonymous_id", "ann"), ProfileRef("user_id", "ruth")

SOON_S = 10.0
"""What comes at all has come by then, on however busy a machine."""


class Told(msgspec.Struct, frozen=True):
    """What one frame of server-sent events says: its fields, and whether it was a comment."""

    id: str = ""
    data: Any = None
    retry: int | None = None
    comment: bool = False


class Page:
    """An open page, over a connection of its own whose bytes it reads when it is told to."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def told(self) -> Told:
        """The next frame, comments included. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SOON_S):
            while line := await anext(self._lines):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        return Told(
            id=fields.get("id", ""),
            data=msgspec.json.decode(fields["data"]) if "data" in fields else None,
            retry=int(fields["retry"]) if "retry" in fields else None,
            comment="" in fields,
        )

    async def hint(self) -> Told:
        """The next frame that says something."""
        while (told := await self.told()).data is None:
            pass
        return told

    async def end(self) -> Sequence[Told]:
        """What is said until the stream ends."""
        found = []
        while True:
            try:
                found.append(await self.told())
            except StopAsyncIteration:
                return found


class Deployment:
    """An instance of the stream service, the site that hands out tokens, and what happens to its visitors."""

    def __init__(self, opened: EmbeddedPlatform, platform: Platform, hub: Hub, url: str, server: Server) -> None:
        self.opened = opened
        self.platform = platform
        self.hub = hub
        self.url = url
        self.server = server
        self._happened: dict[ProfileRef, list[Message]] = {}
        self._memberships: dict[ProfileRef, dict[str, tuple[Interval, ...]]] = {}

    def key(self, visitor: ProfileRef) -> str:
        return profile_key(self.platform.settings.profile_secret, visitor)

    def token(self, visitor: ProfileRef = ANN, lifetime: int = 60_000, ago: int = 0) -> str:
        now = self.platform.ports.clock.now()
        return issued(self.platform.settings.profile_secret, visitor, now - ago, lifetime).token

    @asynccontextmanager
    async def page(self, headers: Mapping[str, str] | None = None, **query: str) -> AsyncIterator[Page]:
        """A page that asks to listen."""
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=SOON_S, trust_env=False, verify=False) as http,  # noqa: S501  # no TLS here
            http.stream("GET", ADDRESS, params=query, headers=headers) as response,
        ):
            yield Page(response)

    @asynccontextmanager
    async def of(
        self, visitor: ProfileRef = ANN, headers: Mapping[str, str] | None = None, **query: str
    ) -> AsyncIterator[Page]:
        """A visitor's page that listens."""
        async with self.page(headers, token=self.token(visitor), **query) as page:
            assert page.response.status_code == 200, await page.response.aread()
            yield page

    def socket(self, query: str, **options: Any) -> websockets.connect:
        """A WebSocket that listens."""
        return websockets.connect(
            f"{self.url.replace('http', 'ws')}{ADDRESS}?{query}", proxy=None, open_timeout=SOON_S, **options
        )

    async def happens(
        self,
        visitor: ProfileRef = ANN,
        *,
        updated: bool = True,
        news: bool = True,
        into: ProfileRef | None = None,
        memberships: Mapping[str, tuple[Interval, ...]] | None = None,
    ) -> None:
        """Something happens to a visitor: their snapshot is announced, and `updated` on the public profile. `news`: a
        segment is entered with it, and the one before left. `into`: they turn out to be this user. `memberships`: those
        instead."""
        seq = len(self._happened.get(visitor, [])) + 1
        entered = Transition(
            segment=f"segment-{seq}", transition="entered", at=seq, seq=seq, definition="1", reason="event"
        )
        if news:
            self._memberships[visitor] = {entered.segment: ((seq, None),)}
        if memberships is not None:
            self._memberships[visitor] = dict(memberships)
        changed = MembershipChanged(
            key=self.key(visitor),
            profile=visitor,
            seq=seq,
            catalog=1,
            at=seq,
            known_until=None,
            memberships=self._memberships.get(visitor, {}),
            transitions=(entered,) if news else (),
            into=self.key(into) if into else None,
            into_since=seq if into else None,
        )
        message = Message(
            id=uuid4().hex, type=MEMBERSHIP_CHANGED, source="//tests", time=seq, data=msgspec.json.encode(changed)
        )
        self._happened.setdefault(visitor, []).append(message)
        if updated:
            await Updater(self.platform.ports)(message)
        await self.opened.bus.publish(MEMBERSHIPS, [message])

    async def again(self, visitor: ProfileRef, *, updated: bool = False) -> None:
        """The newest that happened to a visitor is announced again, or it is `updated` on the public profile."""
        message = self._happened[visitor][-1]
        if updated:
            await Updater(self.platform.ports)(message)
        else:
            await self.opened.bus.publish(MEMBERSHIPS, [message])

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once that is so."""
        async with asyncio.timeout(SOON_S):
            while not holds():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.005)


@asynccontextmanager
async def streaming(
    folder: Path, limits: Limits | None = None, ports: Callable[[Ports], Ports] = lambda ports: ports
) -> AsyncIterator[Deployment]:
    """A deployment with the demo's catalogue, on ports that may be others than the platform's."""
    clock = SystemClock()
    opened = EmbeddedPlatform.open(folder, clock, [Subscription(name="held", topic=MEMBERSHIPS)])
    await opened.catalog.publish(load(ROOT / "infra" / "catalog"))
    settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": "a secret of the tests"})
    given = ports(ports_of(opened, clock))
    platform = Platform(settings=settings, ports=given, catalogs=Catalogs(given.catalog, clock))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(opened.close)
        app = application(platform, lambda: uuid4().hex, limits)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = Server(config(app, lifespan="on", timeout_graceful_shutdown=5), app.state.hub.ended)
        serving = asyncio.create_task(server.serve([listener]))
        url = "http://{}:{}".format(*listener.getsockname())
        deployment = Deployment(opened, platform, app.state.hub, url, server)
        await deployment.until(lambda: server.started)
        try:
            yield deployment
        finally:
            server.should_exit = True
            await serving
