"""How streams are served: nothing of an address is logged, for tokens are in it, and an end is told to open streams."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from functions.stream.hub import Limits

LARGEST_SAID = 1_024
"""Bytes a page may send in a message, to which nobody listens."""


NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's own, which leaves open and unanswered what cannot be a handshake, such as one of too many headers."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(NO_HANDSHAKE)
            self.transport.close()


class Server(uvicorn.Server):
    """Calls `ending` when it is told to end, before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)


def config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """How to serve an app; `options` are uvicorn's own."""
    return uvicorn.Config(
        app,
        **options,
        ws=Sockets,
        ws_ping_interval=Limits().heartbeat,
        ws_ping_timeout=Limits().stuck,
        ws_max_size=LARGEST_SAID,
        ws_per_message_deflate=False,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
