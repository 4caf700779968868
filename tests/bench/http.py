"""Requests a second of ingest over 32 connections, beside a function that does nothing."""

import tempfile
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import orjson

from emulator.client import DEMO_WRITE_KEY
from tests.bench.load import NUMBER
from tests.bench.measurement import Measurement, in_turn
from tests.bench.server import bare, held, load, platform, serving

Server: TypeAlias = Callable[[Path], tuple[str, ...]]
"""The command that serves, with its files in a folder."""

RUNS = 3
WARM_S, MEASURED_S = 1.0, 4.0
UNIT, GOAL = "requests/s", ">= 0.5"

CALL = {
    "type": "track",
    "event": "Product Viewed",
    "anonymousId": "visitor-{n:012}",
    "messageId": "message-{n:012}",
    "properties": {"product_id": "dresses-1", "category": "dresses", "price": 79.9, "currency": "EUR"},
    "context": {"page": {"path": "/dresses/1", "url": "https://shop.example/dresses/1"}, "locale": "en-GB"},
}


def post(path: str, body: object, key: str) -> bytes:
    """A whole request; the numbers that the load puts in are as long as one of twelve digits."""
    content = orjson.dumps(body)
    length = len(content) + content.count(NUMBER) * (12 - len(NUMBER))
    authorization = b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Basic {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + content


SINGLE = post("/v1/track", CALL, DEMO_WRITE_KEY)
BATCH = post(
    "/v1/batch", {"batch": [{**CALL, "messageId": f"message-{{n:012}}-{n}"} for n in range(100)]}, DEMO_WRITE_KEY
)


def _rate(command: Server, request: bytes) -> float:
    with tempfile.TemporaryDirectory() as folder, serving(*command(Path(folder))) as (host, port):
        load(host, port, request, WARM_S)
        return load(host, port, request, MEASURED_S)


def _beside_bare(request: bytes, servers: Mapping[str, Server]) -> list[Measurement]:
    """The rate of each server under one request, in turn with the bare function under the same."""
    measured = [lambda server=server: _rate(server, request) for server in servers.values()]
    *rates, reference = in_turn(RUNS, *measured, lambda: _rate(lambda _: bare(), request))
    return [
        Measurement(bench=name, value=rate, unit=UNIT, reference=reference, ratio=rate / reference, goal=GOAL)
        for name, rate in zip(servers, rates, strict=True)
    ]


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    "ingest-single": lambda: _beside_bare(SINGLE, {"ingest-single": held, "ingest-single-running": platform}),
    "ingest-batch-100": lambda: _beside_bare(BATCH, {"ingest-batch-100": held, "ingest-batch-100-running": platform}),
}
"""`held` and `running`: the consumers of what ingest publishes stand still, or share the server's core with it."""
