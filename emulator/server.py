"""One address on this machine: a port of our own, and an ASGI application served on it until a signal comes."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from functions.stream.server import Server, config
from segue.domain.errors import Unavailable

HOST = "127.0.0.1"

ENDED_WITHIN_S = 5
"""How long requests that are under way may take once the process is told to end."""


class _Server(Server):
    """Leaves the signals to `serve`: uvicorn would raise them again, and cut short what has to be ended after it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(port: int) -> socket.socket:
    """A socket that listens on the port of the loopback address, or on a free one for 0. Raises Unavailable if another
    process has the port."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()
    except OSError as error:
        found.close()
        raise Unavailable(f"port {port} of {HOST} cannot be used ({error.strerror}); --port takes another") from error
    return found


_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback address that nobody has, and that no call gave before: whoever got that one may be about
    to take it."""
    while True:
        with listening(0) as probe:
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def _nothing() -> None:
    """Nobody is told of the end."""


async def serve(app: ASGIApp, listener: socket.socket, ending: Callable[[], None] = _nothing) -> None:
    """Serve until the process is interrupted or asked to end; then call `ending`, and finish what is under way."""
    server = _Server(config(app, lifespan="off", timeout_graceful_shutdown=ENDED_WITHIN_S), ending)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[listener])
