"""An open page hears of what its visitor does, through the running platform, and no log names its token."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import websockets
from websockets.exceptions import InvalidStatus

from emulator.client import DEMO_SECRET_KEY, Client
from segue.domain.profile import ProfileRef
from tests.functions.streaming import Page
from tests.journeys.running import running

HEARD_WITHIN_S = 30.0
VISITOR = ProfileRef("anonymous_id", "visitor-1")
ORDER = {"type": "track", "event": "Order Completed", "messageId": "order-1", "properties": {"revenue": 250}}

pytestmark = pytest.mark.slow


async def token(http: httpx.AsyncClient) -> str:
    body = {"profile": {"anonymous_id": VISITOR.value}}
    answer = await http.post("/v1/tokens", json=body, headers={"Authorization": f"Bearer {DEMO_SECRET_KEY}"})
    found: str = answer.json()["token"]
    return found


async def flags(http: httpx.AsyncClient, token: str, hint: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a provider is told that asks anew."""
    answer = await http.post(
        "/ofrep/v1/evaluate/flags",
        params={"flagConfigEtag": hint["etag"]},
        json={"context": {"segue_deadline_ms": 10_000}},
        headers={"Authorization": f"Bearer {token}"},
    )
    return {flag["key"]: flag["variant"] for flag in answer.json()["flags"]}


@pytest.mark.parametrize("platform", ["embedded", pytest.param("google", marks=pytest.mark.google)])
async def test_what_a_visitor_does_is_told_to_their_pages_and_asking_anew_shows_it(
    tmp_path: Path, platform: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, "--platform", platform, "--shop") as url:
        async with (
            httpx.AsyncClient(base_url=url, timeout=HEARD_WITHIN_S, trust_env=False) as http,
            Client.connected(url) as client,
        ):
            mine = await token(http)
            address = f"/v1/stream?token={mine}"
            async with (
                http.stream("GET", address) as answer,
                websockets.connect(url.replace("http", "ws") + address, proxy=None) as socket,
            ):
                assert answer.status_code == 200
                page = Page(answer)
                stands = await page.told()
                assert msgspec.json.decode(await socket.recv()) == {"type": "connected", "etag": stands.id}
                await client.call({**ORDER, "anonymousId": VISITOR.value})
                async with asyncio.timeout(HEARD_WITHIN_S):
                    hint = (await page.hint()).data
                    assert hint["type"] == "refetchEvaluation"
                    assert msgspec.json.decode(await socket.recv()) == hint
                shown = await flags(http, mine, hint)
            async with http.stream("GET", "/v1/stream?token=a-token-of-nobody") as answer:
                assert answer.status_code == 401
            with pytest.raises(InvalidStatus, match="403"):
                await websockets.connect(url.replace("http", "ws"), proxy=None)
    assert shown["homepage-hero"] == "welcome"
    logs = [file.read_text(errors="replace") for file in tmp_path.rglob("*.log")]  # noqa: ASYNC240  # all is over
    assert not any(mine in log for log in [*logs, *capfd.readouterr()])
