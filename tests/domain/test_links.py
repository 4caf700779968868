"""Who may be linked to whom, what the ledger keeps of it, and what follows a link."""

import msgspec
import pytest

from segue.domain import links, rules
from segue.domain.document import Redirect, StateDocument
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.links import Ledger
from segue.domain.message import EventsReceived, LinkRequested, LinkWithdrawn
from segue.domain.profile import ProfileRef

ANNA, RUTH = ProfileRef("anonymous_id", "anna"), ProfileRef("user_id", "ruth")
USER = "b" * 32
NOTHING = Ledger(profile=RUTH)


def request(visitor: int = 1, id_: str = "m-1", at: int = 5) -> LinkRequested:
    return LinkRequested(
        key=USER,
        profile=RUTH,
        anonymous_key=f"{visitor:032x}",
        anonymous=ANNA,
        source="shop",
        message_id=id_,
        at=at,
    )


def withdrawal(visitor: int = 1, at: int = 9) -> LinkWithdrawn:
    return LinkWithdrawn(key=USER, profile=RUTH, anonymous_key=f"{visitor:032x}", anonymous=ANNA, at=at)


def visitor(redirect: Redirect | None) -> StateDocument:
    return StateDocument(profile=ANNA, state=rules.encode(rules.empty()), catalog=1, rev=1, redirect=redirect)


@pytest.mark.parametrize("kinds", [(RUTH, RUTH), (ANNA, ANNA), (RUTH, ANNA)])
def test_only_an_anonymous_visitor_becomes_a_user(kinds: tuple[ProfileRef, ProfileRef]) -> None:
    anonymous, profile = kinds
    with pytest.raises(Invalid):
        links.check(msgspec.structs.replace(request(), anonymous=anonymous, profile=profile))
    links.check(request())


def test_who_is_nobodys_may_be_linked_and_who_is_somebodys_may_not() -> None:
    assert links.refusal(request(), None, NOTHING) is None
    assert links.refusal(request(), visitor(None), NOTHING) is None
    assert links.refusal(request(), visitor(Redirect("c" * 32, RUTH, 1)), NOTHING) == "of_another_user"


def test_what_was_withdrawn_is_refused_for_ever_and_the_ledger_goes_on_saying_so() -> None:
    ledger = links.withdrawn(links.noted(NOTHING, request(), None), withdrawal())
    assert links.refusal(request(at=99, id_="m-9"), visitor(None), ledger) == "withdrawn"
    assert links.noted(ledger, request(), "withdrawn") == links.withdrawn(ledger, withdrawal(at=10)) == ledger
    (entry,) = ledger.entries
    assert (entry.status, entry.at, entry.withdrawn_at) == ("withdrawn", 5, 9)


def test_a_hundred_links_are_enough_and_a_refusal_is_none() -> None:
    ledger = NOTHING
    for number in range(links.MOST_LINKS - 1):
        ledger = links.noted(ledger, request(number), None)
    ledger = links.noted(ledger, request(1_000), "of_another_user")
    assert links.refusal(request(1_001), None, ledger) is None
    ledger = links.noted(ledger, request(1_001), None)
    assert links.refusal(request(1_002), None, ledger) == "too_many_links"


def test_a_ledger_shows_the_newest_refusals_and_counts_all() -> None:
    ledger = links.noted(NOTHING, request(9_999), None)
    for number in range(links.MOST_REFUSED + 5):
        ledger = links.noted(ledger, request(number, id_=f"m-{number}"), "of_another_user")
    assert (len(ledger.entries), ledger.refused) == (1 + links.MOST_REFUSED, links.MOST_REFUSED + 5)
    assert ledger.of(request(9_999).anonymous_key) is not None
    assert ledger.of(request(4).anonymous_key) is None
    assert links.decode(links.encode(ledger)) == ledger


def test_the_same_refusal_counts_once() -> None:
    once = links.noted(NOTHING, request(), "of_another_user")
    assert links.noted(once, request(), "of_another_user") == once


@pytest.mark.parametrize(("received_at", "proven", "follows"), [(5, False, True), (6, False, False), (6, True, True)])
def test_what_came_up_to_the_link_follows_it_and_later_what_is_proven(
    received_at: int, proven: bool, follows: bool
) -> None:
    #      link
    # ──5──┤ 6
    event = Event(message_id="m", name="x", occurred_at=1, received_at=received_at)
    message = EventsReceived(key="a" * 32, profile=ANNA, source="shop", events=(event,), proven=proven)
    assert links.follows(message, Redirect(USER, RUTH, 5)) is follows


def test_corrupt_bytes_are_no_ledger() -> None:
    with pytest.raises(Invalid):
        links.decode(b"\xff")
