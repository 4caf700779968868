"""Lookups over 32 connections on both platforms, warm and cold, beside a function that does nothing."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeAlias

from emulator.client import DEMO_SECRET_KEY, Client
from emulator.google_emulators import google_emulators
from tests.bench.http import CALL, GOAL, MEASURED_S, RUNS, UNIT, WARM_S, post
from tests.bench.measurement import Measurement, in_turn
from tests.bench.server import SERVER_CORE, bare, load, pinned, platform, serving
from tests.function_on_google import function_on_google, publish

Served: TypeAlias = Callable[[], AbstractContextManager[tuple[str, int]]]
"""Starts a process, says at which host and port it answers, and ends it."""

KNOWN = "visitor-1"
RECENT_MS = {"warm": "250", "uncached": "0"}
"""How long documents are kept: as in the cloud, and not at all."""

NOTES = {
    "warm": "the visitor's document was read less than 250 ms ago",
    "uncached": "every request reads the visitor's document",
    "cold": "the first request of a new process, until it is answered",
}

ASKED: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "lookup": ("/v1/decide", {"profile": {"anonymous_id": KNOWN}, "slots": ["homepage-hero"]}),
    "ofrep-bulk": ("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": KNOWN}}),
}
"""One slot; and every slot and segment of the demo's catalogue as a flag."""


def _rate(served: Served, request: bytes) -> float:
    with served() as (host, port):
        load(host, port, request, WARM_S)
        return load(host, port, request, MEASURED_S)


def _first(served: Served, request: bytes) -> float:
    """How long the first request takes, in ms."""
    with served() as (host, port):
        started = time.perf_counter()
        connection = HTTPConnection(host, port)
        connection.connect()
        connection.sock.sendall(request)
        status = connection.response_class(connection.sock)
        status.begin()
        status.read()
        return (time.perf_counter() - started) * 1_000


def _measured(name: str, request: bytes, kinds: Mapping[str, Served], reference: Served) -> Sequence[Measurement]:
    """The rates of the kinds `warm` and `uncached`, and how long the first request of `cold` takes, each in turn with
    the reference."""
    rates = [partial(_rate, kinds[kind], request) for kind in RECENT_MS]
    *found, first, bare_rate, bare_first = in_turn(
        RUNS,
        *rates,
        partial(_first, kinds["cold"], request),
        partial(_rate, reference, request),
        partial(_first, reference, request),
    )
    return [
        *(
            Measurement(
                bench=f"{name}-{kind}",
                value=rate,
                unit=UNIT,
                reference=bare_rate,
                ratio=rate / bare_rate,
                goal=GOAL,
                note=NOTES[kind],
            )
            for kind, rate in zip(RECENT_MS, found, strict=True)
        ),
        Measurement(
            bench=f"{name}-cold",
            value=first,
            unit="ms",
            reference=bare_first,
            ratio=first / bare_first,
            note=NOTES["cold"],
        ),
    ]


@contextmanager
def _embedded(recent_ms: str, *, known: bool = True) -> Iterator[tuple[str, int]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(*platform(Path(folder)), SEGUE_RECENT_MS=recent_ms) as (host, port),
    ):
        if known:
            asyncio.run(_visit(f"http://{host}:{port}"))
        yield host, port


async def _visit(url: str) -> None:
    async with Client.connected(url) as client:
        await client.call({**CALL, "anonymousId": KNOWN, "messageId": "message-1"})
        await client.settle()


def embedded(name: str, path: str, question: Mapping[str, object]) -> Sequence[Measurement]:
    """The whole platform in one process."""
    kinds: dict[str, Served] = {kind: partial(_embedded, recent_ms) for kind, recent_ms in RECENT_MS.items()}
    kinds["cold"] = partial(_embedded, "0", known=False)
    return _measured(name, post(path, question, DEMO_SECRET_KEY), kinds, lambda: serving(*bare()))


def google(name: str, path: str, question: Mapping[str, object]) -> Sequence[Measurement]:
    """The function alone in a process of functions-framework, on Firestore's emulator, which has the other core."""
    project, core = f"bench-{uuid.uuid4().hex[:12]}", pinned(SERVER_CORE, ())
    with google_emulators() as emulators:
        asyncio.run(publish(emulators, project, [KNOWN]))
        started = partial(function_on_google, emulators, project, prefix=core)
        kinds: dict[str, Served] = {
            kind: partial(started, SEGUE_RECENT_MS=recent_ms) for kind, recent_ms in RECENT_MS.items()
        }
        kinds["cold"] = started
        reference = partial(started, "bare", "tests/bench/bare.py")
        return _measured(name, post(path, question, DEMO_SECRET_KEY), kinds, reference)


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    **{name: partial(embedded, name, *asked) for name, asked in ASKED.items()},
    **{f"{name}-google": partial(google, f"{name}-google", *asked) for name, asked in ASKED.items()},
}
