"""What is left of a message whose profile was erased: its number where events were counted, else nothing."""

from typing import Any

import msgspec
import pytest

from segue.domain.erasure import Content, remaining
from segue.domain.event import Event
from segue.domain.identity import named
from segue.domain.message import (
    DELIVERY_DUE,
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
    EVENTS_WITHHELD,
    PROFILE_DUE,
    EventsReceived,
    EventsWithheld,
    ProfileDue,
)
from segue.domain.profile import ProfileRef

ANNA, BEN = "a" * 32, "b" * 32
ERASED = {ANNA: 10}


def received(key: str, *at: int, kind: str = EVENTS_RECEIVED) -> Content:
    events = tuple(Event(message_id=f"m{each}", name="A", occurred_at=each, received_at=each) for each in at)
    data = EventsReceived(key=key, profile=ProfileRef("user_id", "x"), source="shop", events=events)
    return Content(kind, msgspec.json.encode(data))


def test_events_up_to_the_instant_leave_their_number_and_later_ones_stay() -> None:
    gone = remaining(received(ANNA, 9, 10), ERASED)
    assert gone is not None
    assert gone.type == EVENTS_WITHHELD
    assert msgspec.json.decode(gone.data, type=EventsWithheld).count == 2
    assert remaining(received(ANNA, 10, 11), ERASED) == received(ANNA, 11)
    assert remaining(received(ANNA, 11), ERASED) == received(ANNA, 11)
    assert remaining(received(BEN, 1), ERASED) == received(BEN, 1)


def test_events_that_were_taken_for_a_bots_are_erased_like_any() -> None:
    whole, rest = (received(ANNA, *at, kind=EVENTS_OF_BOTS) for at in ((10, 11), (11,)))
    assert remaining(whole, ERASED) == rest


@pytest.mark.parametrize("kind", [EVENTS_RECEIVED, DELIVERY_DUE, "segue.anything"])
def test_what_cannot_be_read_goes_if_it_has_the_key_and_stays_if_not(kind: str) -> None:
    assert remaining(Content(kind, b'{"key": "%s", ' % ANNA.encode()), ERASED) is None
    assert remaining(Content(kind, b'{"key": "%s", ' % BEN.encode()), ERASED) == Content(
        kind, b'{"key": "%s", ' % BEN.encode()
    )


def test_a_message_that_tells_of_nobody_but_by_the_key_stays() -> None:
    due = Content(PROFILE_DUE, msgspec.json.encode(ProfileDue(key=ANNA, at=5)))
    assert remaining(due, ERASED) == due


def test_what_is_between_two_profiles_goes_with_either_unless_it_came_later() -> None:
    def link(at: int) -> Content:
        return Content("segue.link", msgspec.json.encode({"key": BEN, "anonymous_key": ANNA, "at": at}))

    assert remaining(link(10), ERASED) is None
    assert remaining(link(11), ERASED) == link(11)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ({"userId": "42", "anonymousId": "ada"}, ["user_id:42", "anonymous_id:ada"]),
        ({"userId": 42, "anonymousId": {"a": 1}}, ["user_id:42"]),
        ({"userId": "x" * 300}, []),
        (["userId"], []),
        (None, []),
    ],
)
def test_a_refused_call_names_whom_its_readable_ids_name(call: Any, names: list[str]) -> None:
    assert [str(each) for each in named(call)] == names
