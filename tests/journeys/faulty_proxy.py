"""A proxy that fails as servers and networks do, in a given order, and remembers what clients sent through it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, TypeAlias

import h11
import httpx
import msgspec

Fault: TypeAlias = Literal["429", "500", "dropped before", "dropped after", "500 after"]
"""What happens to a request: it is refused, its connection breaks before or after it has reached its end, or it has
reached it and the answer is lost."""

HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}

ANSWER_WITHIN_S = 30.0


class Request(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Told(NamedTuple):
    """A POST, what was done to it, and the status that its client saw; None if it saw a broken connection."""

    request: Request
    fault: Fault | None
    status: int | None


class FaultyProxy:
    """Hands requests on to one address. Each POST takes the next fault (None: it is left alone); other methods none."""

    def __init__(self, upstream: httpx.AsyncClient, faults: Iterator[Fault | None]) -> None:
        self._upstream = upstream
        self._faults = faults
        self._open: set[asyncio.StreamWriter] = set()
        self.told: list[Told] = []

    def calls(self) -> list[dict[str, Any]]:
        """Every tracking call that a client has sent, as often as it did."""
        return [call for told in self.told for call in _calls(told.request)]

    def delivered(self) -> set[str]:
        """The message ids of the calls that some client saw accepted."""
        return {call["messageId"] for told in self.told if told.status == 200 for call in _calls(told.request)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until either side ends it."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
        self._open.add(writer)
        try:
            while request := await _request(connection, reader):
                answer = await self._answer(request)
                if answer is None:
                    writer.transport.abort()
                    return
                headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
                for event in (
                    h11.Response(status_code=answer.status, headers=headers),
                    h11.Data(data=b"" if request.method == "HEAD" else answer.body),
                    h11.EndOfMessage(),
                ):
                    writer.write(connection.send(event) or b"")
                await writer.drain()
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        """Break what is still open: clients keep connections for later."""
        for writer in self._open:
            writer.transport.abort()

    async def _answer(self, request: Request) -> Answer | None:
        if request.method != "POST":
            return await self._handed_on(request)
        fault = next(self._faults, None)
        reached = None if fault in ("429", "500", "dropped before") else await self._handed_on(request)
        answer = _injected(fault, request) if fault else reached
        self.told.append(Told(request, fault, answer.status if answer else None))
        return answer

    async def _handed_on(self, request: Request) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        found = await self._upstream.request(request.method, request.target, headers=headers, content=request.body)
        kept = {name: value for name, value in found.headers.items() if name not in HOP_BY_HOP}
        return Answer(found.status_code, kept, found.content)


@asynccontextmanager
async def proxying(upstream: str, faults: Iterable[Fault | None]) -> AsyncIterator[tuple[FaultyProxy, str]]:
    """The proxy before this address, and its own."""
    async with httpx.AsyncClient(base_url=upstream, timeout=ANSWER_WITHIN_S, trust_env=False) as client:
        proxy = FaultyProxy(client, iter(faults))
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        async with server:
            yield proxy, "http://{}:{}".format(*server.sockets[0].getsockname())
            proxy.close()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or None at its end."""
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head:
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None


def _injected(fault: Fault, request: Request) -> Answer | None:
    """As Segue itself would answer, headers for pages included; None breaks the connection."""
    if fault.startswith("dropped"):
        return None
    headers = {"content-type": "application/json", "access-control-expose-headers": "Retry-After"}
    if "origin" in request.headers:
        headers["access-control-allow-origin"] = request.headers["origin"]
    if fault == "429":
        return Answer(429, {**headers, "retry-after": "1"}, b'{"success":false}')
    return Answer(500, headers, b'{"success":false}')


def _calls(request: Request) -> Iterator[dict[str, Any]]:
    data = gzip.decompress(request.body) if request.body.startswith(b"\x1f\x8b") else request.body
    body = msgspec.json.decode(data)
    yield from body.get("batch", [body])
