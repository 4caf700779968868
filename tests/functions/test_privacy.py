"""A visitor is erased for good: nothing received before comes back, by whatever way, and what is later is new."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from segue.catalogs import is_behind
from segue.domain import links
from segue.domain.message import (
    EVENTS_REFUSED,
    LINK_REQUESTED,
    MEMBERSHIPS,
    PROFILE_ERASED,
    PROFILES_BEHIND,
    EventsRefused,
    LinkRequested,
    ProfileErased,
    ProfilesBehind,
    RefusedEvent,
)
from segue.domain.profile import NOBODY, ProfileRef, profile_key
from segue.domain.time import MINUTE
from segue.ports import Message
from tests.functions.pushing import ADA, KEY, NOW, SETTINGS, Pushing, pushing, unavailable

RUTH = ProfileRef("user_id", "ruth")
RUTHS = profile_key(SETTINGS.profile_secret, RUTH)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


def erasure(site: Pushing, key: str = KEY, id: str = "receipt") -> Message:
    return site.message(PROFILE_ERASED, ProfileErased(key=key, at=site.clock.now()), id=id)


def link(site: Pushing) -> Message:
    data = LinkRequested(
        key=RUTHS,
        profile=RUTH,
        anonymous_key=KEY,
        anonymous=ADA,
        source="shop",
        message_id="call",
        at=site.clock.now(),
    )
    return site.message(LINK_REQUESTED, data, id="link")


async def updated(site: Pushing) -> None:
    for message in await site.published(MEMBERSHIPS):
        assert await site.push("update", message) == 204


async def test_an_erased_visitor_is_nobody_and_numbers_go_on(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await updated(site)
    assert await site.push("privacy", erasure(site)) == 204
    state, public = await site.state(), await site.public()
    assert public is not None
    assert (state.profile, public.profile, public.memberships, state.outbox) == (NOBODY, NOBODY, {}, ())
    assert state.erased_at == NOW
    await updated(site)
    assert await site.public() == public


async def test_redelivery_brings_nothing_back_and_a_later_event_begins_a_new_profile(site: Pushing) -> None:
    viewed = site.received(site.event("Product Viewed"))
    await site.push("evaluate", viewed)
    await site.push("privacy", erasure(site))
    before = await site.state()
    for message in (viewed, site.received(site.event("Order Completed"))):
        assert await site.push("evaluate", message) == 204
    assert await site.state() == before

    site.clock.advance(1)
    await site.push("evaluate", site.received(site.event("Order Completed")))
    await updated(site)
    state, public = await site.state(), await site.public()
    assert public is not None
    assert (state.profile, public.profile, set(public.memberships)) == (ADA, ADA, {"buyer"})
    assert (await site.counts()).folded == 1
    assert public.seq > before.rev


async def test_erasing_again_leaves_the_new_profile_alone_unless_it_is_asked_again(site: Pushing) -> None:
    first = erasure(site)
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("privacy", first)
    site.clock.advance(MINUTE)
    await site.push("evaluate", site.received(site.event("Order Completed")))
    begun = await site.state()
    assert await site.push("privacy", first) == 204
    assert await site.state() == begun
    assert await site.push("privacy", erasure(site, id="another")) == 204
    assert (await site.state()).profile == NOBODY


@pytest.mark.parametrize("key", [KEY, RUTHS])
async def test_whoever_is_linked_is_erased_too_by_either_id_and_a_late_link_joins_nothing(
    site: Pushing, key: str
) -> None:
    late = link(site)
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", site.received(site.event("Order Completed"), profile=RUTH))
    await site.push("evaluate", late)
    await site.push("privacy", erasure(site, key))
    assert await site.embedded.store.get(links.path(RUTHS)) is None
    assert await site.push("evaluate", late) == 204
    for erased in (KEY, RUTHS):
        state = await site.state(erased)
        assert (state.profile, state.redirect, state.linked) == (NOBODY, None, ())
    site.clock.advance(1)
    assert await site.push("evaluate", link(site)) == 204
    assert [(await site.state(each)).profile for each in (KEY, RUTHS)] == [ADA, RUTH]


@pytest.mark.parametrize("call", ["get", "commit"])
async def test_erasing_that_fails_anywhere_is_completed_by_the_same_message(site: Pushing, call: str) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", link(site))
    message = erasure(site)
    answers = []
    for passed in range(20):
        site.broken.breaks = {call: unavailable(after=passed)}
        answers.append(await site.push("privacy", message))
        if answers[-1] == 204:
            break
    site.broken.breaks = {}
    assert len(answers) > 2
    assert {*answers[:-1]} == {503}
    assert [(await site.state(each)).profile for each in (KEY, RUTHS)] == [NOBODY, NOBODY]


async def test_what_failed_is_forgotten_and_what_is_refused_later_is_not_recorded(site: Pushing) -> None:
    calls = tuple(RefusedEvent(index=0, reason="odd", event={"whose": key}, keys=(key,)) for key in (KEY, RUTHS))
    refused = site.message(EVENTS_REFUSED, EventsRefused(source="shop", received_at=NOW, refused=calls), id="refused")
    hers = site.message(EVENTS_REFUSED, EventsRefused(source="shop", received_at=NOW, refused=calls[:1]), id="hers")
    await site.push("evaluate", refused)
    await site.push("evaluate", hers)
    assert await site.push("privacy", erasure(site)) == 204
    await site.push("evaluate", hers)
    (left,) = await site.failed()
    assert msgspec.json.decode(left.data, type=EventsRefused).refused == calls[1:]


async def test_somebody_unknown_is_erased_alike_so_that_what_is_on_its_way_does_not_count(site: Pushing) -> None:
    assert await site.push("privacy", erasure(site)) == 204
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    assert (await site.state()).profile == NOBODY


async def test_nobody_has_to_be_brought_up_to_a_newer_catalogue(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("privacy", erasure(site))
    before = await site.state()
    compiled = await site.publish_catalog(segments={"any": {"name": "Any", "when": {"did": "A"}}}, destinations={})
    behind = ProfilesBehind(keys=(KEY,), catalog=compiled.version, at=NOW)
    assert not is_behind(before, compiled)
    assert await site.push("evaluate", site.message(PROFILES_BEHIND, behind)) == 204
    assert await site.state() == before
