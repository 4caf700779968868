"""A little known load, and what /metrics says of it: just that, on both platforms, and what the ledger says too."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.journeys.running import running

Started = Callable[[Path], AbstractContextManager[str]]

EVENTS, HOPS, MESSAGES = "segue_events_total", "segue_hop_seconds_count", "segue_message_seconds_count"

EXPECTED = {
    ("segue_request_seconds_count", "ingest", "200"): 3,
    ("segue_request_seconds_count", "ingest", "400"): 1,
    ("segue_request_events_count", "ingest", ""): 3,
    ("segue_request_events_sum", "ingest", ""): 7,
    ("segue_message_events_sum", "evaluate", ""): 6,
    ("segue_folding_seconds_count", "evaluate", ""): 4,
    ("segue_noted_total", "ingest", "request_refused"): 1,
    ("segue_noted_total", "evaluate", "message_recorded"): 1,
    ("segue_request_seconds_count", "lookup", "200"): 1,
}

GOOD = {"type": "track", "event": "Order Completed", "anonymousId": "visitor-1"}


@pytest.fixture(
    params=[
        pytest.param((), id="embedded", marks=pytest.mark.slow),
        pytest.param(("--platform", "google"), id="google", marks=[pytest.mark.slow, pytest.mark.google]),
    ]
)
def started(request: pytest.FixtureRequest) -> Started:
    """Starts a platform."""

    def start(data: Path) -> AbstractContextManager[str]:
        return running(data, *request.param)

    return start


async def samples(http: httpx.AsyncClient) -> Mapping[tuple[str, str, str], float]:
    """Of each metric, by function, and by outcome, event or operation: the sum of what it says."""
    found: dict[tuple[str, str, str], float] = defaultdict(float)
    answer = await http.get("/metrics")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            of = partial(sample.labels.get)
            which = of("outcome") or of("event") or of("operation") or of("status") or of("topic") or ""
            found[sample.name, of("function") or "", which] += sample.value
    return found


async def sent(http: httpx.AsyncClient, body: Mapping[str, Any], status: int = 200) -> None:
    answer = await http.post("/v1/batch", json=body, auth=("demo-write-key", ""))
    assert answer.status_code == status, answer.text


async def test_a_known_load_is_counted_as_it_is(started: Started, tmp_path: Path) -> None:
    """Three requests with six good events, two of them the same and one far too late, and one that can never be one;
    and a request that is refused whole."""
    with started(tmp_path) as url:
        async with (
            Client.connected(url) as client,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        ):
            await sent(http, {"batch": [{**GOOD, "messageId": name} for name in "abc"]})
            await client.settle()
            await sent(http, {"batch": [{**GOOD, "messageId": "c"}, {"type": "track", "anonymousId": "visitor-1"}]})
            now = datetime.now(UTC)
            late = {**GOOD, "messageId": "old", "timestamp": (now - timedelta(days=40)).isoformat()}
            other = {**GOOD, "messageId": "d", "anonymousId": "visitor-2"}
            await sent(http, {"batch": [other, late], "sentAt": now.isoformat()})
            await sent(http, {"batch": []}, status=400)
            await client.settle()
            await client.decide(ProfileRef("anonymous_id", "visitor-1"), ["homepage-hero"])
            ledger = await client.ledger()
            counted = await samples(http)
            forwarded = await http.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})
    assert forwarded.status_code == 404
    events = {(function, outcome): count for (name, function, outcome), count in counted.items() if name == EVENTS}
    assert events == {
        ("ingest", "accepted"): 6,
        ("ingest", "refused"): 1,
        ("evaluate", "folded"): ledger["folded"],
        ("evaluate", "duplicate"): ledger["duplicate"],
        ("evaluate", "late"): ledger["late"],
    }
    assert {what: count for what, count in ledger.items() if count} == {
        "published": 7,
        "folded": 4,
        "duplicate": 1,
        "late": 1,
        "refused": 1,
    }
    assert {key: counted[key] for key in EXPECTED} == EXPECTED
    assert counted["segue_hop_seconds_count", "evaluate", ""] == counted[MESSAGES, "evaluate", "acknowledged"] >= 4
    assert counted["segue_store_operations_total", "evaluate", "write"] >= 4
    assert counted["segue_bus_messages_total", "evaluate", "memberships"] == counted[HOPS, "update", ""] >= 2
    assert sum(seconds for (name, *_), seconds in counted.items() if name == "process_cpu_seconds_total") > 0
