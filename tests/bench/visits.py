"""Visitors of the demo shop, sent to a running platform from a process of their own; prints one JSON line.

`python -m tests.bench.visits through URL SECONDS` sends as many as the platform works through: again and again a number
of visits over 32 connections, until each is visible. `python -m tests.bench.visits probe URL RATE NUMBER` sends single
events at a rate a second, and takes the time from each POST until a decision includes the event.
"""

import asyncio
import itertools
import json
import math
import sys
import time
from datetime import UTC, datetime

import uvloop

from emulator.client import Client
from emulator.shop import Visitor, visitors
from segue.domain.profile import ProfileRef
from tests.bench.measurement import percentile

AT_ONCE = 32
VISITORS = 1_000
"""How many visits are sent before all of them have to be visible."""

DEADLINE_MS = 10_000
WARM = 20


async def through(client: Client, seconds: float) -> dict[str, float]:
    """Events a second, accepted and visible, for at least that long."""
    started, events = time.perf_counter(), 0
    for seed in itertools.count():
        came = list(visitors(seed, VISITORS, time.time_ns() // 1_000_000))
        await _send(client, came)
        await client.settle()
        events += sum(len(visitor.calls) for visitor in came)
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return {"events_a_second": events / elapsed, "requests_a_second": VISITORS * (seed + 1) / elapsed}
    raise AssertionError


async def _send(client: Client, came: list[Visitor]) -> None:
    waiting = iter(came)

    async def connection() -> None:
        for visitor in waiting:
            await client.batch(visitor.calls, sent_at=datetime.now(UTC).isoformat())

    await asyncio.gather(*(connection() for _ in range(AT_ONCE)))


async def probe(client: Client, rate: float, number: int) -> dict[str, float]:
    """The latency in ms, at this rate of events a second, however long each of them takes."""
    for warm in range(WARM):
        await _latency(client, f"warm-{warm}")
    started = time.perf_counter()

    async def later(index: int) -> float:
        await asyncio.sleep(max(0.0, started + index / rate - time.perf_counter()))
        return await _latency(client, f"probe-{index}")

    taken = await asyncio.gather(*(later(index) for index in range(number)))
    return {"p50": percentile(taken, 0.5), "p99": percentile(taken, 0.99)}


async def _latency(client: Client, name: str) -> float:
    visitor = ProfileRef("anonymous_id", f"{name}-{time.time_ns()}")
    call = {"type": "track", "event": "Product Added", "anonymousId": visitor.value, "messageId": visitor.value}
    started = time.perf_counter()
    await client.call(call)
    answer = await client.decide(visitor, ["homepage-hero"], after=visitor.value, deadline_ms=DEADLINE_MS)
    return (time.perf_counter() - started) * 1_000 if answer["homepage-hero"]["includes_after"] else math.inf


async def _main(what: str, url: str, *figures: str) -> None:
    async with Client.connected(url) as client:
        numbers = [float(figure) for figure in figures]
        found = await (through(client, numbers[0]) if what == "through" else probe(client, numbers[0], int(numbers[1])))
        print(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
