"""What is imported from before a profile's newest event counts, in what is remembered too, as if it had come then."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from segue.catalogs import Compiled
from segue.domain import rules
from segue.domain.event import Event
from segue.domain.membership import covers
from segue.domain.message import EVENTS, PROFILE_DUE
from segue.domain.profile import shard_of
from segue.domain.time import DAY, HOUR, MINUTE
from segue.ports import Message
from tests.functions.pushing import KEY, NOW, Pushing, pushing

REGULAR = {
    "name": "Regular",
    "when": {"did": "Order Completed", "count": {"ge": 2}, "within": "1h"},
    "stays": "30d",
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


async def regulars(site: Pushing) -> Compiled:
    return await site.publish_catalog(segments={"regular": REGULAR}, destinations={})


def orders(site: Pushing, at: int) -> list[Event]:
    """Two of them within an hour: with a memory of 30 days that makes a regular."""
    return [site.event("Order Completed", occurred_at=then, received_at=then) for then in (at, at + 10 * MINUTE)]


async def imported(site: Pushing, *events: Event) -> Message:
    message = site.received(*events, imported=True)
    await site.embedded.archive.append(EVENTS, [message])
    assert await site.push("evaluate", message) == 204
    return message


async def seen(site: Pushing) -> Event:
    """The visitor is on the site, now."""
    event = site.event("Page Viewed")
    message = site.received(event)
    await site.embedded.archive.append(EVENTS, [message])
    await site.push("evaluate", message)
    return event


async def due(site: Pushing, at: int) -> int:
    body = b'{"key": "%s", "at": %d}' % (KEY.encode(), at)
    return await site.push("evaluate", Message(id=f"due:{at}", type=PROFILE_DUE, source="//test", time=at, data=body))


async def members_of(site: Pushing) -> set[str]:
    state = rules.decode((await site.state()).state)
    return {name for name, spans in state.memberships.items() if covers(spans, state.instant)}


async def test_a_past_that_comes_after_what_followed_is_remembered_once_time_comes(site: Pushing) -> None:
    """
    received   orders, 9 days before ─────────────── page view ── the orders are imported ── tick
    regular    ............................................................................. [ entered
    """
    compiled = await regulars(site)
    page = await seen(site)
    past = orders(site, NOW - 9 * DAY)
    await imported(site, *past)
    assert await members_of(site) == set()
    assert await due(site, NOW + MINUTE) == 204
    assert await members_of(site) == {"regular"}
    (told,) = [each for snapshot in await site.announced() for each in snapshot.transitions]
    assert (told.segment, told.transition, told.at) == ("regular", "entered", NOW + MINUTE)
    ((since, until),) = rules.decode((await site.state()).state).memberships["regular"]
    in_order = rules.fold(compiled.program, rules.empty(), [*past, page], at=NOW + MINUTE)
    assert (since, until) == (told.at, in_order.memberships["regular"][0][1])


async def test_however_much_is_imported_the_profile_is_folded_anew_once(site: Pushing) -> None:
    await regulars(site)
    await seen(site)
    for days in (9, 8, 7):
        await imported(site, *orders(site, NOW - days * DAY))
    before = (await site.state()).rev
    await due(site, NOW + MINUTE)
    await due(site, NOW + 2 * MINUTE)
    after = await site.state()
    assert (after.rev, after.refold_at) == (before + 1, None)
    assert rules.decode(after.state).counts.folded == 7


async def test_a_live_profile_keeps_its_clock_when_its_past_is_imported(site: Pushing) -> None:
    await regulars(site)
    await seen(site)
    await imported(site, *orders(site, NOW - 9 * DAY))
    assert list(await site.embedded.store.due("states", shard_of(KEY), NOW, 10)) == [KEY]


async def test_before_the_archive_has_it_nothing_is_folded_anew(site: Pushing) -> None:
    await regulars(site)
    await seen(site)
    message = site.received(*orders(site, NOW - 9 * DAY), imported=True)
    await site.push("evaluate", message)
    assert await due(site, NOW + MINUTE) == 503
    await site.embedded.archive.append(EVENTS, [message])
    assert await due(site, NOW + MINUTE) == 204
    assert await members_of(site) == {"regular"}


async def test_what_is_imported_in_its_order_needs_no_folding_anew(site: Pushing) -> None:
    await regulars(site)
    await imported(site, *orders(site, NOW))
    await imported(site, site.event("Page Viewed", occurred_at=NOW - HOUR // 2, received_at=NOW - HOUR // 2))
    await imported(site, *orders(site, NOW + DAY))
    assert (await site.state()).refold_at is None
