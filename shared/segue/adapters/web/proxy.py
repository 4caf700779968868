"""A proxy on this machine's own address that connects only to vetted addresses, for clients that connect by themselves.

A library that brings its own network, resolver included, is told to go through it: so what is vetted is what is
connected to, for redirects too.
"""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from segue.adapters.web.vetting import Resolve, resolve, vetted
from segue.domain.errors import SegueError

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect: TypeAlias = Callable[[str, int], Awaitable[Streams]]

LONGEST_HEAD = 16_384
HEAD_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
CHUNK = 65_536


class VettingProxy:
    """Tunnels to public addresses, for whoever was given its URL. It belongs to the event loop that starts it.

    `resolve` and `connect` are the system's unless a test brings its own.
    """

    def __init__(self, resolve: Resolve = resolve, connect: Connect = asyncio.open_connection) -> None:
        self._resolve = resolve
        self._connect = connect
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None

    async def url(self) -> str:
        """Where it answers, with what it wants to be told; it starts at the first call."""
        if self._server is None:
            self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=LONGEST_HEAD)
        port = self._server.sockets[0].getsockname()[1]
        return f"http://segue:{self._token}@127.0.0.1:{port}"

    async def close(self) -> None:
        if self._server:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(HEAD_TIMEOUT_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self._tunnel(head.decode("latin-1"), reader, writer)
        finally:
            writer.close()

    async def _tunnel(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        if method != "CONNECT" or not self._knows(headers):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        try:
            there = await self._connected(host.strip("[]"), int(port))
        except (SegueError, OSError, TimeoutError):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_copied(reader, there[1]), _copied(there[0], writer))

    def _knows(self, headers: list[str]) -> bool:
        wanted = base64.b64encode(f"segue:{self._token}".encode()).decode()
        said = (header.partition(":") for header in headers)
        return any(
            name.lower() == "proxy-authorization" and hmac.compare_digest(value.strip(), f"Basic {wanted}")
            for name, _, value in said
        )

    async def _connected(self, host: str, port: int) -> Streams:
        error: Exception = ConnectionError(f"{host} has no address")
        for address in await vetted(host, port, self._resolve, allow_private=False):
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await self._connect(address, port)
            except (OSError, TimeoutError) as refused:
                error = refused
        raise error


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on whatever comes until there is no more, and hang up then."""
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
