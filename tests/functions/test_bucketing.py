"""What a user is bucketed by is settled when they are first seen: no login, no order of messages changes it."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from functions.evaluate.rebuild import rebuild
from functions.lookup.lookup import Lookup
from segue.catalogs import Catalogs
from segue.domain.message import (
    EVENTS,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    MEMBERSHIPS,
    PROFILE_ERASED,
    LinkRequested,
    LinkWithdrawn,
    ProfileErased,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import SECOND
from segue.ports import Message
from tests.functions.pushing import ADA, SETTINGS, Pushing, pushing

RUTH = ProfileRef("user_id", "ruth")
BEA = ProfileRef("anonymous_id", "bea")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


def key_of(profile: ProfileRef) -> str:
    return profile_key(SETTINGS.profile_secret, profile)


def seen(site: Pushing, visitor: ProfileRef = ADA) -> Message:
    return site.received(site.event("Page Viewed", anonymous_id=visitor.value), profile=visitor)


def identified(site: Pushing, visitor: ProfileRef = ADA, user: ProfileRef = RUTH) -> list[Message]:
    """What ingest makes of the call that says that the visitor is the user."""
    call = site.event("$identify", anonymous_id=visitor.value, user_id=user.value)
    link = LinkRequested(
        key=key_of(user),
        profile=user,
        anonymous_key=key_of(visitor),
        anonymous=visitor,
        source="shop",
        message_id=call.message_id,
        at=site.clock.now(),
    )
    return [site.received(call, profile=user), site.message(LINK_REQUESTED, link, id=f"link {call.message_id}")]


async def happens(site: Pushing, *messages: Message) -> None:
    """As it is on a platform: what is accepted is archived, too."""
    for message in messages:
        await site.embedded.archive.append(EVENTS, [message])
        assert await site.push("evaluate", message) == 204


async def bucketed_by(site: Pushing, profile: ProfileRef = RUTH) -> str | None:
    """What a lookup tells, by the state and by the public document alike."""
    catalogs = Catalogs(site.embedded.catalog, site.clock)
    lookup, compiled = Lookup(site.ports, catalogs), await catalogs.current()
    by_state = (await lookup.newest(key_of(profile), compiled)).bucketing_id
    for message in await site.published(MEMBERSHIPS):
        assert await site.push("update", message) == 204
    assert (await lookup.answer(key_of(profile), compiled)).bucketing_id == by_state
    return by_state


async def test_a_user_is_bucketed_by_the_anonymous_id_they_came_with_in_whatever_order_it_is_told(
    site: Pushing,
) -> None:
    for number, order in enumerate(itertools.permutations(range(3))):
        visitor, user = ProfileRef("anonymous_id", f"visitor-{number}"), ProfileRef("user_id", f"user-{number}")
        messages = [seen(site, visitor), *identified(site, visitor, user)]
        await happens(site, *(messages[index] for index in order), *messages)
        assert await bucketed_by(site, user) == visitor.value, order


async def test_a_user_who_is_known_keeps_their_own_id_through_every_login(site: Pushing) -> None:
    await happens(site, site.received(site.event("Order Completed", user_id="ruth"), profile=RUTH))
    await happens(site, seen(site), *identified(site), seen(site, BEA), *identified(site, BEA))
    assert await bucketed_by(site) == "ruth"


async def test_the_first_of_many_devices_stays_the_one(site: Pushing) -> None:
    await happens(site, seen(site), *identified(site))
    site.clock.advance(SECOND)
    await happens(site, seen(site, BEA), *identified(site, BEA))
    assert await bucketed_by(site) == "ada"


async def test_a_user_who_never_was_a_visitor_is_bucketed_by_their_own_id(site: Pushing) -> None:
    await happens(site, site.received(site.event("Order Completed", user_id="ruth"), profile=RUTH))
    assert await bucketed_by(site) == "ruth"


async def test_a_rebuilt_profile_stays_in_its_bucket(site: Pushing) -> None:
    await happens(site, seen(site), *identified(site))
    await rebuild(site.ports, Catalogs(site.embedded.catalog, site.clock), key_of(RUTH))
    assert await bucketed_by(site) == "ada"


async def test_a_user_who_never_was_the_visitor_is_bucketed_by_their_own_id_again(site: Pushing) -> None:
    await happens(site, seen(site), *identified(site), *identified(site, BEA))
    for visitor, left in ((BEA, "ada"), (ADA, "ruth")):
        withdrawn = LinkWithdrawn(
            key=key_of(RUTH),
            profile=RUTH,
            anonymous_key=key_of(visitor),
            anonymous=visitor,
            at=site.clock.now(),
        )
        await happens(site, site.message(LINK_WITHDRAWN, withdrawn, id=f"not {visitor}"))
        assert await bucketed_by(site) == left


async def test_an_erased_user_begins_anew(site: Pushing) -> None:
    await happens(site, seen(site), *identified(site))
    erased = ProfileErased(key=key_of(RUTH), at=site.clock.now())
    assert await site.push("privacy", site.message(PROFILE_ERASED, erased, id="receipt")) == 204
    assert await bucketed_by(site) is None
    site.clock.advance(SECOND)
    await happens(site, *reversed(identified(site, BEA)))
    assert await bucketed_by(site) == "bea"
