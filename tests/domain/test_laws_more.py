"""The engine's laws for the kinds that came later, and for what delays or masks a segment."""

from dataclasses import replace
from functools import partial
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.domain import rules
from tests.domain.test_laws import answers, changes, edges, folded, members
from tests.engine import Engine, covers
from tests.oracle import Oracle, Visitor
from tests.strategies import DAY, Step, in_order, orders
from tests.strategies_more import GRANTED_UNSAID, LISTS, Scene, scenes
from tests.strategies_named import cluster_scenes, computed_scenes, scored_scenes, session_scenes

A_TENTH = settings(max_examples=max(1, settings().max_examples // 10))
"""Of the profile's examples: a scene has clocks that turn for days, and takes ten times as long as a short history."""

Drawn: TypeAlias = st.SearchStrategy[Scene]

SCENES = pytest.mark.parametrize(
    "drawn",
    [
        pytest.param(scenes(), id="calendars and people"),
        pytest.param(scored_scenes(), id="scores"),
        pytest.param(computed_scenes(), id="computed traits"),
        pytest.param(session_scenes(), id="sessions"),
        pytest.param(cluster_scenes(), id="clusters"),
    ],
)
"""The laws hold of each kind of scene."""

AHEAD = 8 * DAY
"""How far beyond the last message clocks and anniversaries, which never end, are followed."""


def engine_of(scene: Scene) -> Engine:
    return Engine(scene.catalog, LISTS, GRANTED_UNSAID, **scene.terms)


def visitor_of(scene: Scene) -> Visitor:
    return Oracle(scene.catalog, LISTS, GRANTED_UNSAID, **scene.terms).visitor(scene.history)


def all_breakpoints(scene: Scene, upto: int) -> set[int]:
    """Every instant at which some membership can change; of what recurs for ever, until `upto`."""
    visitor = visitor_of(scene)
    return set[int]().union(*(visitor.breakpoints(segment, upto) for segment in scene.catalog))


@SCENES
@A_TENTH
@given(data=st.data())
def test_truth_at_every_edge_in_the_end_and_at_some_message_before(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    engine = engine_of(scene)
    states = list(folded(engine, data.draw(orders(scene.history))))
    for state, processed in (states[data.draw(st.integers(0, len(states) - 1))], states[-1]):
        visitor = visitor_of(replace(scene, history=processed))
        timeline = engine.timeline(state, state.instant)
        for segment in scene.catalog.keys() - timeline.approximate:
            for at in edges(visitor.breakpoints(segment, state.instant + AHEAD), state.instant):
                known = timeline.known_until is None or at < timeline.known_until
                answer = timeline if known else engine.timeline(state, at)
                assert covers(answer, segment, at) is visitor.member(segment, at), (segment, at)


@SCENES
@A_TENTH
@given(data=st.data())
def test_transitions_are_announced_exactly_where_the_truth_changes(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    engine, visitor = engine_of(scene), visitor_of(scene)
    end = max(event.received_at for event in scene.history) + AHEAD
    *_, (state, _) = folded(engine, [*in_order(scene.history), Step((), end)])
    for segment in scene.catalog.keys() - engine.timeline(state, end).approximate:
        announced = [(each.transition, each.at) for each in state.pending if each.segment == segment]
        breakpoints = {at for at in visitor.breakpoints(segment, end) if at <= end}
        assert announced == changes(breakpoints, partial(visitor.member, segment)), segment


@SCENES
@A_TENTH
@given(data=st.data())
def test_any_order_gives_the_same_answers(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    engine = engine_of(scene)
    *_, (one, _) = folded(engine, in_order(scene.history))
    *_, (other, _) = folded(engine, data.draw(orders(scene.history)))
    start = max(one.instant, other.instant)
    instants = edges(all_breakpoints(scene, start + AHEAD), start)
    assert answers(engine, other, instants) == answers(engine, one, instants)


@SCENES
@A_TENTH
@given(data=st.data())
def test_with_no_further_event_the_timeline_is_what_evaluation_says_then(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    engine = engine_of(scene)
    *_, (state, _) = folded(engine, in_order(scene.history))
    timeline = engine.timeline(state, state.instant)
    for at in edges(all_breakpoints(scene, state.instant + AHEAD), state.instant):
        evaluated = engine.timeline(engine.advanced(state, at), at)
        assert members(engine.timeline(state, at), at) == members(evaluated, at)
        if timeline.known_until is None or at < timeline.known_until:
            assert members(timeline, at) == members(evaluated, at)


@SCENES
@A_TENTH
@given(data=st.data())
def test_the_same_log_gives_the_same_state_and_transitions_however_often_it_is_stored(
    data: st.DataObject, drawn: Drawn
) -> None:
    scene = data.draw(drawn)
    engine, steps = engine_of(scene), data.draw(orders(scene.history))
    *_, (kept, _) = folded(engine, steps)
    stored = rules.empty()
    for step in steps:
        stored = rules.fold(engine_of(scene).program, stored, step.events, at=step.at)
        if data.draw(st.booleans()):
            stored = rules.decode(rules.encode(stored))
    assert rules.canonical(stored) == rules.canonical(kept)
    assert stored.pending == kept.pending
    assert engine.timeline(stored, stored.instant) == engine.timeline(kept, kept.instant)
