"""On Google's emulators, every function its own process, Segue says what it says everywhere."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator import catalog, recording
from emulator.client import Client
from emulator.fold import fold, histories
from emulator.membership_log import Line
from emulator.recording import Dirt
from segue.adapters.embedded.archive import ArchiveFile
from segue.catalogs import compiled
from segue.domain import rules
from segue.domain.membership import Interval
from segue.domain.message import MEMBERSHIPS, MembershipChanged
from segue.domain.profile import ProfileRef
from segue.ports import PublishedCatalog
from tests.journeys.running import ROOT, running, segue
from tests.journeys.test_replay_rees46 import END, UNTIL, epoch_ms
from tests.shared_data import REES46, needs

pytestmark = pytest.mark.google

Coming = Mapping[tuple[str, str], tuple[Interval, ...]]
"""The intervals of each profile and segment from an instant on."""


@pytest.mark.smoke
async def test_an_event_goes_in_and_a_segment_and_a_decision_come_out(tmp_path: Path) -> None:
    order = {"type": "track", "event": "Order Completed", "messageId": "order-1", "properties": {"revenue": 250}}
    with running(tmp_path, "--platform", "google", "--shop") as url:
        async with Client.connected(url) as client, httpx.AsyncClient(base_url=url, trust_env=False) as browser:
            assert "Lisière" in (await browser.get("/")).text
            assert "window.segue" in (await browser.get("/segue.js")).text
            assert (await browser.post("/v1/m", json={"series": []})).is_success
            await client.call({**order, "anonymousId": "visitor-1"})
            visitor = ProfileRef("anonymous_id", "visitor-1")
            decided = await client.decide(visitor, ["homepage-hero"], after="order-1", deadline_ms=10_000)
            answer = await client.segments(visitor)
            await client.settle()
            log = await client.memberships()
            ledger = await client.ledger()
    assert decided["homepage-hero"]["variant"] == "welcome"
    assert [segment["id"] for segment in answer["segments"]] == ["completed-buyer", "new-visitor"]
    assert [(line.segment, line.transition) for line in log] == [
        ("completed-buyer", "entered"),
        ("new-visitor", "entered"),
    ]
    assert (ledger["published"], ledger["folded"]) == (1, 1)


@pytest.fixture(scope="module")
def folded() -> tuple[Sequence[Line], Coming]:
    """The membership log of the engine alone, and the intervals from the end of the log on."""
    definitions = compiled(PublishedCatalog(0, catalog.load(ROOT / "infra" / "catalog")))
    with REES46.open("rb") as file:
        calls = recording.calls(file, REES46, "rees46", Dirt())
        found = histories(calls, epoch_ms(UNTIL), definitions.catalog.settings.max_age, Dirt())
    coming: dict[tuple[str, str], tuple[Interval, ...]] = {}
    for profile, events in found.items():
        state = rules.fold(definitions.program, rules.empty(), events)
        timeline = rules.timeline(definitions.program, state, END)
        coming |= {(str(profile), segment): spans for segment, spans in timeline.memberships.items()}
    return fold(definitions.program, found, epoch_ms(UNTIL)).log, from_the_end(coming)


def from_the_end(coming: Coming) -> Coming:
    """What is left of the intervals after the log's end. When the first of them began is not of its future."""
    clipped = {
        who: tuple((max(since, END), until) for since, until in spans if until is None or until > END)
        for who, spans in coming.items()
    }
    return {who: spans for who, spans in clipped.items() if spans}


async def archived(data: Path) -> Coming:
    """The intervals of each profile's newest snapshot in the laptop's archive."""
    (folder,) = data.glob("google-*")  # noqa: ASYNC240  # nothing else runs meanwhile
    archive = ArchiveFile.open(folder)
    newest: dict[str, MembershipChanged] = {}
    async for message in archive.read(MEMBERSHIPS):
        snapshot = msgspec.json.decode(message.data, type=MembershipChanged)
        if snapshot.key not in newest or newest[snapshot.key].seq < snapshot.seq:
            newest[snapshot.key] = snapshot
    await archive.close()
    return {
        (str(snapshot.profile), segment): spans
        for snapshot in newest.values()
        for segment, spans in snapshot.memberships.items()
    }


@needs(REES46)
@pytest.mark.slow
async def test_a_log_is_announced_line_for_line_as_by_the_engine_alone(
    tmp_path: Path, folded: tuple[Sequence[Line], Coming]
) -> None:
    with running(tmp_path, "--platform", "google") as url:
        replayed = segue("replay", str(REES46), "--url", url, "--until", UNTIL)
        assert replayed.returncode == 0, replayed.stderr
        async with Client.connected(url) as client:
            announced = await client.memberships()
    assert announced == folded[0]


@needs(REES46)
@pytest.mark.slow
async def test_messages_delivered_twice_and_shuffled_lead_to_the_same_memberships(
    tmp_path: Path, folded: tuple[Sequence[Line], Coming]
) -> None:
    """In between, what is announced depends on what has arrived; from the log's end on, nothing does."""
    with running(tmp_path, program=(sys.executable, "-m", "tests.journeys.chaos")) as url:
        replayed = segue("replay", str(REES46), "--url", url)
        assert replayed.returncode == 0, replayed.stderr
        memberships = from_the_end(await archived(tmp_path))
        async with Client.connected(url) as client:
            await client.tick(epoch_ms(UNTIL) + (await client.timing()).grace, "import")
            await client.settle()
            announced = await client.memberships()
            ledger = await client.ledger()
    log, coming = folded
    assert memberships == coming
    assert [line for line in announced if line.at > END] == [line for line in log if line.at > END]
    assert (ledger["published"], ledger["folded"], ledger["duplicate"]) == (17_434, 17_429, 5)
