"""The address of stream, in two protocols; and the instance behind it, which listens for as long as it serves."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from functions.stream.admission import Admission
from functions.stream.channels import Events, Socket
from functions.stream.hub import Hub, Limits
from functions.stream.stream import Channel, Stream
from segue import entrypoint, metrics, telemetry
from segue.browsers import Answers
from segue.domain.errors import SegueError, Throttled, Unauthorized, Unavailable
from segue.domain.message import MEMBERSHIPS
from segue.ports import Ports

FUNCTION, ADDRESS = "stream", "/v1/stream"

CACHING = b"private, no-store"

LAST_EVENT_ID = "last-event-id"
"""The header in which a browser says by itself what it was told last; `lastEventID` in the address, for who cannot."""

BEGUN_WITHIN_S = 10.0
"""How long an instance that hears nothing yet is not served: later it answers, with 503."""

PAUSE_S = 1.0

CLOSED: Mapping[type[Exception], int] = {Unauthorized: 4401, Throttled: 4429, Unavailable: 1013, Exception: 4400}
"""With which code a socket is closed that is not served: the first entry that the error is an instance of decides."""

LONGEST_REASON = 120
"""Characters, all ours and ASCII, that fit into the frame that closes a socket."""

DISCONNECTED = {"http.disconnect", "websocket.disconnect"}


def application(platform: entrypoint.Serving, new_id: Callable[[], str], limits: Limits | None = None) -> Starlette:
    """The app of one instance; `new_id` names its subscription. Its `state.hub` knows all of its streams."""
    limits = limits or Limits()
    hub = Hub(limits)
    stream = Stream(platform.ports, platform.settings.profile_secret, hub, limits)
    streaming = Streaming(Admission(platform), hub, stream)

    @asynccontextmanager
    async def listening(_app: Starlette) -> AsyncIterator[None]:
        begun = asyncio.Event()
        with metrics.OnBehalfOf(FUNCTION):
            task = asyncio.create_task(listen(platform.ports, hub, new_id, begun))
        with suppress(TimeoutError):
            await asyncio.wait_for(begun.wait(), BEGUN_WITHIN_S)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app = Starlette(
        routes=[
            _only_get(Route(ADDRESS, AsEvents(streaming))),
            WebSocketRoute(ADDRESS, AsSocket(streaming)),
            *(Route(path, answer) for path, answer in entrypoint.BESIDE.items()),
        ],
        middleware=[
            Middleware(entrypoint.Observed, FUNCTION),
            Middleware(Answers, platform.catalogs, CACHING),
            Middleware(entrypoint.BugsAnswered),
        ],
        exception_handlers=entrypoint.exception_handlers,
        lifespan=listening,
    )
    app.state.hub = hub
    return app


async def listen(ports: Ports, hub: Hub, new_id: Callable[[], str], begun: asyncio.Event) -> None:
    """Let the hub hear what is announced, again and again if that is interrupted; `begun` tells of the first time."""

    def begin() -> None:
        hub.begun()
        begun.set()

    while True:
        try:
            await ports.bus.listen(MEMBERSHIPS, f"stream-{new_id()}", begin, hub.hear)
        except Unavailable as error:
            telemetry.note("listening_interrupted", "WARNING", topic=MEMBERSHIPS, error=type(error).__name__)
        finally:
            hub.ended()
        await ports.clock.sleep(PAUSE_S)


class Streaming:
    """Serves one stream: admits who asks, and tells them until they go or it ends."""

    def __init__(self, admission: Admission, hub: Hub, stream: Stream) -> None:
        self._admission = admission
        self._hub = hub
        self._stream = stream

    async def __call__(self, connection: HTTPConnection, receive: Receive, channel: Channel) -> None:
        """Raises what is refused before the channel is opened."""
        visitor = await self._admission.visitor(connection)
        told = connection.headers.get(LAST_EVENT_ID) or connection.query_params.get("lastEventID")
        with self._hub.listening(visitor.key) as ear:
            await while_there(receive, self._stream(visitor, told, ear, channel))


class AsEvents:
    """GET /v1/stream: server-sent events."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        share = zlib.crc32(repr(scope["client"]).encode()) / 2**32
        await self._streaming(HTTPConnection(scope), receive, Events(send, share))


class AsSocket:
    """The same as a WebSocket. A browser tells a page nothing of an answer that refuses one: so it is opened all the
    same, and closed with a code that says why."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._streaming(HTTPConnection(scope), receive, Socket(send))
        except SegueError as error:
            entrypoint.count_error(error)
            await send({"type": "websocket.accept"})
            code = next(code for kind, code in CLOSED.items() if isinstance(error, kind))
            await send({"type": "websocket.close", "code": code, "reason": str(error)[:LONGEST_REASON]})


async def while_there(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Do the work for as long as the client is there and takes what it is sent. What the client says is not heard."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, leaving):
            task.cancel()
        ended, _ = await asyncio.gather(working, leaving, return_exceptions=True)
    if isinstance(ended, Exception) and not isinstance(ended, OSError):
        raise ended


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] not in DISCONNECTED:
        pass


def _only_get(route: Route) -> Route:
    """Without HEAD: there is no length, nor an end, to tell of."""
    route.methods = {"GET"}
    return route
