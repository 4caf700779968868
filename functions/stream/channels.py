"""The two ways in which a page is told, with the same messages: server-sent events and WebSocket."""

from collections.abc import Mapping

from starlette.types import Send

from functions.stream.stream import End
from segue.domain import hint

SHORTEST_RETRY_MS, LONGEST_RETRY_MS = 1_000, 5_000
"""When a page comes again after its stream has ended. Many end at once when an instance does."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),
]
"""nginx would keep what it is sent until it has more."""

CODES: Mapping[End, int] = {"expired": 4401, "over": 1001, "ended": 1012}
"""Of a socket that is closed: with 4401 a new token is wanted, with the others the page comes again."""


class Events:
    """Server-sent events, as the HTML standard has them. The position is the event's id: the browser sends it back as
    `Last-Event-ID` when it comes again."""

    def __init__(self, send: Send, share: float) -> None:
        self._send = send
        self._retry_ms = int(SHORTEST_RETRY_MS + share * (LONGEST_RETRY_MS - SHORTEST_RETRY_MS))

    async def open(self, position: str) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._write(f"retry: {self._retry_ms}\nid: {position}\n\n".encode())

    async def tell(self, position: str) -> None:
        await self._write(b"id: %s\ndata: %s\n\n" % (position.encode(), hint.message(hint.REFETCH, position)))

    async def beat(self) -> None:
        await self._write(b":\n\n")

    async def end(self, _why: End) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _write(self, text: bytes) -> None:
        await self._send({"type": "http.response.body", "body": text, "more_body": True})


class Socket:
    """A WebSocket. The server pings by itself."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def open(self, position: str) -> None:
        await self._send({"type": "websocket.accept"})
        await self._say(hint.CONNECTED, position)

    async def tell(self, position: str) -> None:
        await self._say(hint.REFETCH, position)

    async def beat(self) -> None:
        pass

    async def end(self, why: End) -> None:
        await self._send({"type": "websocket.close", "code": CODES[why], "reason": why})

    async def _say(self, kind: str, position: str) -> None:
        await self._send({"type": "websocket.send", "text": hint.message(kind, position).decode()})
