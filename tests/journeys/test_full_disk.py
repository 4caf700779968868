"""On a full disk an event is refused with 503, and what was answered 200 is there once there is room again."""

import asyncio
from pathlib import Path

import httpx
import pytest

from emulator.client import DEMO_WRITE_KEY, Client
from tests.journeys.running import SEGUE, running

FILES_OF_2_MB = ("bash", "-c", 'ulimit -f 2048; exec "$0" run "$@"', SEGUE)
MOST = 2_000


@pytest.mark.slow
def test_a_full_disk_refuses_and_forgets_nothing(tmp_path: Path) -> None:
    with running(tmp_path, program=FILES_OF_2_MB) as url:
        accepted = asyncio.run(_accepted(url))
    assert 0 < accepted < MOST
    with running(tmp_path) as url:
        ledger = asyncio.run(_ledger(url))
    assert ledger["folded"] == ledger["published"]
    assert accepted <= ledger["folded"] <= accepted + 1


async def _accepted(url: str) -> int:
    """How many events are answered 200 before the first one that is not, which is answered 503."""
    async with httpx.AsyncClient(base_url=url, auth=(DEMO_WRITE_KEY, ""), trust_env=False) as http:
        for number in range(MOST):
            event = {"event": "Product Viewed", "anonymousId": f"v{number}", "properties": {"note": "x" * 5_000}}
            answer = await http.post("/v1/track", json=event)
            if answer.status_code != 200:
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                return number
    return MOST


async def _ledger(url: str) -> dict[str, int]:
    async with Client.connected(url) as client:
        await client.settle()
        return await client.ledger()
