"""A key that floods is held to its rate, and leaves the others alone."""

import asyncio
import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from emulator.client import Client
from tests.functions.bad_input import WRITE_KEY
from tests.journeys.running import ROOT, running

pytestmark = pytest.mark.slow

QUIET_KEY = "quiet-write-key"
PER_SECOND, BURST = 20, 40
FLOODING_AT_ONCE, FLOOD_S = 16, 6.0
QUIET_CALLS, PAUSE_S = 100, 0.05
MUCH_WORSE = 50
"""Times the quiet key's p99 without a flood: on a busy machine only a wait for the flood's own calls stands out."""


def catalogue(folder: Path) -> Path:
    """The first catalogue, its source with a rate, and beside it a source with none."""
    made = shutil.copytree(ROOT / "infra" / "catalog", folder)
    sources = made / "sources.yaml"
    quiet = f"  quiet:\n    name: Quiet\n    write_keys: [{hashlib.sha256(QUIET_KEY.encode()).hexdigest()}]\n"
    rate = f"    rate: {{per_second: {PER_SECOND}, burst: {BURST}}}\n"
    sources.write_text(sources.read_text().rstrip() + "\n" + rate + quiet)
    return made


async def sent(http: httpx.AsyncClient, key: str, number: int) -> httpx.Response:
    call = {"event": "Product Viewed", "anonymousId": f"visitor-{number % 50}", "messageId": f"{key}-{number}"}
    return await http.post("/v1/track", json=call, auth=(key, ""))


async def calls(http: httpx.AsyncClient) -> tuple[list[int], list[float]]:
    """The statuses of the quiet key's calls, one after the other, and how long each took, in ms."""
    statuses, taken = [], []
    for number in range(QUIET_CALLS):
        began = time.perf_counter()
        statuses.append((await sent(http, QUIET_KEY, number)).status_code)
        taken.append((time.perf_counter() - began) * 1_000)
        await asyncio.sleep(PAUSE_S)
    return statuses, taken


async def flood(http: httpx.AsyncClient, told: Counter[int]) -> float:
    """As many calls as can be sent; what they are answered is counted. Until the last answer, in seconds."""
    number, began = 0, time.monotonic()

    async def pour() -> None:
        nonlocal number
        while time.monotonic() < began + FLOOD_S:
            number += 1
            answer = await sent(http, WRITE_KEY, number)
            told[answer.status_code] += 1
            assert answer.status_code == 200 or answer.headers["retry-after"] == "1"

    await asyncio.gather(*(pour() for _ in range(FLOODING_AT_ONCE)))
    return time.monotonic() - began


def p99(taken: Sequence[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99) - 1]


async def test_a_flood_with_one_key_leaves_the_others_calls_answered(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with running(tmp_path / "segue", "--catalog", str(catalogue(tmp_path / "catalog"))) as url:
        async with (
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as quiet,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as loud,
        ):
            before, alone = await calls(quiet)
            told: Counter[int] = Counter()
            lasted, (during, beside) = await asyncio.gather(flood(loud, told), calls(quiet))
        async with Client.connected(url) as client:
            await client.settle()
            ledger = await client.ledger()
    record_property("flood", dict(told))
    record_property("p99_ms", {"alone": p99(alone), "beside the flood": p99(beside)})
    print(f"flood: {dict(told)}; p99 of the other key {p99(alone):.1f} ms alone, {p99(beside):.1f} ms beside it")
    assert set(before) == set(during) == {200}
    assert told.keys() == {200, 429}
    assert told[200] <= BURST + PER_SECOND * (lasted + 1)
    assert ledger["published"] == told[200] + QUIET_CALLS * 2
    assert p99(beside) < MUCH_WORSE * max(p99(alone), 1)
