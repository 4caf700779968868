"""The demo: shop visits go into a running Segue over HTTP; segments, decisions and the time between come out."""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from rich.table import Table

from emulator.client import Client
from emulator.shop import Visitor
from segue.domain.event import Json
from segue.domain.profile import ProfileRef

SLOT = "homepage-hero"
AT_ONCE = 8
PROBES = 300
PROBES_A_SECOND = 50
DEADLINE_MS = 2_000


class Latency(msgspec.Struct, frozen=True):
    """From the POST of an event until a decision includes it, in ms."""

    p50: float
    p99: float


async def send(client: Client, visitors: Iterable[Visitor]) -> int:
    """Each visitor's calls in one request, several visitors at once; how many events that were."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def visit(visitor: Visitor) -> int:
        async with slots:
            await client.batch(visitor.calls, sent_at=datetime.now(UTC).isoformat())
            return len(visitor.calls)

    return sum(await asyncio.gather(*(visit(visitor) for visitor in visitors)))


async def latency(client: Client) -> Latency:
    """Of events of new visitors, sent one after the other at a steady pace."""
    taken = []
    for number in range(PROBES):
        visitor = ProfileRef("anonymous_id", f"probe-{number}")
        started = time.perf_counter()
        await client.call(
            {
                "type": "track",
                "event": "Product Added",
                "anonymousId": visitor.value,
                "messageId": visitor.value,
                "properties": {"product_id": "dresses-1"},
            }
        )
        answer = await client.decide(visitor, [SLOT], after=visitor.value, deadline_ms=DEADLINE_MS)
        ended = time.perf_counter()
        taken.append((ended - started) * 1_000 if answer[SLOT]["includes_after"] else math.inf)
        await asyncio.sleep(max(0.0, started + 1 / PROBES_A_SECOND - ended))
    taken.sort()
    return Latency(p50=taken[len(taken) // 2], p99=taken[math.ceil(len(taken) * 0.99) - 1])


async def segments(client: Client, at: int | None) -> Table:
    """Every segment with its members, now or at another instant."""
    table = Table("segment", "members", "what it says", title="Segments")
    for segment in (await client.sizes(at))["segments"]:
        table.add_row(segment["name"], f"{segment['members']:,}", " ".join(segment["description"].split()))
    return table


async def decisions(client: Client, visitors: Sequence[ProfileRef], at: int | None) -> Table:
    """Three visitors, as different as can be found: their segments, and what fills the slot for them now."""
    table = Table("visitor", "segments", "shown now", "because", title=f"Decisions for {SLOT}")
    for visitor, decision in (await _different(client, visitors)).items():
        known = await client.segments(visitor, at)
        names = ", ".join(segment["id"] for segment in known["segments"])
        because = " ".join(filter(None, [decision["reason"], decision.get("segment")]))
        table.add_row(str(visitor), names or "none", decision["content"]["headline"], because)
    return table


async def _different(client: Client, visitors: Sequence[ProfileRef]) -> Mapping[ProfileRef, Json]:
    """Three visitors with their decisions, each for another reason as long as there is one."""
    decided = {visitor: (await client.decide(visitor, [SLOT]))[SLOT] for visitor in visitors}
    first_of_variant = {decision["variant"]: visitor for visitor, decision in reversed(decided.items())}
    chosen = [
        *first_of_variant.values(),
        *(visitor for visitor in visitors if visitor not in first_of_variant.values()),
    ]
    return {visitor: decided[visitor] for visitor in chosen[:3]}
