"""An anonymous visitor who turns out to be a user is one profile with them, in whatever order messages come."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from segue.domain import links, rules
from segue.domain.document import Redirect, encode, state_path
from segue.domain.membership import covers
from segue.domain.message import EVENTS, LINK_REQUESTED, LINK_WITHDRAWN, LinkRequested, LinkWithdrawn
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE, SECOND
from segue.metrics import NOTED
from segue.ports import Message, Write
from tests.functions.pushing import ADA, KEY, NOW, SETTINGS, Pushing, pushing, unavailable

RUTH, SAUL = ProfileRef("user_id", "ruth"), ProfileRef("user_id", "saul")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


def key_of(profile: ProfileRef) -> str:
    return profile_key(SETTINGS.profile_secret, profile)


def request(site: Pushing, user: ProfileRef = RUTH, visitor: ProfileRef = ADA, id: str = "link") -> Message:
    """A call says that the anonymous visitor is the user."""
    data = LinkRequested(
        key=key_of(user),
        profile=user,
        anonymous_key=key_of(visitor),
        anonymous=visitor,
        source="shop",
        message_id=f"call of {id}",
        at=site.clock.now(),
    )
    return site.message(LINK_REQUESTED, data, id=id)


async def state(site: Pushing, profile: ProfileRef = RUTH) -> rules.State:
    return rules.decode((await site.state(key_of(profile))).state)


async def inside(site: Pushing, profile: ProfileRef = RUTH) -> set[str]:
    """The segments that a profile is in, as its private state has it."""
    found = await state(site, profile)
    return {name for name, spans in found.memberships.items() if covers(spans, found.instant)}


async def ledger(site: Pushing, user: ProfileRef = RUTH) -> links.Ledger:
    stored = await site.embedded.store.get(links.path(key_of(user)))
    assert stored
    return links.decode(stored.data)


async def test_the_user_has_what_both_did(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", site.received(site.event("Order Completed"), profile=RUTH))
    assert await site.push("evaluate", request(site)) == 204
    assert await inside(site) == {"viewer", "buyer"}
    assert (await state(site)).counts.folded == 2
    assert (await site.state()).redirect == Redirect(key_of(RUTH), RUTH, NOW)
    (entry,) = (await ledger(site)).entries
    assert (entry.anonymous, entry.status, entry.at, entry.source) == (ADA, "linked", NOW, "shop")


async def test_whoever_follows_the_visitor_hears_that_it_left_and_whoever_follows_the_user_that_it_entered(
    site: Pushing,
) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", request(site))
    told = [
        (entry.profile, transition.transition, transition.reason)
        for entry in await site.announced()
        for transition in entry.transitions
    ]
    assert told == [(ADA, "entered", "event"), (ADA, "exited", "merge"), (RUTH, "entered", "merge")]
    left = next(entry for entry in await site.announced() if entry.into)
    assert (left.profile, left.into, left.memberships) == (ADA, key_of(RUTH), {})


async def test_the_public_document_of_the_visitor_leads_to_the_user_at_once(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await site.push("evaluate", request(site))
    shown = await site.public()
    assert shown
    assert (shown.into, shown.memberships) == (key_of(RUTH), {})


async def test_in_whatever_order_messages_come_and_however_often_the_user_has_all_of_it(tmp_path: Path) -> None:
    for number, order in enumerate(itertools.permutations(range(3))):
        async with pushing(tmp_path / str(number)) as site:
            viewed = site.received(site.event("Product Viewed"))
            bought = site.received(site.event("Order Completed"), profile=RUTH)
            messages = [viewed, bought, request(site)]
            for index in (*order, *reversed(order)):
                assert await site.push("evaluate", messages[index]) == 204
            assert await inside(site) == {"viewer", "buyer"}, order
            found = (await state(site)).counts
            assert (found.folded, found.duplicate) == (2, 0), order


async def test_what_the_visitor_does_later_is_the_users_too(site: Pushing) -> None:
    await site.push("evaluate", request(site))
    site.clock.advance(SECOND)
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    assert await inside(site) == {"viewer"}
    assert (await site.state()).rev == 1


async def test_what_comes_later_without_a_proof_is_not_the_users(site: Pushing) -> None:
    await site.push("evaluate", request(site))
    site.clock.advance(SECOND)
    received = site.received(site.event("Product Viewed"))
    unproven = received.data.replace(b'"proven":true', b'"proven":false')
    await site.push("evaluate", msgspec.structs.replace(received, data=unproven))
    assert await inside(site) == set()
    assert await inside(site, ADA) == {"viewer"}
    shown = (await site.announced())[-1]
    assert (shown.profile, shown.into) == (ADA, key_of(RUTH))


async def test_one_visitor_is_one_user(site: Pushing) -> None:
    await site.push("evaluate", request(site))
    refused = NOTED.total(event="link_refused")
    for _ in range(2):
        assert await site.push("evaluate", request(site, SAUL, id="another")) == 204
    assert (await site.state()).redirect == Redirect(key_of(RUTH), RUTH, NOW)
    (entry,) = (await ledger(site, SAUL)).entries
    assert (entry.status, entry.reason) == ("refused", "of_another_user")
    assert (await ledger(site, SAUL)).refused == 1
    assert NOTED.total(event="link_refused") == refused + 2


async def test_a_user_never_becomes_another_one(site: Pushing) -> None:
    assert await site.push("evaluate", request(site, RUTH, SAUL)) == 204
    (failed,) = await site.failed()
    assert "expected an anonymous_id and a user_id" in failed.reason


async def test_a_hundred_visitors_are_one_user_and_no_more(site: Pushing) -> None:
    full = links.Ledger(profile=RUTH)
    for number in range(links.MOST_LINKS):
        visitor = ProfileRef("anonymous_id", str(number))
        made = msgspec.json.decode(request(site, visitor=visitor).data, type=LinkRequested)
        full = links.noted(full, made, None)
    await site.embedded.store.commit([Write(path=links.path(key_of(RUTH)), data=links.encode(full))])
    await site.push("evaluate", request(site))
    assert (await ledger(site)).entries[-1].reason == "too_many_links"
    assert await site.embedded.store.get(state_path(KEY)) is None


@pytest.mark.parametrize("broken", ["commit", "publish"])
async def test_a_link_that_was_cut_short_is_finished_when_it_comes_again(site: Pushing, broken: str) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    site.broken.breaks = {broken: unavailable()}
    assert await site.push("evaluate", request(site)) == 503
    site.restart()
    assert await site.push("evaluate", request(site)) == 204
    assert await inside(site) == {"viewer"}
    told = {(entry.profile, each.transition) for entry in await site.announced() for each in entry.transitions}
    assert told == {(ADA, "entered"), (ADA, "exited"), (RUTH, "entered")}


async def test_redirects_that_lead_round_in_circles_stop_nobody_else(site: Pushing) -> None:
    await site.push("evaluate", request(site))
    redirect = await site.state()
    circle = msgspec.structs.replace(redirect, redirect=Redirect(KEY, ADA, NOW + MINUTE))
    await site.embedded.store.commit([Write(path=state_path(KEY), data=encode(circle))])
    assert await site.push("evaluate", site.received(site.event("Product Viewed"))) == 204
    (failed,) = await site.failed()
    assert "expected a user, found a redirect" in failed.reason


def withdrawal(site: Pushing, user: ProfileRef = RUTH, visitor: ProfileRef = ADA) -> Message:
    """The site's owner says that it was not so."""
    data = LinkWithdrawn(
        key=key_of(user), profile=user, anonymous_key=key_of(visitor), anonymous=visitor, at=site.clock.now()
    )
    return site.message(LINK_WITHDRAWN, data, id="withdrawal")


async def happens(site: Pushing, *messages: Message) -> None:
    """As it is on a platform: what is accepted is archived, too."""
    for message in messages:
        await site.embedded.archive.append(EVENTS, [message])
        assert await site.push("evaluate", message) == 204


async def test_a_link_that_is_withdrawn_leaves_both_with_what_they_did_themselves(site: Pushing) -> None:
    asked = request(site)
    await happens(site, site.received(site.event("Product Viewed")))
    await happens(site, site.received(site.event("Order Completed"), profile=RUTH), asked)
    site.clock.advance(SECOND)
    await happens(site, site.received(site.event("Product Viewed")), withdrawal(site))
    assert await inside(site) == {"buyer"}
    assert await inside(site, ADA) == {"viewer"}
    assert (await state(site, ADA)).counts.folded == 2
    assert (await site.state()).redirect is None
    assert (await site.state(key_of(RUTH))).linked == ()
    shown = await site.public()
    assert shown
    assert (shown.into, set(shown.memberships)) == (None, {"viewer"})
    (entry,) = (await ledger(site)).entries
    assert (entry.status, entry.at, entry.withdrawn_at) == ("withdrawn", NOW, NOW + SECOND)
    told = [
        (str(entry.profile), transition.transition, transition.segment)
        for entry in (await site.announced())[-2:]
        for transition in entry.transitions
    ]
    assert told == [("anonymous_id:ada", "entered", "viewer"), ("user_id:ruth", "exited", "viewer")]


async def test_what_was_withdrawn_is_not_linked_again_and_what_the_visitor_does_stays_their_own(site: Pushing) -> None:
    asked = request(site)
    await happens(site, site.received(site.event("Page Viewed")), asked, withdrawal(site))
    await happens(site, asked, request(site, id="again"), withdrawal(site))
    await happens(site, site.received(site.event("Product Viewed")))
    assert await inside(site) == set()
    assert await inside(site, ADA) == {"viewer"}
    assert [entry.status for entry in (await ledger(site)).entries] == ["withdrawn"]


async def test_a_visitor_who_was_not_one_user_can_be_another(site: Pushing) -> None:
    await happens(site, site.received(site.event("Product Viewed")), request(site), withdrawal(site))
    await happens(site, request(site, SAUL, id="another"))
    assert await inside(site, SAUL) == {"viewer"}


async def test_a_withdrawal_may_come_first(site: Pushing) -> None:
    await happens(site, withdrawal(site), request(site), site.received(site.event("Product Viewed")))
    assert await inside(site, ADA) == {"viewer"}
    assert [entry.status for entry in (await ledger(site)).entries] == ["withdrawn"]


async def test_a_withdrawal_waits_until_the_archive_has_all(site: Pushing) -> None:
    await site.push("evaluate", site.received(site.event("Product Viewed")))
    await happens(site, request(site))
    assert await site.push("evaluate", withdrawal(site)) == 503
    assert await inside(site) == {"viewer"}
