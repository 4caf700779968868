"""A thousand open streams on one instance: what each costs, and how soon one page, or all of them, are told.

`python -m tests.bench.stream DATA` serves the instance, on the embedded platform, and what only the benchmark asks:
`/announce?first=0&count=1000` announces that something happens to so many visitors.
"""

import asyncio
import re
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import msgspec
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator import catalog
from emulator.server import listening, serve
from functions.stream.hub import Limits
from functions.stream.routes import ADDRESS, application
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.catalogs import Catalogs
from segue.domain import document
from segue.domain.membership import Transition
from segue.domain.message import MEMBERSHIP_CHANGED, MEMBERSHIPS, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE
from segue.domain.visitor_token import issued
from segue.ports import Message, Write
from segue.settings import Settings
from segue.wiring import Platform
from tests.bench.measurement import Measurement, percentile
from tests.bench.server import CATALOG, serving
from tests.embedded import ports_of

PAGES, SINGLES, ROUNDS = 1_000, 200, 5
SECRET = "of-the-benchmark"  # noqa: S105  # of this run alone
MANY_FILES = 8_192
SOON_S = 60.0

SSE = "GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
WEBSOCKET = (
    "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Told:
    """When pages were told something since `expect`."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self._wanted = 0
        self._all = asyncio.Event()

    def note(self) -> None:
        self.at.append(time.perf_counter())
        if len(self.at) >= self._wanted:
            self._all.set()

    def expect(self, wanted: int) -> None:
        self.at, self._wanted = [], wanted
        self._all.clear()

    async def all(self) -> None:
        async with asyncio.timeout(SOON_S):
            await self._all.wait()


class Page(asyncio.Protocol):
    """An open page, on the bare transport, so that it costs little beside the instance that is measured."""

    def __init__(self, request: str, told: Told) -> None:
        self._request = request
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        if any(word in data for word in (b"refetchEvaluation", b"connected", b"retry:")):
            self._told.note()


def streams() -> Sequence[Measurement]:
    """What pages take and what they leave behind, and the time from an announcement until they are told."""
    command = (sys.executable, "-m", "tests.bench.stream")
    with tempfile.TemporaryDirectory() as folder, serving(*command, folder) as (host, port):
        return uvloop.run(_measured(host, port))


async def _measured(host: str, port: int) -> Sequence[Measurement]:
    _allow_many_files()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=SOON_S, trust_env=False) as http:
        async with _open(host, port, SSE, 10):
            pass
        empty = await _memory(http)
        async with _open(host, port, SSE, PAGES) as told:
            first = await _memory(http)
            everybody = await _notified(http, told, 0, PAGES)
            await asyncio.sleep(Limits().gap)
            singles = [await _notified(http, told, number, 1) for number in range(SINGLES)]
        rounds = []
        for _ in range(1 + ROUNDS):
            await _until_gone(http)
            async with _open(host, port, SSE, PAGES):
                rounds.append(await _memory(http))
        await _until_gone(http)
        async with _open(host, port, WEBSOCKET, PAGES):
            sockets = await _memory(http)
    figures = (
        ("stream-1000-memory", (first - empty) / PAGES, "KiB", f"each, beside {empty:,.0f} of the instance"),
        ("stream-1000-memory-socket", (sockets - empty) / PAGES, "KiB", "each, as WebSockets"),
        (
            "stream-1000-left",
            (rounds[-1] - rounds[0]) / PAGES / ROUNDS,
            "KiB",
            "of each that has ended, over 5,000 of them",
        ),
        ("stream-1000-all", everybody, "ms", "from announcing 1,000 visitors' changes until the last page is told"),
        ("stream-1000-one-p50", percentile(singles, 0.5), "ms", "one visitor's change, 1,000 pages open"),
        ("stream-1000-one-p99", percentile(singles, 0.99), "ms", "the same"),
    )
    return [Measurement(bench=name, value=value, unit=unit, note=note) for name, value, unit, note in figures]


@asynccontextmanager
async def _open(host: str, port: int, request: str, pages: int) -> AsyncIterator[Told]:
    """So many pages, each of a visitor of its own, once all of them have been told where they stand."""
    loop, told, now = asyncio.get_running_loop(), Told(), SystemClock().now()
    told.expect(pages)
    opened = []
    for number in range(pages):
        token = issued(SECRET.encode(), _visitor(number), now, 15 * MINUTE).token
        asked = request.format(path=f"{ADDRESS}?token={token}")
        transport, _ = await loop.create_connection(partial(Page, asked, told), host, port)
        opened.append(transport)
    await told.all()
    yield told
    for transport in opened:
        transport.abort()


async def _notified(http: httpx.AsyncClient, told: Told, first: int, count: int) -> float:
    """From just before it is announced until the last page is told, in ms."""
    told.expect(count)
    started = float((await http.post("/announce", params={"first": first, "count": count})).text)
    await told.all()
    return (told.at[-1] - started) * 1_000


async def _memory(http: httpx.AsyncClient) -> float:
    """The instance's resident memory, in KiB."""
    return float((await http.get("/memory")).text)


async def _until_gone(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(SOON_S):
        while int((await http.get("/open")).text):  # noqa: ASYNC110  # it is another process's
            await asyncio.sleep(0.05)


def _visitor(number: int) -> ProfileRef:
    return ProfileRef("anonymous_id", f"visitor-{number}")


def _allow_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MANY_FILES, most), most))


async def _serve(data: Path) -> None:
    _allow_many_files()
    clock = SystemClock()
    opened = EmbeddedPlatform.open(data, clock, [Subscription(name="held", topic=MEMBERSHIPS)])
    await opened.catalog.publish(catalog.load(CATALOG))
    ports = ports_of(opened, clock)
    settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": SECRET, "SEGUE_DATA": str(data)})
    app = application(
        Platform(settings=settings, ports=ports, catalogs=Catalogs(ports.catalog, clock)), lambda: uuid4().hex
    )
    hub, seqs = app.state.hub, [0] * PAGES

    async def announce(request: Request) -> Response:
        """What the instant was, on the clock that both processes share, when the documents were there."""
        first, count = (int(request.query_params[name]) for name in ("first", "count"))
        changes = [_change(number, seqs) for number in range(first, first + count)]
        for change in changes:
            data = document.encode(document.public(change))
            await ports.store.commit([Write(path=document.profile_path(change.key), data=data)])
        messages = [
            Message(id=uuid4().hex, type=MEMBERSHIP_CHANGED, source="//bench", time=0, data=msgspec.json.encode(change))
            for change in changes
        ]
        started = time.perf_counter()
        await ports.bus.publish(MEMBERSHIPS, messages)
        return Response(str(started))

    async def memory(_request: Request) -> Response:
        status = Path("/proc/self/status").read_text()  # noqa: ASYNC240  # no disk
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        return Response(found[1] if found else "0")

    async def still_open(_request: Request) -> Response:
        return Response(str(hub.open))

    app.router.routes += [
        Route("/announce", announce, methods=["POST"]),
        Route("/memory", memory),
        Route("/open", still_open),
    ]
    async with app.router.lifespan_context(app):
        with listening(0) as listener:
            print("answers at http://{}:{}".format(*listener.getsockname()), flush=True)
            await serve(app, listener, hub.ended)
    await opened.close()


def _change(number: int, seqs: list[int]) -> MembershipChanged:
    seqs[number] += 1
    visitor, seq = _visitor(number), seqs[number]
    entered = Transition(segment="s", transition="entered", at=seq, seq=seq, definition="1", reason="event")
    return MembershipChanged(
        key=profile_key(SECRET.encode(), visitor),
        profile=visitor,
        seq=seq,
        catalog=1,
        at=seq,
        known_until=None,
        memberships={},
        transitions=(entered,),
    )


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {"stream-1000": streams}


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
