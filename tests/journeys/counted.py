"""Segue on Google's emulators with proxies between that count: what functions ask for, and what is pushed to them.

`python -m tests.journeys.counted` takes the options that `segue run --platform google` has. What was counted is
answered at the address in `counted.url` in the data folder: per function, what the emulators did for it.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import grpc  # type: ignore[import-untyped]  # it has no stubs
import httpx
import msgspec
from google.cloud.firestore_v1.types import firestore
from google.pubsub_v1 import PublishRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.google_host import run_google
from emulator.server import HOST, listening, serve
from emulator.topology import topology

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients ask oftener than a server puts up with
]

SMALLEST_REQUEST = 1_000
"""Bytes that Pub/Sub bills for a request at least."""

ANSWER_WITHIN_S = 60.0

EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")


def _got(_request: bytes, _answers: Sequence[bytes]) -> Counter[str]:
    return Counter(reads=1)


def _queried(_request: bytes, answers: Sequence[bytes]) -> Counter[str]:
    found = sum(bool(firestore.RunQueryResponse.pb().FromString(answer).document.name) for answer in answers)
    return Counter(reads=max(1, found))


def _committed(request: bytes, _answers: Sequence[bytes]) -> Counter[str]:
    writes = firestore.CommitRequest.pb().FromString(request).writes
    deletes = sum(bool(write.delete) for write in writes)
    return Counter(writes=len(writes) - deletes, deletes=deletes)


def _published(request: bytes, _answers: Sequence[bytes]) -> Counter[str]:
    published = PublishRequest.pb().FromString(request)
    sizes = [len(message.data) + _length(message.attributes) for message in published.messages]
    return Counter(messages=len(sizes), published=max(SMALLEST_REQUEST, sum(sizes)))


def _length(attributes: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in attributes.items())


_BILLED: Mapping[str, Callable[[bytes, Sequence[bytes]], Counter[str]]] = {
    "GetDocument": _got,
    "RunQuery": _queried,
    "Commit": _committed,
    "Publish": _published,
}
"""What is counted of a call, by the last part of its method: documents as Firestore bills them, and messages."""


class Proxy:
    """Forwards every call of one function to one emulator, and counts what was answered: a document that is not there
    is an answer, a refused write is none."""

    def __init__(self, emulator: str, counts: Counter[str]) -> None:
        self._channel = grpc.aio.insecure_channel(emulator, options=_OPTIONS)
        self._counts = counts
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers([_Everything(self._forward)])
        self.port = self._server.add_insecure_port(f"{HOST}:0")

    async def start(self) -> None:
        await self._server.start()

    async def _forward(self, method: str, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        billed = _BILLED.get(method.rpartition("/")[2])
        asked: list[bytes] = []
        answers: list[bytes] = []

        async def kept() -> AsyncIterator[bytes]:
            async for request in requests:
                asked.append(request)
                yield request

        metadata = [pair for pair in context.invocation_metadata() if not pair[0].startswith(("grpc-", "user-agent"))]
        forward = self._channel.stream_stream(method)
        call = forward(kept() if billed else requests, metadata=metadata, timeout=context.time_remaining())
        try:
            async for answer in call:
                if billed:
                    answers.append(answer)
                yield answer
        except grpc.aio.AioRpcError as error:
            if billed is _got and error.code() == grpc.StatusCode.NOT_FOUND:
                self._counts.update(_got(b"", ()))
            await context.abort(error.code(), error.details(), tuple(error.trailing_metadata()))
        finally:
            call.cancel()
        if billed:
            self._counts.update(billed(asked[0], answers))


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # it has no stubs
    """Every method, as a stream of bytes in both directions: a single message is a stream, too."""

    def __init__(self, forward: Callable[..., AsyncIterator[bytes]]) -> None:
        self._forward = forward

    def service(self, details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(partial(self._forward, details.method))


async def _serve(listener: socket.socket, told: Connection) -> None:
    emulators: Mapping[str, str] = await asyncio.to_thread(told.recv)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ports: dict[str, dict[str, str]] = {}
    for function in topology()["functions"]:
        for variable in EMULATORS:
            proxy = Proxy(emulators[variable], counts[function])
            await proxy.start()
            ports.setdefault(function, {})[variable] = f"{HOST}:{proxy.port}"
    told.send(ports)

    async def answer(_request: Request) -> Response:
        return Response(msgspec.json.encode(counts), media_type="application/json")

    async with httpx.AsyncClient(timeout=ANSWER_WITHIN_S, trust_env=False) as http:

        async def push(request: Request) -> Response:
            headers = [pair for pair in request.headers.raw if pair[0] not in (b"host", b"connection")]
            url = f"http://{HOST}:{request.path_params['port']}/"
            answer = await http.post(url, headers=headers, content=await request.body())
            counts[request.path_params["function"]]["requests"] += 1
            return Response(answer.content, answer.status_code)

        routes = [Route("/", answer), Route("/{function}/{port:int}/", push, methods=["POST"])]
        await serve(Starlette(routes=routes), listener)


def _run(listener: socket.socket, told: Connection) -> None:
    asyncio.run(_serve(listener, told))


class Counting:
    """The proxies in a process of their own, which forks before anything speaks gRPC here."""

    def __init__(self) -> None:
        listener = listening(0)
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        self._ports: Mapping[str, Mapping[str, str]] = {}
        self._process, of_the_process = multiprocessing.Pipe()
        multiprocessing.Process(target=_run, args=[listener, of_the_process], daemon=True).start()

    def reaching(self, function: str) -> Mapping[str, str]:
        """The variables that lead a function to its proxies; those of this process lead to the emulators."""
        if not self._ports:
            self._process.send({name: os.environ[name] for name in EMULATORS})
            self._ports = self._process.recv()
        return self._ports[function]

    def pushed_to(self, functions: Mapping[str, str]) -> Mapping[str, str]:
        """Where their messages are pushed, so that they are counted on the way to these addresses."""
        return {name: f"{self.url}/{name}/{httpx.URL(url).port}/" for name, url in functions.items()}


@click.command()
@click.option("--port", type=int)
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--catalog", type=click.Path(path_type=Path))
def main(port: int, data: Path, catalog: Path) -> None:
    counting = Counting()
    data.mkdir(parents=True, exist_ok=True)
    (data / "counted.url").write_text(counting.url)
    run_google(
        port,
        data,
        catalog,
        lambda url: click.echo(f"What is counted answers at {url}"),
        pushed_to=counting.pushed_to,
        reaching=counting.reaching,
    )


if __name__ == "__main__":
    sys.exit(main())
