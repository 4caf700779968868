"""Computed traits as values, the names they may have, and which definitions are refused."""

from typing import Any

import pytest

from segue.domain import batch, rules
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.time import DAY, HOUR

START = 1_767_225_600_000
TRAITS: dict[str, Any] = {
    "orders": {"count": "Order Completed"},
    "spent": {"sum": "revenue", "of": "Order Completed", "within": "30d"},
    "usual": {"avg": "revenue", "of": "Order Completed"},
    "favourite_category": {"most_frequent": "category", "of": "Product Viewed", "within": "30d"},
    "categories": {"tally": "category", "of": "Product Viewed"},
    "recent": {"unique_list": "category", "of": "Product Viewed", "last": 2},
    "pace": {"rate": "Product Viewed", "per": "1d", "within": "4d"},
    "quiet": {"time_since_last": "*"},
    "days": {"streak": "*", "period": "day", "tz": "UTC"},
}


def viewed(number: int, after: int, category: str) -> Event:
    at = START + after
    properties = {"category": category}
    return Event(message_id=str(number), name="Product Viewed", occurred_at=at, received_at=at, properties=properties)


def test_computed_traits_are_read_at_any_instant_and_the_missing_ones_left_out() -> None:
    program = rules.compile({}, computed=TRAITS)
    visits = [viewed(0, 0, "shoes"), viewed(1, HOUR, "hats"), viewed(2, DAY, "hats")]
    state = rules.fold(program, rules.empty(), visits)
    assert rules.computed(program, state, START + DAY + HOUR) == {
        "orders": 0,
        "spent": 0,
        "favourite_category": "hats",
        "categories": {"shoes": 1, "hats": 2},
        "recent": ["shoes", "hats"],
        "pace": 0.75,
        "quiet": HOUR,
        "days": 2,
    }
    assert rules.computed(program, state, START + 31 * DAY) == {
        "orders": 0,
        "spent": 0,
        "categories": {"shoes": 1, "hats": 2},
        "recent": ["shoes", "hats"],
        "pace": 0,
        "quiet": 30 * DAY,
        "days": 0,
    }


@pytest.mark.parametrize(("last", "listed"), [(3, ["x", "y"]), (1, ["y"])])
def test_values_that_were_last_seen_at_the_same_instant_are_listed_by_their_text(last: int, listed: list[str]) -> None:
    program = rules.compile({}, computed={"recent": {**TRAITS["recent"], "last": last}})
    state = rules.empty()
    for number, (after, category) in enumerate([(1, "y"), (2, "y"), (2, "x")]):
        state = rules.fold(program, state, [viewed(number, after, category)])
    assert rules.computed(program, state, START + 2) == {"recent": listed}


def test_a_trait_of_all_time_does_not_grow_with_events_of_the_same_values() -> None:
    names = ("orders", "usual", "categories", "recent", "quiet")
    program, state = rules.compile({}, computed={name: TRAITS[name] for name in names}), rules.empty()
    sizes = []
    for number in range(400):
        state = rules.fold(program, state, [viewed(number, number * HOUR, f"category-{number % 5}")])
        sizes.append(len(rules.encode(state)) - len(state.ids))
    assert max(sizes[20:]) <= sizes[20] + 20


def test_a_tally_of_ever_new_values_keeps_the_most_frequent_and_says_that_it_is_approximate() -> None:
    when = {"trait": "categories.often", "is": {"ge": 2}}
    program = rules.compile({"often": {"name": "Often", "when": when}}, computed={"categories": TRAITS["categories"]})
    state = rules.fold(program, rules.empty(), [viewed(0, 0, "often"), viewed(1, 1, "often")])
    visits = [viewed(number, number, f"category-{number}") for number in range(2, 1_500)]
    state = rules.fold(program, state, visits)
    timeline = rules.timeline(program, state, state.instant)
    assert timeline.memberships.keys() == timeline.approximate == {"often"}
    assert len(rules.encode(state)) < 100_000


@pytest.mark.parametrize(
    ("trait", "path", "message"),
    [
        ({"of": "A"}, "computed.it", "expected a mapping with exactly one of count rate"),
        ({"count": "A", "sum": "n"}, "computed.it", "expected a mapping with exactly one of count rate"),
        ({"sum": "n"}, "computed.it.of", "expected this part, found nothing"),
        ({"count": "A", "of": "B"}, "computed.it.of", "expected no such part"),
        ({"rate": "A", "per": "1d"}, "computed.it.within", "expected this part, found nothing"),
        ({"streak": "A", "period": "day"}, "computed.it.tz", "expected this part, found nothing"),
        ({"streak": "A", "period": "hour", "tz": "UTC"}, "computed.it.period", "expected 'day', 'week' or 'month'"),
        ({"unique_list": "k", "of": "A", "last": 101}, "computed.it.last", "expected at most 100"),
        (
            {"tally": "k", "of": "A", "within": "1d", "since": "2026-01-01"},
            "computed.it",
            "expected at most one window",
        ),
    ],
)
def test_a_broken_computed_trait_is_refused_with_the_path_to_its_part(trait: object, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile({}, computed={"it": trait})
    assert refused.value.path == path


def test_a_computed_trait_and_a_score_do_not_share_a_name() -> None:
    with pytest.raises(Invalid, match=r"computed.heat: expected a name that no score has"):
        rules.compile(
            {},
            scores={"heat": {"events": [{"did": "A", "points": 1}], "within": "1d"}},
            computed={"heat": {"count": "A"}},
        )


def test_a_condition_on_a_computed_trait_is_folded_by_the_engine_in_the_batch_twin_too() -> None:
    segments = {"it": {"name": "It", "when": {"trait": "orders", "is": {"ge": 2}}}}
    plans = batch.twin(segments, rules.compile(segments, computed=TRAITS)).plans
    assert plans == {"it": batch.OnEngine("the computed trait orders")}


def test_a_time_is_compared_with_a_duration_or_a_number() -> None:
    when = {"trait": "quiet", "is": {"gt": "long"}}
    with pytest.raises(Invalid, match=r"segments.it.when.is.gt: expected a duration such as 10m"):
        rules.compile({"it": {"name": "It", "when": when}}, computed=TRAITS)


def test_a_replay_folds_computed_traits_as_the_engine_does() -> None:
    segments = {"twice": {"name": "Twice", "when": {"trait": "categories.hats", "is": {"ge": 2}}}}
    program = rules.compile(segments, computed=TRAITS)
    visits = [viewed(number, number * HOUR, "hats") for number in range(3)]
    flips, _ = rules.Replay(program).transitions(visits, START + DAY)
    assert flips == [(START + HOUR, "twice", True)]
