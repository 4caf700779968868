"""What a session costs, how old it may be, and which conditions on one are refused."""

from typing import Any

import pytest

from segue.domain import rules
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.time import DAY, MINUTE

START = 1_767_225_600_000
LONG = {"long": {"name": "Long", "when": {"session": "this.duration", "is": {"gt": "5m"}}}}
LAST = {"long": {"name": "Long", "when": {"session": "last.duration", "is": {"gt": "5m"}}}}


def happened(number: int, after: int, received: int | None = None) -> Event:
    at = START + after
    received_at = at if received is None else START + received
    return Event(message_id=str(number), name="A", occurred_at=at, received_at=received_at)


def when(condition: dict[str, Any]) -> dict[str, Any]:
    return {"it": {"name": "It", "when": condition}}


def members(state: rules.State) -> set[str]:
    return {name for name, spans in state.memberships.items() if spans[0][0] <= state.instant}


@pytest.mark.parametrize(
    "condition", [{"session": "this.events", "is": {"ge": 3}}, {"session": "last.events", "is": {"ge": 3}}]
)
def test_a_segment_whose_memory_looks_back_leaves_the_sessions_of_the_others_as_they_are(
    condition: dict[str, Any],
) -> None:
    remembering = {"other": {"name": "Other", "when": condition, "stays": "1h"}}
    program, state = rules.compile(when(condition) | remembering), rules.empty()
    for number, at in enumerate((0, 1, 2, 3, 60)):
        state = rules.fold(program, state, [happened(number, at * MINUTE)])
        if number == 3:
            assert ("it" in members(state)) is condition["session"].startswith("this")
    assert ("it" in members(state)) is condition["session"].startswith("last")


def test_a_session_is_one_stretch_however_many_messages_it_has() -> None:
    program, state = rules.compile(LONG), rules.empty()
    sizes = []
    for number in range(500):
        state = rules.fold(program, state, [happened(number, number * MINUTE)])
        sizes.append(len(rules.encode(rules.drained(state))) - len(state.ids))
    assert max(sizes[10:]) <= sizes[10] + 10


def test_sessions_of_a_year_cost_what_those_of_a_month_do() -> None:
    program, state = rules.compile(LONG), rules.empty()
    sizes = []
    for number in range(365):
        state = rules.fold(program, state, [happened(number, number * DAY)])
        sizes.append(len(rules.encode(rules.drained(state))) - len(state.ids))
    assert max(sizes[40:]) <= sizes[40] + 10 < 1_000


def test_the_last_session_is_remembered_for_ever() -> None:
    program = rules.compile(LAST)
    state = rules.fold(program, rules.empty(), [happened(0, 0), happened(1, 6 * MINUTE)])
    state = rules.fold(program, state, (), at=START + 400 * DAY)
    assert members(state) == {"long"}
    assert members(rules.fold(program, state, [happened(2, 400 * DAY + 1)])) == {"long"}


def test_a_message_of_a_month_ago_joins_two_sessions_of_then() -> None:
    program = rules.compile(LAST)
    visits = [happened(0, 0), happened(1, 40 * MINUTE)]
    apart = rules.fold(program, rules.empty(), [*visits, happened(2, 29 * DAY)])
    assert members(apart) == set()
    joined = rules.fold(program, apart, [happened(3, 20 * MINUTE, received=29 * DAY)])
    assert members(joined) == {"long"}


def test_messages_of_a_month_ago_join_as_many_sessions_as_there_are() -> None:
    program = rules.compile(when({"session": "last.duration", "is": "80m"}))
    visits = [happened(number, number * 40 * MINUTE) for number in range(3)]
    state = rules.fold(program, rules.empty(), [*visits, happened(3, 29 * DAY)])
    late = [happened(4, 20 * MINUTE, received=29 * DAY + 1), happened(5, 60 * MINUTE, received=29 * DAY + 1)]
    assert members(state) == set()
    assert members(rules.fold(program, state, late)) == {"it"}


def test_a_copy_that_was_received_earlier_is_no_further_message_of_its_session() -> None:
    program = rules.compile(when({"session": "this.events", "is": 2}))
    state = rules.fold(program, rules.empty(), [happened(0, 0), happened(1, MINUTE, received=90 * MINUTE)], at=START)
    state = rules.fold(program, state, [happened(1, MINUTE, received=70 * MINUTE)])
    again = rules.fold(program, state, [happened(2, 20 * MINUTE, received=90 * MINUTE)])
    counted = rules.compile(when({"session": "last.events", "is": 3}))
    assert state.counts.duplicate == 1
    assert members(rules.fold(counted, again, ())) == {"it"}


@pytest.mark.parametrize(
    ("condition", "path", "message"),
    [
        ({"session": "duration", "is": 1}, "session", "expected this or last and a field"),
        ({"session": "this.mood", "is": 1}, "session", "expected one of duration events pages"),
        ({"session": "this.distinct", "is": 1}, "session", "expected distinct with a property"),
        ({"session": "this.events.n", "is": 1}, "session", "expected distinct with a property"),
        ({"session": "this.pages", "of": "A", "is": 1}, "of", "expected with events and distinct only"),
        ({"session": "this.events", "where": {"n": 1}, "is": 1}, "where", "expected with of only"),
        ({"session": "this.duration", "is": {"gt": "long"}}, "is.gt", "expected a duration such as 10m"),
        ({"session": "this.events", "is": {"gt": {"ref": "n"}}}, "is.gt", "expected a value that is no ref"),
    ],
)
def test_a_broken_condition_on_a_session_is_refused(condition: Any, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile({"it": {"name": "It", "when": condition}})
    assert refused.value.path == f"segments.it.when.{path}"
