"""The engine's laws: what it answers is what the naive oracle says, whatever the order, and always within bounds."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from segue.domain import rules
from segue.domain.event import Event
from tests.engine import Engine, covers
from tests.oracle import Oracle
from tests.strategies import (
    Catalog,
    Step,
    definitions,
    definitions_of_one_event,
    events,
    floods,
    histories,
    in_order,
    orders,
    visits,
)

STATE_LIMIT = 256 * 1024
SHIPPED = Path(__file__).parents[2] / "infra" / "catalog" / "segments.yaml"
FIRST_CATALOG: Catalog = {
    name: {part: said for part, said in segment.items() if part != "purposes"}
    for name, segment in YAML(typ="safe", pure=True).load(SHIPPED)["segments"].items()
}
"""The shop's segments as they are for somebody who has granted every purpose."""

SEARCHING = settings(max_examples=settings().max_examples * 2)
"""For the laws that find what the others only confirm."""
SELDOM = settings(max_examples=settings().max_examples // 20)
"""For an example as long as many."""


def folded(engine: Engine, steps: Iterable[Step]) -> Iterator[tuple[rules.State, list[Event]]]:
    """The state after each step, with the events processed so far."""
    state, processed = rules.empty(), list[Event]()
    for step in steps:
        state = rules.fold(engine.program, state, step.events, at=step.at)
        processed += step.events
        yield state, list(processed)


def answers(engine: Engine, state: rules.State, instants: Iterable[int]) -> dict[int, set[str]]:
    """The segments that the engine says the visitor is in, at each instant."""
    return {at: members(engine.timeline(state, at), at) for at in instants}


def members(timeline: rules.Timeline, at: int) -> set[str]:
    """The segments of which an interval covers the instant."""
    return {segment for segment in timeline.memberships if covers(timeline, segment, at)}


def edges(breakpoints: Iterable[int], start: int) -> list[int]:
    """The start, and each breakpoint after it with its neighbours."""
    beside = {instant + offset for instant in breakpoints for offset in (-1, 0, 1)}
    return sorted({start, *(instant for instant in beside if instant > start)})


def happened(number: int, at: int) -> Event:
    """An A, received when it occurred."""
    return Event(message_id=str(number), name="A", occurred_at=at, received_at=at)


def changes(breakpoints: Iterable[int], member: Callable[[int], bool]) -> list[tuple[str, int]]:
    """Every transition that the truth makes, with its instant."""
    truth, found = False, []
    for instant in sorted(breakpoints):
        if member(instant) is not truth:
            truth = not truth
            found.append(("entered" if truth else "exited", instant))
    return found


def check_announcements(catalog: Catalog, history: list[Event]) -> None:
    """What the engine announces, the messages coming in order, is every change of the oracle's answer, and no other."""
    engine, visitor = Engine(catalog), Oracle(catalog).visitor(history)
    received = {event.received_at for event in history}
    end = max(received.union(*(visitor.breakpoints(segment) for segment in catalog))) + 1
    *_, (state, _) = folded(engine, [*in_order(history), Step((), end)])
    for segment in catalog.keys() - engine.timeline(state, end).approximate:
        announced = [(each.transition, each.at) for each in state.pending if each.segment == segment]
        assert announced == changes(visitor.breakpoints(segment), partial(visitor.member, segment)), segment


@SEARCHING
@given(st.data(), definitions(), histories())
def test_truth_at_every_edge_in_the_end_and_at_some_message_before(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    engine, oracle = Engine(catalog), Oracle(catalog)
    states = list(folded(engine, data.draw(orders(history))))
    for state, processed in (states[data.draw(st.integers(0, len(states) - 1))], states[-1]):
        visitor = oracle.visitor(processed)
        timeline = engine.timeline(state, state.instant)
        for segment in catalog.keys() - timeline.approximate:
            for at in edges(visitor.breakpoints(segment), state.instant):
                known = timeline.known_until is None or at < timeline.known_until
                answer = timeline if known else engine.timeline(state, at)
                assert covers(answer, segment, at) is visitor.member(segment, at), (segment, at)


@given(definitions_of_one_event(), events())
def test_truth_of_any_operator_on_any_value(catalog: Catalog, event: Event) -> None:
    engine, visitor = Engine(catalog), Oracle(catalog).visitor([event])
    *_, (state, _) = folded(engine, in_order([event]))
    said = members(engine.timeline(state, event.received_at), event.received_at)
    assert said == {segment for segment in catalog if visitor.member(segment, event.received_at)}


@SEARCHING
@given(definitions(), histories())
def test_transitions_are_announced_exactly_where_the_truth_changes(catalog: Catalog, history: list[Event]) -> None:
    check_announcements(catalog, history)


@given(visits())
def test_the_first_catalogue_is_announced_exactly_where_its_truth_changes(history: list[Event]) -> None:
    check_announcements(FIRST_CATALOG, history)


@given(st.data(), definitions(), histories())
def test_any_order_gives_the_same_answers(data: st.DataObject, catalog: Catalog, history: list[Event]) -> None:
    engine = Engine(catalog)
    *_, (one, _) = folded(engine, in_order(history))
    *_, (other, _) = folded(engine, data.draw(orders(history)))
    visitor = Oracle(catalog).visitor(history)
    start = max(one.instant, other.instant)
    instants = edges(set[int]().union(*(visitor.breakpoints(segment) for segment in catalog)), start)
    assert answers(engine, other, instants) == answers(engine, one, instants)


@given(definitions(), histories())
def test_with_no_further_event_the_timeline_is_what_evaluation_says_then(
    catalog: Catalog, history: list[Event]
) -> None:
    engine, visitor = Engine(catalog), Oracle(catalog).visitor(history)
    *_, (state, _) = folded(engine, in_order(history))
    timeline = engine.timeline(state, state.instant)
    for at in edges(set[int]().union(*(visitor.breakpoints(segment) for segment in catalog)), state.instant):
        evaluated = engine.timeline(engine.advanced(state, at), at)
        assert engine.timeline(state, at) == evaluated
        if timeline.known_until is None or at < timeline.known_until:
            assert members(timeline, at) == members(evaluated, at)


def test_a_timeline_of_many_steps_is_exact_up_to_where_it_says() -> None:
    """Each A is a pulse of one millisecond, ten seconds later: more steps than one timeline holds."""
    events = [happened(number, at=2 * number) for number in range(100)]
    catalog = {"it": {"name": "It", "when": {"did": "A", "ago": ["10001ms", "10000ms"]}}}
    engine, visitor = Engine(catalog), Oracle(catalog).visitor(events)
    *_, (state, _) = folded(engine, in_order(events))
    timeline = engine.timeline(state, state.instant)
    assert timeline.known_until is not None
    for at in edges(visitor.breakpoints("it"), state.instant):
        assert at >= timeline.known_until or covers(timeline, "it", at) is visitor.member("it", at)
        assert covers(engine.timeline(state, at), "it", at) is visitor.member("it", at)


@given(st.data(), definitions(), histories())
def test_the_same_log_gives_the_same_state_and_transitions_however_often_it_is_stored(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    engine, steps = Engine(catalog), data.draw(orders(history))
    *_, (kept, _) = folded(engine, steps)
    stored = rules.empty()
    for step in steps:
        stored = rules.fold(Engine(catalog).program, stored, step.events, at=step.at)
        if data.draw(st.booleans()):
            stored = rules.decode(rules.encode(stored))
    assert rules.canonical(stored) == rules.canonical(kept)
    assert stored.pending == kept.pending
    assert engine.timeline(stored, stored.instant) == engine.timeline(kept, kept.instant)


@given(definitions(), floods(messages=2))
def test_a_flood_of_anything_leaves_the_state_within_bounds(catalog: Catalog, flood: list[Step]) -> None:
    engine = Engine(catalog)
    assert all(len(rules.encode(rules.drained(state))) <= STATE_LIMIT for state, _ in folded(engine, flood))


@SELDOM
@given(definitions(), floods(messages=10))
def test_a_long_flood_leaves_the_state_within_bounds(catalog: Catalog, flood: list[Step]) -> None:
    *_, (state, _) = folded(Engine(catalog), flood)
    assert len(rules.encode(rules.drained(state))) <= STATE_LIMIT
