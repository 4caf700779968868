"""What fills a slot, asked of the table `tests/cases/decisions.json`: by the engine's own memberships and values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from segue.domain import rules
from segue.domain.catalog import Catalog, parse
from segue.domain.decision import Decision, Visitor, asked_for, decision, values
from segue.domain.event import Event
from segue.domain.membership import covers, unnamed
from tests.domain.test_oracle_cases import happened, instant, read

SECTIONS = ("segments", "computed", "scores", "experiments", "holdouts")


def decided(catalog: Catalog, slot: str, history: Sequence[Event], at: int, bucketing_id: str) -> Decision:
    """What fills a slot at an instant, for a visitor of whom is known what was received by then."""
    program, place = catalog.program(), catalog.places()[slot]
    state = rules.fold(program, rules.empty(), [event for event in history if event.received_at <= at])
    ahead = rules.timeline(program, state, at).memberships
    visitor = Visitor(
        at=at,
        known=state.known_from is not None,
        segments=frozenset(name for name, spans in ahead.items() if covers(spans, at)),
        bucketing_id=bucketing_id,
    )
    own = values(program, state, asked_for(place, decision(place, visitor)), at)
    return decision(place, replace(visitor, values=own))


def documents(case: Mapping[str, Any]) -> dict[str, Any]:
    """The catalogue of a case."""
    settings = {"settings": {"granted_unsaid": case["granted_unsaid"]}} if "granted_unsaid" in case else {}
    return {"slots": {"it": case["slot"]}, **{name: case[name] for name in SECTIONS if name in case}, **settings}


def test_a_control_group_takes_as_much_from_each_arm_whatever_the_names_of_slot_and_experiment() -> None:
    arms = ["control", "large"]
    variants = [{"name": arm, "experiment": "it", "arm": arm, "content": {}} for arm in arms]
    slot = {"name": "It", "control": {"percent": 50}, "variants": variants, "default": {}}
    experiment = {"name": "It", "status": "running", "arms": [{"id": arm} for arm in arms]}
    place = parse({"slots": {"it": slot}, "experiments": {"it": experiment}}).places()["it"]
    visitors = [Visitor(at=0, known=False, segments=(), bucketing_id=f"v{number}") for number in range(400)]
    shown = Counter(decision(place, visitor).variant for visitor in visitors)
    assert [abs(shown[arm] - 100) < 30 for arm in arms] == [True, True]


def test_nothing_is_announced_of_a_segment_without_a_name_nor_due_for_it() -> None:
    lately = {"name": "Lately", "when": {"did": "A", "within": "10ms"}}
    program = rules.compile({unnamed("it", "offer", "when"): lately})
    state = rules.fold(program, rules.empty(), [happened(1, {"name": "A", "at": 10})])
    assert state.memberships == {"/it/offer/when": ((10, 20),)}
    assert (state.pending, state.due, state.changed) == ((), None, True)
    later = rules.fold(program, state, [happened(2, {"name": "B", "at": 30})])
    assert (later.pending, later.memberships) == ((), {})


@pytest.mark.parametrize("case", [pytest.param(case, id=case["says"]) for case in read("decisions")["cases"]])
def test_what_fills_the_slot_and_why(case: Mapping[str, Any]) -> None:
    catalog = parse(documents(case))
    history = [happened(number, event) for number, event in enumerate(case["events"])]
    for at, (variant, reason, *content) in case["answers"]:
        found = decided(catalog, "it", history, instant(at), case.get("bucketing_id", "v1"))
        assert (found.variant, found.reason) == (variant, reason), at
        if content:
            assert found.content == content[0], at
        if "takes_part" in case:
            assert (found.experiment and [found.experiment.experiment, found.experiment.arm]) == case["takes_part"]
