"""Consent on the running platform: what is not allowed is not stored but counted, and a withdrawal ends memberships."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY, Client
from segue.domain.rules.kinds.person import CONSENT_CHANGED
from tests.emulator.test_host import ANNA, calls, segments

REFUSED: dict[str, Any] = {"consent": {"categoryPreferences": {}}}


def track(event: str, number: int, **context: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "anonymousId": ANNA.value,
        "messageId": f"m{number}",
        "properties": {"secret": f"canary-{number}"},
        "context": context,
    }


def preferences(**said: bool) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": said, "version": "2026-05"}}


async def send(http: httpx.AsyncClient, *batch: dict[str, Any], gpc: bool = False) -> Client:
    headers = {"Sec-GPC": "1"} if gpc else {}
    answer = await http.post("/v1/batch", json={"batch": batch}, auth=(DEMO_WRITE_KEY, ""), headers=headers)
    assert answer.status_code == 200, answer.text
    client = Client(http, DEMO_WRITE_KEY, DEMO_SECRET_KEY)
    await client.settle()
    return client


async def test_a_withdrawal_ends_memberships_at_once_and_a_grant_brings_them_back(tmp_path: Path) -> None:
    async with calls(tmp_path) as http:
        assert await segments(await send(http, track("Product Added", 1))) == {"new-visitor"}
        assert (
            await segments(await send(http, track(CONSENT_CHANGED, 2, **preferences(personalization=False)))) == set()
        )
        client = await send(http, track(CONSENT_CHANGED, 3, **preferences(personalization=True)))
        assert await segments(client) == {"new-visitor"}
        assert [(line.segment, line.transition) for line in await client.memberships()] == [
            ("new-visitor", "entered"),
            ("new-visitor", "exited"),
            ("new-visitor", "entered"),
        ]


@pytest.mark.parametrize(
    "context",
    [
        REFUSED,
        preferences(Analytics=False),
        {"consentManagement": {"allowedConsentIds": ["functional"], "deniedConsentIds": ["analytics"]}},
        {"consent": {"consentMode": {"analytics_storage": "denied"}}},
        {"consent": {"tcf": {"purpose": {"consents": {"1": True, "8": False, "9": True}}}}},
    ],
)
async def test_what_refuses_collecting_is_in_no_file_and_is_counted(tmp_path: Path, context: dict[str, Any]) -> None:
    async with calls(tmp_path) as http:
        client = await send(http, track("Product Added", 1, **context))
        ledger = await client.ledger()
    assert ledger["consent"] == 1
    assert ledger["published"] == sum(count for name, count in ledger.items() if name != "published")
    assert files_with(tmp_path, b"canary-1") == []


async def test_the_browsers_signal_refuses_advertising_for_later_requests_too(tmp_path: Path) -> None:
    async with calls(tmp_path) as http:
        client = await send(http, track("Product Added", 1), gpc=True)
        await send(http, track("Product Added", 2))
        ledger = await client.ledger()
    assert (ledger["published"], ledger["folded"], ledger["consent"]) == (3, 3, 0)


def files_with(folder: Path, text: bytes) -> Sequence[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
