"""A profile folded anew from the archive has the state of its events, and tells what turns out otherwise."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from functions.evaluate.rebuild import profiles, rebuild
from segue.catalogs import Catalogs
from segue.domain import rules
from segue.domain.document import StateDocument, decode_state, encode, state_path
from segue.domain.errors import NotFound, Unavailable
from segue.domain.membership import Transition, covers, is_named
from segue.domain.message import EVENTS, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import HOUR
from segue.ports import Write
from tests.functions.looking_up import Site, looking_up

ANNA = ProfileRef("anonymous_id", "anna")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Anna looked at a product, put it into the cart, and left it there for an hour."""
    async with looking_up(tmp_path) as site:
        await site.happens("anna", "Product Viewed", product_id="p", category="shoes")
        await site.happens("anna", "Product Added", product_id="p")
        site.clock.advance(HOUR)
        await site.happens("anna", "Page Viewed")
        yield site


def key_of(site: Site, profile: ProfileRef = ANNA) -> str:
    return profile_key(site.settings.profile_secret, profile)


async def document(site: Site) -> StateDocument:
    stored = await site.embedded.store.get(state_path(key_of(site)))
    assert stored is not None
    return decode_state(stored.data)


async def replaced(site: Site, state: rules.State) -> None:
    """Anna's document with another state."""
    wrong = msgspec.structs.replace(await document(site), state=rules.encode(state))
    await site.embedded.store.commit([Write(path=state_path(key_of(site)), data=encode(wrong))])


async def rebuilt(site: Site, profile: ProfileRef = ANNA) -> list[Transition]:
    return [*await rebuild(site.ports, Catalogs(site.ports.catalog, site.clock), key_of(site, profile))]


async def announced(site: Site) -> list[MembershipChanged]:
    waiting = await site.embedded.bus.after("update:memberships", 0, 1_000)
    return [msgspec.json.decode(each.message.data, type=MembershipChanged) for each in waiting]


async def test_a_good_state_is_rebuilt_as_it_was_and_nothing_is_announced(site: Site) -> None:
    before = rules.decode((await document(site)).state)
    assert await rebuilt(site) == []
    after = rules.decode((await document(site)).state)
    assert rules.canonical(after) == rules.canonical(before)
    assert after.seq > before.seq


async def test_what_a_wrong_state_had_not_told_is_announced_with_numbers_above_its_own(site: Site) -> None:
    state = rules.decode((await document(site)).state)
    inside = sorted(
        name for name, spans in state.memberships.items() if covers(spans, state.instant) and is_named(name)
    )
    assert "cart-abandoner" in inside
    await replaced(site, msgspec.structs.replace(state, memberships={}, streams={}, seq=100))
    found = await rebuilt(site)
    assert [(each.segment, each.transition, each.at) for each in found] == [
        (segment, "entered", state.instant) for segment in inside
    ]
    newest = (await announced(site))[-1]
    assert [each.seq for each in newest.transitions] == [*range(101, 101 + len(inside))]
    assert newest.seq == 101 + len(inside)
    assert newest.memberships == state.memberships


async def test_what_a_wrong_state_told_in_error_is_taken_back(site: Site) -> None:
    state = rules.decode((await document(site)).state)
    await replaced(
        site, msgspec.structs.replace(state, memberships={**state.memberships, "luxury-seeker": ((1, None),)})
    )
    assert [(each.segment, each.transition) for each in await rebuilt(site)] == [("luxury-seeker", "exited")]


async def test_a_message_that_comes_again_after_a_rebuild_is_counted_once(site: Site) -> None:
    await rebuilt(site)
    counts = rules.decode((await document(site)).state).counts
    for message in [message async for message in site.embedded.archive.read(EVENTS)]:
        await site.evaluate(message)
    assert rules.decode((await document(site)).state).counts == counts


async def test_an_archive_that_lacks_events_rebuilds_nothing(site: Site) -> None:
    state = rules.decode((await document(site)).state)
    await replaced(site, msgspec.structs.replace(state, counts=rules.Counts(folded=4)))
    with pytest.raises(Unavailable, match="has 3 of 4 events"):
        await rebuilt(site)


async def test_only_who_has_a_state_is_rebuilt(site: Site) -> None:
    assert await profiles(site.ports) == [(key_of(site), "anonymous_id:anna")]
    with pytest.raises(NotFound, match="no such profile"):
        await rebuilt(site, ProfileRef("anonymous_id", "ben"))
