"""A catalogue that changes: who answers what meanwhile, and that a filled state is a state of it all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.time import HOUR
from tests.domain.test_laws import edges
from tests.domain.test_laws_more import A_TENTH, AHEAD, SCENES, Drawn, engine_of, visitor_of
from tests.domain.test_merge import asked, check
from tests.engine import Engine, covers
from tests.oracle import Oracle
from tests.strategies import LATENESS, Catalog, Step, definitions, histories, orders

VIEWED: dict[str, Any] = {"name": "Viewed", "when": {"did": "Product Viewed", "within": "1h"}}
BOUGHT: dict[str, Any] = {"name": "Bought", "when": {"did": "Order Completed", "within": "1h"}}
NEVER = 0

A_QUARTER = settings(max_examples=max(1, settings().max_examples // 4))
"""Of the profile's examples: each compiles three programs, and asks the oracle twice."""


def bridged(before: dict[str, Any], after: dict[str, Any]) -> rules.Bridge | None:
    return rules.bridge(rules.compile(before), rules.compile(after))


@pytest.mark.parametrize(
    "after",
    [
        {"seen": VIEWED},
        {"other": {"name": "It", "when": {"not": {"segment": "seen"}}}, "seen": VIEWED},
        {"seen": {"name": "It", "when": {"did": "Product Viewed", "within": "5m"}}},
        {"seen": {"name": "It", "when": {"all": [VIEWED["when"], {"not": BOUGHT["when"]}]}}},
        {},
    ],
    ids=["the same", "one that asks for another", "a shorter window", "what two measure", "nothing any more"],
)
def test_what_states_hold_needs_no_bridge(after: dict[str, Any]) -> None:
    assert bridged({"seen": VIEWED, "bought": BOUGHT}, after) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "It", "when": {"did": "Product Viewed", "within": "2h"}},
        {"name": "It", "when": {"did": "Product Viewed", "within": "1h", "count": {"ge": 3}}},
        {"name": "It", "when": {"did": "Product Viewed", "where": {"category": "shoes"}, "within": "1h"}},
        {**VIEWED, "stays": "5m"},
    ],
    ids=["a longer window", "more of them", "some of them", "a memory"],
)
def test_what_they_do_not_hold_answers_as_before_and_the_rest_as_now(changed: dict[str, Any]) -> None:
    old = {"seen": VIEWED, "bought": BOUGHT}
    new = {
        "seen": changed,
        "bought": {"name": "It", "when": {"not": BOUGHT["when"]}},
        "fan": {"name": "It", "when": {"segment": "seen"}},
    }
    found = bridged(old, new)
    assert found
    before, after = rules.compile(old).segments, rules.compile(new).segments
    assert found.waiting == {"seen", "fan"}
    assert dict(found.program.segments) == {"seen": before["seen"], "bought": after["bought"]}


def test_a_trait_that_content_is_bound_to_has_no_value_before_it_is_filled() -> None:
    before, after = rules.compile({"seen": VIEWED}), rules.compile({"seen": VIEWED}, told=["city"])
    found = rules.bridge(before, after)
    assert found is not None
    assert (found.program.told, found.waiting) == ({}, frozenset())
    assert rules.bridge(after, before) is None


def test_a_bridge_measures_all_that_was_measured_so_that_nothing_given_back_is_filled_twice() -> None:
    old, new = {"seen": VIEWED, "bought": BOUGHT}, {"added": {"name": "It", "when": {"did": "Product Added"}}}
    first = bridged(old, new)
    assert first
    assert rules.bridge(first.program, rules.compile(old)) is None


def viewed(at: int) -> Event:
    """A product view, received when it happened."""
    return Event(message_id=f"viewed-{at}", name="Product Viewed", occurred_at=at, received_at=at)


def deliveries(steps: Sequence[Step], name: str) -> list[rules.Delivery]:
    return [(f"{name}-{number}", step.events) for number, step in enumerate(steps) if step.events]


def folded(program: rules.Program, state: rules.State, messages: Sequence[rules.Delivery]) -> rules.State:
    for delivery, events in messages:
        state = rules.fold(program, state, events, delivery=delivery)
    return state


def soon(messages: Sequence[rules.Delivery]) -> list[rules.Delivery]:
    """Those that were received within the lateness of the first: so much the archive may be ahead."""
    first = min((event.received_at for _, events in messages for event in events), default=0)
    return [each for each in messages if all(event.received_at <= first + LATENESS for event in each[1])]


@A_QUARTER
@given(st.data(), definitions(), definitions(), histories(most=10))
def test_published_and_filled_amid_a_history_it_is_as_if_it_had_always_been(
    data: st.DataObject, old: Catalog, new: Catalog, history: list[Event]
) -> None:
    received = sorted(history, key=lambda event: event.received_at)
    meanwhile, state = published(data, Engine(old), Engine(new), received)
    if meanwhile is not None:
        check_bridge(meanwhile.bridge, old, new, meanwhile.received, meanwhile.state)
    check(Engine(new), Oracle(new).visitor(received), state, dict.fromkeys(new, NEVER))
    assert state.counts.folded + state.counts.duplicate + state.counts.late == len(received)


@SCENES
@A_TENTH
@given(data=st.data())
def test_so_it_is_where_the_kinds_that_came_later_are_asked_for(data: st.DataObject, drawn: Drawn) -> None:
    """What is published anew is the rest of a catalogue of which a part was there before."""
    scene = data.draw(drawn)
    names = [*scene.catalog][: data.draw(st.integers(0, len(scene.catalog)))]
    part = replace(scene, catalog={name: scene.catalog[name] for name in names})
    received = sorted(scene.history, key=lambda event: event.received_at)
    _, state = published(data, engine_of(part), engine_of(scene), received)
    end = max(event.received_at for event in received) + AHEAD
    check(engine_of(scene), visitor_of(scene), state, dict.fromkeys(scene.catalog, NEVER), end)


@dataclass(frozen=True)
class Meanwhile:
    """A state right before the flip, that has folded what was received by then."""

    bridge: rules.Bridge
    state: rules.State
    received: Sequence[Event]


def published(
    data: st.DataObject, before: Engine, after: Engine, received: Sequence[Event]
) -> tuple[Meanwhile | None, rules.State]:
    """
    old program   | bridge           | bridge, and what is prepared | new program
                published          filled                        in force
    """
    cuts = sorted(data.draw(st.tuples(*[st.integers(0, len(received))] * 3)))
    parts = [received[a:b] for a, b in zip([0, *cuts], [*cuts, len(received)], strict=True)]
    steps = [data.draw(orders(part)) if part else [] for part in parts]
    first, second, third, last = (deliveries(step, f"part-{number}") for number, step in enumerate(steps))
    bridge = rules.bridge(before.program, after.program)
    state = folded(before.program, rules.empty(), first)
    if bridge is None:
        return None, folded(after.program, state, [*second, *third, *last])
    state = folded(bridge.program, state, second)
    ahead = soon(third[: data.draw(st.integers(0, len(third)))])
    archived = [*ahead, *second, *first]
    assert rules.reaches(archived, state)
    prepared = folded(after.program, rules.refolded(after.program, archived), third)
    state = folded(bridge.program, state, third)
    succeeded = rules.succeed(after.program, state, prepared)
    assert [transition.seq for transition in succeeded.pending] == [*range(1, succeeded.seq + 1)]
    meanwhile = Meanwhile(bridge, state, received[: cuts[2]])
    return meanwhile, folded(after.program, succeeded, last)


def check_bridge(
    meanwhile: rules.Bridge, old: Catalog, new: Catalog, received: Sequence[Event], state: rules.State
) -> None:
    """What waits answers as it was defined before, the rest as it is defined now."""
    timeline = rules.timeline(meanwhile.program, state, state.instant)
    for segment in meanwhile.program.segments:
        catalog = old if segment in meanwhile.waiting or segment not in new else new
        if asked(catalog, segment) and catalog is old:
            continue  # what it asks for may be new
        visitor = Oracle(catalog).visitor(received)
        if segment in timeline.approximate:
            continue
        for at in edges(visitor.breakpoints(segment), state.instant):
            if timeline.known_until is None or at < timeline.known_until:
                assert covers(timeline, segment, at) is visitor.member(segment, at), (segment, at)


def test_a_history_that_lacks_what_a_state_has_folded_does_not_reach_it() -> None:
    program = rules.compile({"seen": VIEWED})
    messages = [(f"m{number}", (viewed(number * HOUR),)) for number in range(3)]
    state = folded(program, rules.empty(), messages[:2])
    assert rules.reaches(messages[:2], state)
    assert rules.reaches(messages, state)
    assert not rules.reaches(messages[:1], state)
    assert not rules.reaches(messages[1:], state)


def test_a_message_that_was_folded_in_parts_is_reached_by_the_whole_of_it() -> None:
    program = rules.compile({"seen": VIEWED})
    events = tuple(viewed(number) for number in range(5))
    parts = [("m/1", events[:2]), ("m/2/1", events[2:3]), ("m", events[3:])]
    assert rules.reaches([("m", events)], folded(program, rules.empty(), parts))


def test_followers_are_told_once_of_what_differs_and_of_nothing_else() -> None:
    old, new = rules.compile({"seen": VIEWED, "gone": VIEWED}), rules.compile({"seen": VIEWED, "keen": VIEWED})
    messages = [("m", (viewed(HOUR),))]
    state = rules.drained(folded(old, rules.empty(), messages))
    after = rules.succeed(new, state, rules.refolded(new, messages), HOUR + 5)
    told = [(each.segment, each.transition, each.at, each.reason) for each in after.pending]
    assert told == [("gone", "exited", HOUR + 5, "merge"), ("keen", "entered", HOUR + 5, "merge")]
    assert [each.seq for each in after.pending] == [state.seq + 1, state.seq + 2]


@pytest.mark.parametrize(
    ("before", "now", "measured"),
    [
        ({"when": {"did": "A", "within": "1h"}}, {"when": {"did": "A", "within": "1h"}}, True),
        ({"when": {"did": "A", "within": "1h"}}, {"when": {"not": {"did": "A", "within": "10m"}}}, True),
        ({"when": {"did": "A", "within": "10m"}}, {"when": {"did": "A", "within": "1h"}}, False),
        ({"when": {"did": "A", "within": "1h"}}, {"when": {"did": "A"}}, False),
        ({"when": {"did": "A"}}, {"when": {"did": "A", "count": {"ge": 2}}}, False),
        ({"when": {"did": "A", "ago": ["2h", "10m"]}}, {"when": {"did": "A", "ago": ["2h", "30m"]}}, False),
        ({"when": {"did": "A"}}, {"when": {"did": "A"}, "stays": "1h"}, False),
        ({"when": {"did": "A"}}, {"when": {"did": "A", "where": {"k": "x"}}}, False),
        ({"when": {"did": "A"}}, {"when": {"any": [{"did": "A"}, {"did": "B"}]}}, False),
    ],
)
def test_what_definitions_ask_beyond_those_before_is_not_measured_yet(
    before: dict[str, Any], now: dict[str, Any], measured: bool
) -> None:
    assert (bridged({"it": {"name": "It", **before}}, {"it": {"name": "It", **now}}) is None) is measured
