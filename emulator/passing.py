"""Passes on what a function tells for as long as somebody listens, as a load balancer does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import httpx
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from emulator.topology import function_of
from functions.stream.routes import while_there

OF_ONE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"}
"""Headers that say something of a connection or a body, not of what is passed on."""


def is_stream(answer: httpx.Response) -> bool:
    """Whether an answer goes on for as long as somebody listens."""
    kind: str = answer.headers.get("content-type", "")
    return kind.startswith("text/event-stream")


async def passed_on(answer: httpx.Response) -> AsyncIterator[bytes]:
    """An answer's body as it comes, to its end, however that comes about."""
    try:
        with suppress(httpx.TransportError):
            async for chunk in answer.aiter_raw():
                yield chunk
    finally:
        await answer.aclose()


class Sockets:
    """WebSockets, to the function that their path belongs to. Only what the function says is passed on."""

    def __init__(self, functions: Mapping[str, str]) -> None:
        self._functions = functions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        function = function_of(scope["path"])
        if function is None:
            await send({"type": "websocket.close"})
        else:
            await while_there(receive, self._passed_on(self._functions[function], scope, send))

    async def _passed_on(self, function: str, scope: Scope, send: Send) -> None:
        address = f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if _is_the_pages(name)]
        url = function.replace("http", "ws", 1) + address
        async with connect(
            url, additional_headers=headers, user_agent_header=None, compression=None, proxy=None
        ) as found:
            await send({"type": "websocket.accept"})
            with suppress(ConnectionClosed):
                while True:
                    await send({"type": "websocket.send", "text": await found.recv(decode=True)})
            await send({"type": "websocket.close", "code": found.close_code, "reason": found.close_reason or ""})


def _is_the_pages(name: bytes) -> bool:
    return name.decode() not in OF_ONE_CONNECTION and not name.startswith(b"sec-websocket-")
