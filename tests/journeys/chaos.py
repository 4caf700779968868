"""Segue on Google's emulators with a network between that delivers every message twice, and in shuffled order.

`python -m tests.journeys.chaos` takes the options that `segue run --platform google` has.
"""

import asyncio
import multiprocessing
import random
import socket
import sys
from contextlib import suppress
from pathlib import Path

import click
import httpx
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.google_host import run_google
from emulator.server import HOST, listening, serve

SEED = 7
GATHERED_S = 1.0
"""How long messages are gathered before they go on in another order."""

AT_ONCE = 32


class Network:
    """Acknowledges every message, keeps it for a while, and then delivers it twice among others."""

    def __init__(self) -> None:
        self._order = random.Random(SEED)
        self._kept: list[tuple[str, list[tuple[bytes, bytes]], bytes]] = []
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, request: Request) -> Response:
        headers = [(name, value) for name, value in request.headers.raw if name not in (b"host", b"connection")]
        message = (f"http://{HOST}:{request.path_params['port']}/", headers, await request.body())
        self._kept += [message, message]
        return Response(status_code=204)

    async def deliver(self) -> None:
        """Again and again: what was gathered goes on, shuffled."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            while True:
                await asyncio.sleep(GATHERED_S)
                gathered, self._kept = self._kept, []
                self._order.shuffle(gathered)
                for message in gathered:
                    await self._slots.acquire()
                    task = asyncio.create_task(self._pass_on(http, *message))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, http: httpx.AsyncClient, url: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Push the message until it is acknowledged."""
        acknowledged = False
        try:
            while not acknowledged:
                with suppress(httpx.TransportError):
                    acknowledged = (await http.post(url, headers=headers, content=body)).is_success
                await asyncio.sleep(0 if acknowledged else 1)
        finally:
            self._slots.release()

    async def run(self, listener: socket.socket) -> None:
        delivering = asyncio.create_task(self.deliver())
        await serve(Starlette(routes=[Route("/{port:int}/", self.accept, methods=["POST"])]), listener)
        delivering.cancel()


def _run(listener: socket.socket) -> None:
    uvloop.run(Network().run(listener))


@click.command()
@click.option("--port", type=int)
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--catalog", type=click.Path(path_type=Path))
def main(port: int, data: Path, catalog: Path) -> None:
    listener = listening(0)
    multiprocessing.Process(target=_run, args=[listener], daemon=True).start()
    between = f"http://{HOST}:{listener.getsockname()[1]}"
    run_google(
        port,
        data,
        catalog,
        lambda url: click.echo(f"Chaos answers at {url}"),
        pushed_to=lambda functions: {name: f"{between}/{httpx.URL(url).port}/" for name, url in functions.items()},
    )


if __name__ == "__main__":
    sys.exit(main())
