"""A network between clients and a port of this machine that slows down, stands still or breaks when it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

from emulator.server import HOST

State: TypeAlias = Literal["whole", "slow", "still", "broken"]
"""What becomes of bytes: they go on at once, 2 s later, not before something else is said, or the connection breaks."""

SLOW_S = 2.0
PIECE = 65_536


class Wire:
    """Carries bytes both ways between whoever connects and one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self._state: State = "whole"

    def turn(self, state: State) -> None:
        """From now on."""
        self._state = state
        if state == "still":
            self._moving.clear()
        else:
            self._moving.set()
        if state == "broken":
            for writer in self._writers:
                writer.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state == "broken":
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(HOST, self._port)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, far_writer))
                both.create_task(self._carry(far_reader, writer))
        except* (ConnectionError, RuntimeError):
            pass
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes that were on their way when the wire was told to slow down or stand still do so too."""
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def arrive() -> None:
            while piece := await reader.read(PIECE):
                await arriving.put((self._now + (SLOW_S if self._state == "slow" else 0.0), piece))
            raise ConnectionError

        async def leave() -> None:
            while True:
                due, piece = await arriving.get()
                await asyncio.sleep(max(0.0, due - self._now))
                await self._moving.wait()
                writer.write(piece)
                await writer.drain()

        async with asyncio.TaskGroup() as both:
            both.create_task(arrive())
            both.create_task(leave())

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def wired(port: int) -> AsyncIterator[tuple[Wire, str]]:
    """The wire to this port, and the address (host:port) of its other end."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.connected, HOST, 0)
    async with server:
        yield wire, "{}:{}".format(*server.sockets[0].getsockname())
        wire.turn("broken")
