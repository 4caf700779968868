"""A subscriber's address: an HTTP server that keeps what is pushed to it and answers as it is told."""

import asyncio
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

WITHIN_S = 120.0


class Pushed(msgspec.Struct, frozen=True):
    """One request that reached the subscriber."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class Receiver:
    """Answers 204, unless `answers` still holds statuses for the message's id."""

    url: str

    def __init__(self) -> None:
        self.app = Starlette(routes=[Route("/", self.take, methods=["POST"])])
        self.pushed: list[Pushed] = []
        self.answers: defaultdict[str, list[int]] = defaultdict(list)
        self._arrived = asyncio.Condition()

    async def take(self, request: Request) -> Response:
        pushed = Pushed(dict(request.headers), await request.body())
        async with self._arrived:
            self.pushed.append(pushed)
            self._arrived.notify_all()
        answers = self.answers[pushed.id]
        return Response(status_code=answers.pop(0) if answers else 204)

    async def until(self, enough: Callable[[Counter[str]], bool]) -> None:
        """Return once the number of deliveries of each message id is enough; fail if that does not come about."""
        try:
            async with asyncio.timeout(WITHIN_S), self._arrived:
                await self._arrived.wait_for(lambda: enough(self._counts()))
        except TimeoutError:
            pytest.fail(f"in {WITHIN_S:g} s there came only {self._counts()}")

    def _counts(self) -> Counter[str]:
        return Counter(pushed.id for pushed in self.pushed)

    async def until_all(self, ids: Iterable[str]) -> None:
        wanted = set(ids)
        await self.until(lambda counts: wanted <= counts.keys())


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port of 127.0.0.1, until the block ends."""
    receiver = Receiver()
    async with serving(receiver.app) as receiver.url:
        yield receiver


@asynccontextmanager
async def serving(app: Starlette, key: Path | None = None, certificate: Path | None = None) -> AsyncIterator[str]:
    """The app on a free port of 127.0.0.1, until the block ends: its URL. With the files of a key and its certificate
    it speaks TLS."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who connects before the server has started waits for it
        server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", log_level="warning", ssl_keyfile=key, ssl_certfile=certificate)
        )
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = server.force_exit = True
            await running
