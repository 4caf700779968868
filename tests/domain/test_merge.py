"""Merging: two states that folded a part of the events each answer as one that folded them all (RULES.md, law L3)."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.rules.evidence import MOST_ENTRIES
from segue.domain.time import HOUR, MINUTE
from tests.domain.test_laws import FIRST_CATALOG, answers, edges, happened, members
from tests.domain.test_laws_more import A_TENTH, AHEAD, SCENES, Drawn, engine_of, visitor_of
from tests.engine import Engine, covers
from tests.oracle import Oracle, Visitor
from tests.oracle.membership import nodes, span
from tests.strategies import (
    LATENESS,
    START,
    Catalog,
    Choices,
    Limits,
    Step,
    definitions,
    histories,
    in_order,
    orders,
    visits,
)

SOON_COPIED = Limits(max_age=3 * HOUR, copied_within=2 * HOUR)
"""Everything within the day for which ids are kept."""


def state_of(engine: Engine, steps: Iterable[Step], state: rules.State | None = None) -> rules.State:
    """The state after these steps, from nothing or from another one."""
    return reduce(
        lambda before, step: rules.fold(engine.program, before, step.events, at=step.at),
        steps,
        rules.empty() if state is None else state,
    )


@st.composite
def divisions(draw: st.DrawFn, history: Sequence[Event], count: int) -> list[list[Event]]:
    """The events in so many parts, all copies of a message in the same one."""
    choices = Choices(draw)
    part_of = {name: choices.number(0, count - 1) for name in dict.fromkeys(event.message_id for event in history)}
    return [[event for event in history if part_of[event.message_id] == part] for part in range(count)]


@st.composite
def overlapping(draw: st.DrawFn, history: Sequence[Event]) -> list[list[Event]]:
    """The events in two parts; some are in both, and copies may be in either."""
    choices = Choices(draw)
    parts: list[list[Event]] = [[], []]
    for event in history:
        for part in choices.one(((0,), (1,), (0, 1), (0, 1))):
            parts[part].append(event)
    return parts


def asked(catalog: Catalog, segment: str) -> list[str]:
    """The segments that a definition asks for."""
    definition = catalog[segment]
    parts = [definition[part] for part in ("when", "until") if part in definition]
    return [node["segment"] for part in parts for node in nodes(part) if "segment" in node]


def reach(catalog: Catalog, segment: str) -> int:
    """How far back a segment's memory looks, with that of the segments it asks for; 0 if nothing is remembered."""
    own = span(catalog[segment], "stays") + span(catalog[segment], "enter_after")
    return own + max((reach(catalog, other) for other in asked(catalog, segment)), default=0)


def exact_from(catalog: Catalog, frozen: int | None, parts: Sequence[Sequence[Event]]) -> Mapping[str, int]:
    """The instant from which on a merged state is to answer for each segment as if it had folded all the events.

    At once where nothing is remembered, or both states reach back: only one part has events that count before `frozen`.
    Else as soon as no memory looks back beyond it. What is on a list today changes all the past.
    """
    starts = [min(max(event.occurred_at, event.received_at - LATENESS) for event in part) for part in parts if part]
    if frozen is None or (sum(start < frozen for start in starts) < 2 and "'list'" not in repr(catalog)):
        return dict.fromkeys(catalog, 0)
    reaches = {segment: reach(catalog, segment) for segment in catalog}
    return {segment: frozen + back if back else 0 for segment, back in reaches.items()}


def check(
    engine: Engine, visitor: Visitor, state: rules.State, since: Mapping[str, int], upto: int | None = None
) -> None:
    """What the state answers of these segments, each from its instant on, is what the oracle says."""
    timeline = engine.timeline(state, state.instant)
    for segment in since.keys() - timeline.approximate:
        for at in edges(visitor.breakpoints(segment, upto), max(state.instant, since[segment])):
            known = timeline.known_until is None or at < timeline.known_until
            answer = timeline if known else engine.timeline(state, at)
            assert covers(answer, segment, at) is visitor.member(segment, at), (segment, at)


def check_merged(data: st.DataObject, engine: Engine, visitor: Visitor, upto: int | None = None) -> None:
    """Two parts of a history are merged, and what is received later is folded in: both times the answers are exact."""
    oracle = visitor.oracle
    catalog = {name: {**definition} for name, definition in oracle.catalog.items()}
    received = sorted(visitor.log, key=lambda event: event.received_at)
    cut = data.draw(st.integers(1, len(received)))
    parts = data.draw(divisions(received[:cut], 2))
    merged = rules.merge(engine.program, *(state_of(engine, data.draw(orders(part))) for part in parts))
    since = exact_from(catalog, merged.frozen, parts)
    check(engine, oracle.visitor(received[:cut]), merged, since, upto)
    whole = state_of(engine, data.draw(orders(received[cut:])), merged)
    check(engine, visitor, whole, since, upto)


@given(st.data(), definitions(), histories())
def test_two_states_merged_answer_as_one_that_folded_everything_and_go_on_like_it(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    check_merged(data, Engine(catalog), Oracle(catalog).visitor(history))


@SCENES
@A_TENTH
@given(data=st.data())
def test_so_they_do_where_the_kinds_that_came_later_are_asked_for(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    end = max(event.received_at for event in scene.history) + AHEAD
    check_merged(data, engine_of(scene), visitor_of(scene), end)


@pytest.mark.slow
@given(st.data(), visits())
def test_so_they_do_under_the_first_catalogue(data: st.DataObject, history: list[Event]) -> None:
    check_merged(data, Engine(FIRST_CATALOG), Oracle(FIRST_CATALOG).visitor(history))


@given(st.data(), definitions(), histories(SOON_COPIED))
def test_a_message_that_both_have_counts_once_and_as_it_was_received_first(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    """No two messages are of the same instant: if they also said the same, nothing in a state would tell them apart."""
    told_apart = apart(history)
    engine, parts = Engine(catalog), data.draw(overlapping(told_apart))
    merged = rules.merge(engine.program, *(state_of(engine, data.draw(orders(part))) for part in parts))
    check(engine, Oracle(catalog).visitor(told_apart), merged, exact_from(catalog, merged.frozen, parts))
    assert merged.counts.folded == len({event.message_id for event in told_apart})
    assert merged.counts.folded + merged.counts.duplicate == sum(map(len, parts))


@given(st.data(), definitions(), histories())
def test_it_does_not_matter_which_of_two_or_of_three_is_merged_into_which(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    """Where both are exact: the past of one that was carried on more often may begin some instants later."""
    program, engine = rules.compile(catalog), Engine(catalog)
    parts = data.draw(divisions(history, 3))
    a, b, c = (state_of(engine, in_order(part)) for part in parts)
    ab = rules.merge(program, a, b)
    one = rules.merge(program, ab, c)
    other = rules.merge(program, rules.merge(program, c, b), a)
    visitor = Oracle(catalog).visitor(history)
    instants = edges(set[int]().union(*(visitor.breakpoints(segment) for segment in catalog)), one.instant)
    assert answers(engine, rules.merge(program, b, a), instants) == answers(engine, ab, instants)
    edges_of_the_past = [state.frozen for state in (one, other) if state.frozen is not None]
    since = exact_from(catalog, max(edges_of_the_past, default=None), parts)
    for at, said in answers(engine, one, instants).items():
        exact = {segment for segment in catalog if at >= since[segment]}
        assert said & exact == members(engine.timeline(other, at), at) & exact, at


@given(st.data(), definitions(), histories())
def test_what_was_announced_says_who_is_in_after_merging_too(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    engine = Engine(catalog)
    a, b = (state_of(engine, data.draw(orders(part))) for part in data.draw(divisions(history, 2)))
    merged = rules.merge(engine.program, a, b)
    inside: set[str] = set()
    for transition in merged.pending:
        assert (transition.segment in inside) is (transition.transition == "exited")
        (inside.discard if transition.segment in inside else inside.add)(transition.segment)
        assert transition.at <= merged.instant
    assert inside == members(engine.timeline(merged, merged.instant), merged.instant)
    numbers = [transition.seq for transition in merged.pending]
    assert numbers == list(range(a.seq + 1, merged.seq + 1))


@given(definitions(), histories())
def test_merging_with_nothing_changes_no_answer(catalog: Catalog, history: list[Event]) -> None:
    engine = Engine(catalog)
    state = state_of(engine, in_order(history))
    for merged in (
        rules.merge(engine.program, state, rules.empty()),
        rules.merge(engine.program, rules.empty(), state),
    ):
        assert engine.timeline(merged, state.instant) == engine.timeline(state, state.instant)
        assert merged.frozen == state.frozen or state.known_from is None
        assert merged.counts == state.counts


def remembering(definition: Mapping[str, Any], *instants: int) -> rules.State:
    """Two states in which A happened at an instant each, merged 20 h after the start."""
    program = rules.compile({"it": {"name": "It", **definition}})
    a, b = (rules.fold(program, rules.empty(), [happened(at, START + at)], at=START + 20 * HOUR) for at in instants)
    return rules.merge(program, a, b)


def is_member(definition: Mapping[str, Any], state: rules.State, at: int) -> bool:
    program = rules.compile({"it": {**definition, "name": "It"}})
    return covers(rules.timeline(program, state, START + at), "it", START + at)


@pytest.mark.parametrize("instants", [(0, 10 * HOUR), (10 * HOUR, 0)])
def test_the_later_last_true_instant_is_remembered(instants: tuple[int, int]) -> None:
    """
    A   0 .......                    remembered until 24 h
    A   ......... 10 h               remembered until 34 h
    """
    definition = {"when": {"did": "A", "within": "1ms"}, "stays": "24h"}
    merged = remembering(definition, *instants)
    assert is_member(definition, merged, 34 * HOUR)
    assert not is_member(definition, merged, 34 * HOUR + 1)


@pytest.mark.parametrize("instants", [(0, 10 * HOUR), (10 * HOUR, 0)])
def test_what_has_been_true_for_longer_is_what_enters(instants: tuple[int, int]) -> None:
    """
    A   0 .......                    true from 0 on
    A   ......... 10 h               true from 10 h on; together true from 0 on, in from 22 h on
    """
    definition = {"when": {"did": "A", "within": "3d"}, "enter_after": "22h"}
    merged = remembering(definition, *instants)
    assert not is_member(definition, merged, 22 * HOUR - 1)
    assert is_member(definition, merged, 22 * HOUR)


@pytest.mark.parametrize(("ticked", "other"), [(0, 20 * HOUR), (90 * MINUTE, 140 * MINUTE)])
def test_what_the_earlier_state_would_have_remembered_by_then_is_remembered(ticked: int, other: int) -> None:
    """
    one     A at 0, ticked, and nothing since     remembered until 30 h
    other   .................... B                2 h before it is where its past begins
    """
    definition = {"when": {"did": "A", "within": "1ms"}, "stays": "30h"}
    program = rules.compile({"it": {"name": "It", **definition}})
    earlier = rules.fold(program, rules.empty(), [happened(0, START)], at=START + ticked)
    later = rules.fold(program, rules.empty(), [replace(happened(1, START + other), name="B")])
    for merged in (rules.merge(program, earlier, later), rules.merge(program, later, earlier)):
        assert is_member(definition, merged, 30 * HOUR)
        assert not is_member(definition, merged, 30 * HOUR + 1)


def test_a_copy_of_what_the_other_one_folded_is_told_after_merging_too() -> None:
    program = rules.compile({"it": {"name": "It", "when": {"did": "A", "count": {"ge": 2}}}})
    folded = rules.fold(program, rules.empty(), [happened(0, START)])
    merged = rules.merge(program, rules.empty(), folded)
    again = rules.fold(program, merged, [happened(0, START)])
    assert (again.counts.folded, again.counts.duplicate) == (1, 1)
    assert again.memberships == {}


@pytest.mark.parametrize("first", [0, 2 * HOUR])
def test_of_a_message_that_both_have_the_one_received_first_is_what_memory_saw(first: int) -> None:
    """
    A      occurred at 0         in the window until 2 h
    here   received at once      true on [0, 2 h), for 90 min from 1:30 on, and remembered for 1 h
    there  received at 2 h       seen from 1 h on only: never true for 90 min
    """
    definition = {"when": {"did": "A", "within": "2h"}, "enter_after": "90m", "stays": "1h"}
    program = rules.compile({"it": {"name": "It", **definition}})
    a, b = (
        rules.fold(program, rules.empty(), [replace(happened(0, START), received_at=START + delay)])
        for delay in (first, 2 * HOUR - first)
    )
    merged = rules.merge(program, a, b)
    assert is_member(definition, merged, 3 * HOUR - 1)
    assert not is_member(definition, merged, 3 * HOUR)


# What is told, drawn


def merged_after(when: Mapping[str, Any], here: Sequence[int], there: Sequence[int]) -> rules.State:
    """A state in which A happened `here`, drained, merged with one in which it happened `there`, drained too."""
    program = rules.compile({"it": {"name": "It", "when": dict(when)}})
    a, b = (
        rules.drained(
            rules.fold(program, rules.empty(), [happened(number, at) for number, at in enumerate(instants, first)])
        )
        for first, instants in ((0, here), (100, there))
    )
    return rules.merge(program, a, b)


def told(state: rules.State) -> list[tuple[str, int, str]]:
    return [(each.transition, each.at, each.reason) for each in state.pending]


def test_what_only_both_together_bring_is_announced_when_they_are_merged() -> None:
    """
    a   A.....
    b   ...A      two A's: [###
    """
    state = merged_after({"did": "A", "count": {"ge": 2}}, [START], [START + 3])
    assert told(state) == [("entered", START + 3, "merge")]


def test_a_membership_of_the_other_profile_is_told_to_those_who_follow_the_one_that_goes_on() -> None:
    assert told(merged_after({"did": "A"}, [], [START])) == [("entered", START, "merge")]
    assert told(merged_after({"did": "A"}, [START], [])) == []
    assert told(merged_after({"did": "A"}, [START], [START + 5])) == []


def test_what_came_due_for_the_other_profile_meanwhile_is_announced_with_its_own_instant() -> None:
    """
    a   ..................A
    b   A....[####).......       10 ms after the A, for 5 ms
    """
    state = merged_after({"did": "A", "ago": ["15ms", "10ms"]}, [START + 100], [START])
    assert told(state) == [("entered", START + 10, "time"), ("exited", START + 15, "time")]


def test_what_came_due_for_the_profile_that_goes_on_is_announced_once() -> None:
    state = merged_after({"did": "A", "within": "10ms"}, [START], [START + 5, START + 30])
    assert told(state) == [("exited", START + 10, "time"), ("entered", START + 30, "merge")]


# Bounds


def test_more_than_a_measurement_may_hold_is_approximate_after_merging() -> None:
    half = MOST_ENTRIES // 2 + 1
    catalog = {"it": {"name": "It", "when": {"aggregate": {"of": "A", "distinct": "k", "is": {"gt": MOST_ENTRIES}}}}}
    program = rules.compile(catalog)
    a, b = (
        rules.fold(program, rules.empty(), [
            Event(message_id=f"{number}", name="A", occurred_at=START, received_at=START, properties={"k": number})
            for number in range(first, first + half)
        ])
        for first in (0, half)
    )  # fmt: skip
    assert rules.merge(program, a, b).approximate == ("it",)


def test_a_copy_among_totals_of_all_time_makes_the_answer_approximate() -> None:
    program = rules.compile({"it": {"name": "It", "when": {"aggregate": {"of": "A", "sum": "n", "is": {"ge": 3}}}}})
    event = Event(message_id="a", name="A", occurred_at=START, received_at=START, properties={"n": 2})
    other = Event(message_id="b", name="A", occurred_at=START, received_at=START, properties={"n": 1})
    state = rules.fold(program, rules.empty(), [event])
    assert rules.merge(program, state, rules.fold(program, rules.empty(), [event])).approximate == ("it",)
    exact = rules.timeline(program, rules.merge(program, state, rules.fold(program, rules.empty(), [other])), START)
    assert exact.approximate == frozenset()
    assert members(exact, START) == {"it"}


def apart(history: Sequence[Event]) -> list[Event]:
    """The events of one message for each instant."""
    message_at = {event.occurred_at: event.message_id for event in history}
    return [event for event in history if message_at[event.occurred_at] == event.message_id]
