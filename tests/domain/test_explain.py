"""Why a visitor is in a segment or not: the engine's own answer, leaf by leaf, and in words."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.rules.explain import Part
from segue.domain.rules.intervals import FOREVER
from segue.domain.time import DAY
from tests.domain.test_laws import edges
from tests.domain.test_laws_more import A_TENTH, AHEAD, SCENES, Drawn, all_breakpoints, engine_of
from tests.engine import Engine, covers
from tests.oracle import Oracle
from tests.strategies import Catalog, Condition, definitions, histories, in_order

Make: TypeAlias = Callable[[Catalog], Engine]


def leaves(condition: Condition, part: Part) -> Iterator[tuple[Condition, Part]]:
    """Each leaf of a condition, as it would stand alone, with what is said of it."""
    for each, inner in zip(members(condition, part.kind), part.parts, strict=True):
        yield from leaves(each, inner)
    if not part.parts:
        yield condition, part


def members(condition: Condition, kind: str) -> list[Condition]:
    """The conditions that a tree is made of."""
    if kind in ("all", "any", "none"):
        return [*condition[kind]]
    if kind == "not":
        return [condition["not"]]
    if kind == "at_least":
        return [*condition["at_least"]["of"]]
    if kind == "together":
        window = {"within": condition["together"]["within"]}
        return [
            {**leaf, **window} if "did" in leaf else {"aggregate": {**leaf["aggregate"], **window}}
            for leaf in condition["together"]["of"]
        ]
    return []


def check_tree(part: Part, condition: Condition) -> None:
    """A tree is as true as its parts make it, and needs of them what helps it."""
    truths = [inner.true for inner in part.parts]
    if part.kind == "at_least":
        assert part.true is (sum(truths) >= condition["at_least"]["count"])
    elif part.parts:
        assert part.true is {"all": all(truths), "together": all(truths), "any": any(truths)}.get(
            part.kind, not any(truths)
        )
    for inner, each in zip(part.parts, members(condition, part.kind), strict=True):
        assert inner.needed is (part.needed is (part.kind not in ("not", "none")))
        check_tree(inner, each)


def check(data: st.DataObject, catalog: Catalog, make: Make, history: Sequence[Event], instants: Iterable[int]) -> None:
    """At one of the instants: the verdict is the timeline's, each leaf is true as it would be alone, and so on."""
    at = data.draw(st.sampled_from(sorted(instants)))
    segment = data.draw(st.sampled_from(sorted(catalog)))
    engine = make(catalog)
    state = engine.folded(step.events for step in in_order(history))
    once = {event.message_id: event for event in sorted(history, key=lambda event: event.received_at, reverse=True)}
    said = rules.explain(engine.program, state, segment, at, list(once.values()))
    timeline = engine.timeline(state, at)
    assert said.member is covers(timeline, segment, at)
    assert (said.known, said.approximate) == (state.known_from is not None, segment in timeline.approximate)
    definition = catalog[segment]
    parts = [("when", said.when), *([("until", said.unless)] if said.unless else [])]
    for name, part in parts:
        check_tree(part, definition[name])
    found = [each for name, part in parts for each in leaves(definition[name], part)]
    found += [
        ({"consent": name}, part) for name, part in zip(definition.get("purposes", ()), said.purposes, strict=True)
    ]
    if said.known:
        check_alone(make, catalog, found, history, at)
        check_nearest(said, [part for _, part in found])
    for counted in (counted for _, part in found for counted in part.counted):
        assert counted.message_id is not None
        assert once[counted.message_id].occurred_at == counted.at
    assert all(rules.words(said))


def check_alone(
    make: Make, catalog: Catalog, found: Sequence[tuple[Condition, Part]], history: Sequence[Event], at: int
) -> None:
    """Each leaf is as true as a segment of that leaf alone, and changes when that one does, if that is known."""
    alone = {f"leaf-{number}": {"name": "It", "when": condition} for number, (condition, _) in enumerate(found)}
    engine = make({**catalog, **alone})
    state = engine.folded(step.events for step in in_order(history))
    far = min(at + 30 * DAY, engine.timeline(state, at).known_until or FOREVER)
    for (_, part), name in zip(found, alone, strict=True):
        changes_at = part.changes_at or far
        for instant, true in ((at, part.true), (changes_at - 1, part.true)):
            assert covers(engine.timeline(state, instant), name, instant) is true
        if part.changes_at is not None:
            assert covers(engine.timeline(state, changes_at), name, changes_at) is not part.true


def check_nearest(said: rules.Explanation, found: Sequence[Part]) -> None:
    if said.member:
        assert said.nearest is None
    elif said.nearest is None:
        assert said.when.true
        assert said.enter_after
    else:
        assert said.nearest.true is not said.nearest.needed
        assert replace(said.nearest, before=None) in [replace(part, before=None) for part in found]
        assert said.nearest.before is None or said.nearest.before > said.at


@given(st.data(), definitions(), histories())
def test_an_explanation_says_what_the_engine_answers_leaf_by_leaf(
    data: st.DataObject, catalog: Catalog, history: list[Event]
) -> None:
    visitor = Oracle(catalog).visitor(history)
    start = max(event.received_at for event in history)
    instants = edges(set[int]().union(*(visitor.breakpoints(segment) for segment in catalog)), start)
    check(data, catalog, Engine, history, instants)


@SCENES
@A_TENTH
@given(data=st.data())
def test_so_it_does_where_the_kinds_that_came_later_are_asked_for(data: st.DataObject, drawn: Drawn) -> None:
    scene = data.draw(drawn)
    start = max(event.received_at for event in scene.history)
    instants = edges(all_breakpoints(scene, start + AHEAD), start)
    check(
        data,
        scene.catalog,
        lambda catalog: engine_of(dataclasses.replace(scene, catalog=catalog)),
        scene.history,
        instants,
    )
