"""Evaluate folds each message once, announces what it changes, and loses nothing when it is cut short."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from functions.evaluate.evaluate import Evaluator
from segue.catalogs import Catalogs
from segue.domain.document import StateDocument, encode, state_path
from segue.domain.errors import Conflict
from segue.domain.message import EVENTS_REFUSED, PROFILE_DUE, EventsRefused, RefusedEvent
from segue.domain.profile import shard_of
from segue.domain.time import HOUR, MINUTE, SECOND
from segue.metrics import NOTED
from segue.ports import Message, Write
from tests.functions.pushing import ADA, CATALOG, KEY, NOW, Pushing, pushing, unavailable


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


def due(at: int, key: str = KEY) -> Message:
    return Message(
        id=f"{key}:due:{at}",
        type=PROFILE_DUE,
        source="//test",
        time=at,
        data=b'{"key": "%s", "at": %d}' % (key.encode(), at),
    )


async def test_an_event_that_makes_a_member_is_announced(site: Pushing) -> None:
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 204
    (announced,) = await site.announced()
    (transition,) = announced.transitions
    assert (transition.segment, transition.transition, transition.at) == ("viewer", "entered", NOW)
    assert announced.memberships == {"viewer": ((NOW, NOW + 10 * MINUTE),)}
    assert announced.seq > transition.seq
    assert (announced.profile, announced.catalog, announced.at) == (ADA, 1, NOW)


async def test_a_visitor_in_no_segment_becomes_known_too(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    (announced,) = await site.announced()
    assert announced.memberships == {}
    assert announced.transitions == ()


async def test_what_changes_no_membership_is_not_announced(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    assert len(await site.announced()) == 1
    assert (await site.counts()).folded == 2


async def test_a_message_is_one_read_and_one_write(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed"), site.event("Order Completed")))
    assert site.broken.calls == [f"get states/{KEY}", f"commit states/{KEY}", "publish memberships"]


async def test_a_message_delivered_again_changes_nothing(site: Pushing) -> None:
    message = site.received(site.event("Product Viewed"))
    await site.push("evaluate", message)
    before = await site.state()
    assert await site.push("evaluate", message) == 204
    assert await site.state() == before


async def test_an_event_sent_again_in_another_message_is_a_duplicate(site: Pushing) -> None:
    event = site.event("Product Viewed")
    await site.push("evaluate", site.received(event, id="first"))
    await site.push("evaluate", site.received(event, id="second"))
    counts = await site.counts()
    assert (counts.folded, counts.duplicate) == (1, 1)


async def test_what_was_committed_but_not_published_is_published_on_redelivery(site: Pushing) -> None:
    message = site.received(site.event("Product Viewed"))
    site.broken.breaks["publish"] = unavailable()
    assert await site.push("evaluate", message) == 503
    assert await site.announced() == []
    assert await site.push("evaluate", message) == 204
    assert len(await site.announced()) == 1


async def test_the_next_message_publishes_what_a_dead_instance_left(site: Pushing) -> None:
    site.broken.breaks["publish"] = unavailable()
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    site.restart()
    assert await site.push("evaluate", site.received(site.event("Order Completed"))) == 204
    first, second = await site.announced()
    assert [transition.segment for transition in first.transitions + second.transitions] == ["viewer", "buyer"]
    assert first.seq < second.seq


async def test_an_entry_that_cannot_be_published_is_not_overwritten(site: Pushing) -> None:
    site.broken.breaks["publish"] = unavailable(2)
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    before = await site.state()
    assert await site.push("evaluate", site.received(site.event("Order Completed"))) == 503
    assert await site.state() == before


async def test_an_instance_does_not_publish_twice_what_it_published_itself(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", site.received(site.event("Order Completed")))
    assert len(await site.announced()) == 2


async def test_another_instance_cannot_know_and_publishes_the_very_same_message_again(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    site.restart()
    await site.push("evaluate", site.received(site.event("Order Completed")))
    first, again, _ = await site.published("memberships")
    assert first == again


async def test_while_the_store_is_down_the_message_comes_back(site: Pushing) -> None:
    message = site.received(site.event("Product Viewed"))
    site.broken.breaks = {"get": unavailable(), "commit": unavailable()}
    assert [await site.push("evaluate", message) for _ in range(3)] == [503, 503, 204]
    assert (await site.counts()).folded == 1


async def test_whoever_comes_second_reads_again(site: Pushing) -> None:
    site.broken.breaks["commit"] = [Conflict("somebody came first") for _ in range(3)]
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 204
    assert site.broken.calls.count(f"get states/{KEY}") == 4


async def test_four_conflicts_are_enough(site: Pushing) -> None:
    site.broken.breaks["commit"] = [Conflict("somebody came first") for _ in range(4)]
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 503


async def test_messages_of_one_visitor_queue_in_an_instance_instead_of_colliding(site: Pushing) -> None:
    conflicts = NOTED.total(event="commit_conflicted")
    messages = [site.received(site.event("Page Viewed")) for _ in range(20)]
    answers = await asyncio.gather(*(site.push("evaluate", message) for message in messages))
    assert set(answers) == {204}
    assert (await site.counts()).folded == 20
    assert NOTED.total(event="commit_conflicted") == conflicts


async def test_a_state_of_a_newer_catalogue_is_folded_with_that(site: Pushing) -> None:
    """The instance has read version 1 less than two seconds ago, another one folds with version 2."""
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    await site.publish_catalog(settings={"grace": "20s"})
    state = await site.state()
    newer = StateDocument(profile=state.profile, state=state.state, catalog=2, rev=state.rev + 1)
    await site.embedded.store.commit([Write(path=state_path(KEY), data=encode(newer))])
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 204
    assert (await site.state()).catalog == 2


async def test_a_state_of_a_catalogue_that_cannot_be_read_yet_waits(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    state = await site.state()
    newer = StateDocument(profile=state.profile, state=state.state, catalog=9, rev=state.rev + 1)
    await site.embedded.store.commit([Write(path=state_path(KEY), data=encode(newer))])
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 503
    assert await site.failed() == []


async def test_the_first_message_under_a_newer_catalogue_says_so_to_lookups(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    await site.publish_catalog(settings={"grace": "20s"})
    site.restart()
    await site.push("evaluate", site.received(site.event("Page Viewed")))
    assert [announced.catalog for announced in await site.announced()] == [1, 1, 2]


async def test_time_alone_is_announced_when_it_is_due(site: Pushing) -> None:
    """
    event            due
      |--- viewer ----|
     now            +10m
    """
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    leaves = NOW + 10 * MINUTE
    assert await site.push("evaluate", due(leaves - 1)) == 204
    assert len(await site.announced()) == 1
    assert await site.push("evaluate", due(leaves)) == 204
    (transition,) = (await site.announced())[-1].transitions
    assert (transition.segment, transition.transition, transition.at) == ("viewer", "exited", leaves)


async def test_being_due_twice_is_announced_once(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    for at in (NOW + 10 * MINUTE, NOW + 10 * MINUTE, NOW + 11 * MINUTE):
        await site.push("evaluate", due(at))
    assert len(await site.announced()) == 2
    assert (await site.state()).rev == 2


async def test_a_profile_that_is_gone_is_due_for_nothing(site: Pushing) -> None:
    assert await site.push("evaluate", due(NOW, key="0" * 32)) == 204
    assert await site.announced() == []


async def test_the_due_index_follows_the_state(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    store, leaves = site.embedded.store, NOW + 10 * MINUTE
    assert list(await store.due("states", shard_of(KEY), leaves - 1, 10)) == []
    assert list(await store.due("states", shard_of(KEY), leaves, 10)) == [KEY]
    await site.push("evaluate", due(leaves))
    assert list(await store.due("states", shard_of(KEY), leaves + HOUR, 10)) == []


async def test_under_import_a_profile_is_due_by_the_logs_clock_until_it_is_live_again(site: Pushing) -> None:
    live, imported, far = shard_of(KEY), shard_of(KEY, imported=True), NOW + HOUR
    await site.push("evaluate", site.received(site.event("Product Viewed"), imported=True))
    assert list(await site.embedded.store.due("states", imported, far, 10)) == [KEY]
    assert list(await site.embedded.store.due("states", live, far, 10)) == []
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    assert list(await site.embedded.store.due("states", imported, far, 10)) == []
    assert list(await site.embedded.store.due("states", live, far, 10)) == [KEY]


async def test_refused_events_are_recorded_with_their_reason_as_given_up_by_ingest(site: Pushing) -> None:
    refused = EventsRefused(
        source="shop",
        received_at=NOW,
        refused=(RefusedEvent(index=1, reason="event: expected text", event={"event": 5}),),
    )
    assert await site.push("evaluate", site.message(EVENTS_REFUSED, refused, id="request")) == 204
    (failed,) = await site.failed()
    assert (failed.stage, failed.topic, failed.id) == ("ingest", "events", "request")
    assert "event: expected text" in failed.reason


async def test_a_corrupt_state_is_left_alone_and_the_message_recorded(site: Pushing) -> None:
    await site.embedded.store.commit([Write(path=state_path(KEY), data=b"\xc1 no document")])
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 204
    (failed,) = await site.failed()
    assert failed.stage == "evaluate"
    assert "corrupt" in failed.reason
    stored = await site.embedded.store.get(state_path(KEY))
    assert stored
    assert stored.data == b"\xc1 no document"


async def test_a_message_with_too_much_effect_for_one_document_is_done_in_parts(site: Pushing) -> None:
    """Each view is past when the next comes, so that every event brings two transitions."""
    catalogs = Catalogs(site.ports.catalog, site.clock)
    events = [site.event("Product Viewed", received_at=NOW + n * HOUR, occurred_at=NOW + n * HOUR) for n in range(16)]
    message = site.received(*events)
    await Evaluator(site.ports, catalogs, largest_document=2_000)(message)
    await Evaluator(site.ports, catalogs, largest_document=2_000)(message)
    announced = {snapshot.seq: snapshot for snapshot in await site.announced()}
    transitions = [transition for seq in sorted(announced) for transition in announced[seq].transitions]
    assert len(announced) == 4
    assert [transition.transition for transition in transitions] == ["entered", "exited"] * 15 + ["entered"]
    counts = await site.counts()
    assert (counts.folded, counts.duplicate) == (16, 0)


async def test_a_single_event_is_never_too_much(site: Pushing) -> None:
    await Evaluator(site.ports, Catalogs(site.ports.catalog, site.clock), largest_document=1)(
        site.received(site.event("Product Viewed"))
    )
    assert len(await site.announced()) == 1


async def test_what_is_due_is_announced_before_a_later_event(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    site.clock.advance(HOUR + SECOND)
    await site.push("evaluate", site.received(site.event("Order Completed")))
    transitions = (await site.announced())[-1].transitions
    assert [(each.segment, each.transition) for each in transitions] == [("viewer", "exited"), ("buyer", "entered")]
    assert CATALOG["segments"].keys() == {"viewer", "buyer"}
