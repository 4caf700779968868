"""What a decision says is owed goes through the same ingest as all else, and counts once, however often it is told."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
from click.testing import CliRunner

from emulator import catalog
from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY, Client
from emulator.command import main
from emulator.host import embedded
from emulator.topology import ROOT
from segue.adapters.system import ManualClock
from segue.domain.time import DAY
from tests.emulator.test_host import NOON

ARMS = ("control", "large")
EXPERIMENTS: Mapping[str, Any] = {
    "banner": {"name": "Banner", "status": "running", "arms": [{"id": arm} for arm in ARMS]},
}
SLOTS: Mapping[str, Any] = {
    "banner": {
        "name": "Banner",
        "variants": [{"name": "large", "experiment": "banner", "arm": "large", "content": {"size": "large"}}],
        "default": {"size": "small"},
    }
}


async def owed(http: httpx.AsyncClient, **named: str) -> dict[str, Any]:
    """The exposure that a decision for whoever is named so comes with."""
    question = {"profile": named, "slots": ["banner"], "deadline_ms": 5_000}
    answer = await http.post("/v1/decide", json=question, auth=(DEMO_SECRET_KEY, ""))
    exposure: dict[str, Any] = answer.json()["banner"]["experiment"]["exposure"]
    return exposure


async def test_pages_and_servers_that_tell_it_again_and_later_are_counted_once(tmp_path: Path) -> None:
    definitions = msgspec.json.decode(catalog.load(ROOT / "infra" / "catalog"))
    definitions["slots"] |= SLOTS
    definitions["experiments"] = EXPERIMENTS
    clock = ManualClock(NOON)
    async with (
        embedded(tmp_path, msgspec.json.encode(definitions), {}, clock) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://segue") as http,
    ):
        segue = Client(http, DEMO_WRITE_KEY, DEMO_SECRET_KEY)
        exposure = await owed(http, anonymous_id="anna")
        for _ in range(3):
            await segue.call({**exposure, "anonymousId": "anna"})
        await segue.call({"type": "identify", "anonymousId": "anna", "userId": "ruth", "messageId": "login"})
        await segue.call({**exposure, "anonymousId": "anna", "userId": "ruth"})
        await segue.settle()
        assert await owed(http, user_id="ruth") == await owed(http, user_id="ruth", anonymous_id="anna") == exposure
        for _ in range(2):
            clock.advance(2 * DAY)
            await segue.call({**await owed(http, user_id="ruth"), "userId": "ruth"})
            await segue.settle()
        await segue.call({**await owed(http, anonymous_id="bea"), "anonymousId": "bea"})
        await segue.settle()
    found = await asyncio.to_thread(CliRunner().invoke, main, ["experiments", "--data", str(tmp_path), "--json"])
    seen = {arm["id"]: arm["exposures"] for arm in json.loads(found.stdout)["arms"]}
    assert sum(seen.values()) == 2
    assert seen[exposure["properties"]["variation_id"]] >= 1
