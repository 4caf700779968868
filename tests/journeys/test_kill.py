"""What was answered 200 survives `kill -9`, and takes effect exactly once."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from emulator.client import Client
from emulator.ledger import ledger, snapshots_on_their_way
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.domain import rules
from segue.domain.document import decode_state, state_path
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef, profile_key
from tests.embedded import ports_of
from tests.journeys.killed import Segue, Visitors, free_port


@pytest.fixture
async def segue(tmp_path: Path) -> AsyncIterator[Segue]:
    segue = Segue(free_port(), tmp_path)
    yield segue
    await segue.end(signal.SIGKILL)


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 3), pytest.param(2, 24, marks=pytest.mark.slow)], ids=["3 kills", "24 kills"]
)
async def test_what_was_answered_survives_being_killed(segue: Segue, tmp_path: Path, seed: int, kills: int) -> None:
    moments, visitors = random.Random(seed), Visitors(segue.url, seed)
    visitors.start()
    for kill in range(kills):
        await segue.start()
        if kill % 4 == 3:
            await asyncio.sleep(moments.uniform(0.0, 1.5))
        else:
            await visitors.until_answered(moments.randint(1, 250))
            await asyncio.sleep(moments.uniform(0.0, 0.02))
        await segue.end(signal.SIGKILL)
    await segue.start()
    await visitors.until_answered(100)
    await visitors.stop()
    async with Client.connected(segue.url) as client:
        await client.settle()
        counts = await client.ledger()
    assert await segue.end(signal.SIGTERM) == 0

    assert visitors.unanswered >= kills
    assert counts["published"] == sum(counts[what] for what in ("folded", "duplicate", "late", "refused", "failed"))
    assert min(counts[what] for what in ("folded", "duplicate", "late", "refused")) > 0
    await _check(tmp_path, visitors)


async def _check(data: Path, visitors: Visitors) -> None:
    """Each visitor's accepted events are archived and in the state, each once; the rest of the platform agrees."""
    platform = EmbeddedPlatform.open(data, SystemClock())
    ports = ports_of(platform, SystemClock())
    try:
        secret = (data / "profile.secret").read_bytes()
        archived: dict[str, Counter[str]] = {}
        async for message in ports.archive.read(EVENTS):
            if message.type == EVENTS_RECEIVED:
                received = msgspec.json.decode(message.data, type=EventsReceived)
                archived.setdefault(received.key, Counter()).update(event.message_id for event in received.events)
        for visitor in {sent.visitor for sent in visitors.accepted}:
            key = profile_key(secret, ProfileRef("anonymous_id", visitor))
            stored = await ports.store.get(state_path(key))
            assert stored is not None
            state = rules.decode(decode_state(stored.data).state)
            mine = [sent for sent in visitors.accepted if sent.visitor == visitor]
            ids = {sent.message_id for sent in mine}
            assert await ports.archive.holds(key, [*ids]) == ids
            assert all(rules.holds(state, sent.message_id) for sent in mine if not sent.late)
            counts, copies = state.counts, archived[key]
            assert counts.folded + counts.duplicate + counts.late == copies.total()
            if not any(sent.late for sent in mine):
                assert counts.folded == len(copies)
        assert await snapshots_on_their_way(ports) == 0
        assert (await ledger(ports)).open == 0
        assert await platform.bus.empty()
        assert await platform.bus.dead_letters() == []
    finally:
        await platform.close()
