"""Who gets which arm: GrowthBook's own client says the same, nobody changes arms, and nobody is where they must not."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import growthbook
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain import rules
from segue.domain.bucket import bucket
from segue.domain.catalog import parse, problems
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.experiment import Experiment, Holdout, assigned, audience_of, is_held_out, redraws

ARMS = [{"id": "a"}, {"id": "b"}]

VISITORS = [f"visitor-{number}" for number in range(500)]

WEIGHTS: Sequence[Sequence[float] | None] = (None, (0.5, 0.5), (0.1, 0.2, 0.7), (0.2, 0.2, 0.2, 0.4), (0.9, 0.1))
COVERAGES = (1.0, 0.1, 0.37, 0.5)


def experiment(weights: Sequence[float] | None = None, **fields: Any) -> Experiment:
    """A running experiment with an arm for each weight, or with two equal ones."""
    arms = [
        {"id": f"arm-{index}"} | ({"weight": weight} if weights else {}) for index, weight in enumerate(weights or "ab")
    ]
    return Experiment.model_validate({"name": "It", "status": "running", "arms": arms} | fields)


def twenty() -> Iterator[tuple[str, Experiment]]:
    """Each coverage with each of the weights, some in a part of a name space, some with a seed of their own."""
    for number, (coverage, weights) in enumerate(product(COVERAGES, WEIGHTS)):
        seed = {"seed": f"seed {number} é\U0001f600"} if number % 3 == 0 else {}
        part = {"namespace": {"id": "checkout", "range": [0.1, 0.65]}} if number % 4 == 0 else {}
        yield f"experiment-{number}", experiment(weights, coverage=coverage, **seed, **part)


def arm_of(id_: str, tried: Experiment, visitor: str, holdouts: Mapping[str, Holdout] | None = None) -> str | None:
    found = assigned(id_, tried, visitor, holdouts=holdouts)
    return found.arm if found else None


def growthbooks_arm(id_: str, tried: Experiment, visitor: str) -> str | None:
    """What GrowthBook's client says of the same experiment."""
    part = tried.namespace
    filters: list[Any] = (
        [{"seed": f"namespace:{part.id}", "ranges": [part.range], "hashVersion": 2, "attribute": "id"}] if part else []
    )
    theirs = growthbook.Experiment(
        key=id_,
        variations=[arm.id for arm in tried.arms],
        weights=[arm.weight for arm in tried.arms if arm.weight is not None] or None,
        coverage=tried.coverage,
        seed=tried.seed,
        hashVersion=2,
        filters=filters,
    )
    result = growthbook.GrowthBook(attributes={"id": visitor}).run(theirs)
    return result.value if result.inExperiment else None


def same_as_growthbook(visitors: Sequence[str]) -> bool:
    return all(
        arm_of(id_, tried, visitor) == growthbooks_arm(id_, tried, visitor)
        for id_, tried in twenty()
        for visitor in visitors
    )


def test_growthbook_puts_every_visitor_into_the_same_arm() -> None:
    assert same_as_growthbook(VISITORS[:100])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50), st.sampled_from([*twenty()]))
def test_growthbook_agrees_on_ids_of_any_letters(visitor: str, named: tuple[str, Experiment]) -> None:
    assert arm_of(*named, visitor) == growthbooks_arm(*named, visitor)


@pytest.mark.parametrize(
    ("id_", "tried", "visitors", "places"),
    [
        ("halves", experiment(), "v9739 v10393 v1018 v16217", (0, 4_999, 5_000, 9_999)),
        ("sums", experiment((0.1, 0.2, 0.7)), "v753 v1374 v665 v6708 v15617", (0, 999, 1_000, 2_999, 3_000)),
        ("few", experiment(coverage=0.37), "v11612 v2344 v5878 v14919 v20653", (1_849, 1_850, 5_000, 6_849, 6_850)),
    ],
)
def test_growthbook_agrees_on_who_falls_on_an_edge(
    id_: str, tried: Experiment, visitors: str, places: Sequence[int]
) -> None:
    for visitor, place in zip(visitors.split(), places, strict=True):
        assert bucket(id_, visitor) == place
        assert arm_of(id_, tried, visitor) == growthbooks_arm(id_, tried, visitor)


def test_a_part_of_a_name_space_has_its_first_place_and_not_its_last() -> None:
    tried = experiment(namespace={"id": "part", "range": [0.5, 0.9999]})
    for visitor, place in (("v21359", 4_999), ("v3449", 5_000), ("v637", 9_998), ("v36320", 9_999)):
        assert bucket("namespace:part", visitor) == place
        assert (arm_of("halves", tried, visitor) is not None) == (5_000 <= place < 9_999)
        assert arm_of("halves", tried, visitor) == growthbooks_arm("halves", tried, visitor)


@pytest.mark.slow
def test_growthbook_agrees_on_a_hundred_thousand_visitors_and_twenty_experiments() -> None:
    assert same_as_growthbook([f"{number * 7_919:x}-{number}" for number in range(100_000)])


@pytest.mark.parametrize("weights", WEIGHTS)
def test_while_coverage_grows_nobody_changes_arms_and_nobody_leaves(weights: Sequence[float] | None) -> None:
    before: dict[str, str] = {}
    for percent in (10, 35, 50, 99, 100):
        now = {visitor: arm_of("hero", experiment(weights, coverage=percent / 100), visitor) for visitor in VISITORS}
        assert before.items() <= now.items()
        before = {visitor: arm for visitor, arm in now.items() if arm}
        assert abs(len(before) - len(VISITORS) * percent / 100) < 40
    assert len(before) == len(VISITORS)


PART = {"namespace": {"id": "home", "range": [0.2, 0.5]}}


@pytest.mark.parametrize(
    ("before", "after", "is_redrawn"),
    [
        ({}, {}, False),
        ({"coverage": 0.2}, {"coverage": 0.3}, False),
        ({"coverage": 0.3}, {"coverage": 0.2}, True),
        ({}, {"seed": "another"}, True),
        ({}, {"seed": "hero"}, False),
        ({}, {"name": "Renamed"}, False),
        ({}, {"arms": [{"id": "arm-1"}, {"id": "arm-0"}]}, True),
        ({}, {"arms": [{"id": "arm-0", "weight": 0.4}, {"id": "arm-1", "weight": 0.6}]}, True),
        ({}, {"arms": [{"id": "arm-0", "weight": 0.5}, {"id": "arm-1", "weight": 0.5}]}, False),
        (PART, {}, False),
        ({}, PART, True),
        (PART, {"namespace": {"id": "home", "range": [0.1, 0.6]}}, False),
        (PART, {"namespace": {"id": "home", "range": [0.3, 0.6]}}, True),
        (PART, {"namespace": {"id": "cart", "range": [0.2, 0.5]}}, True),
        ({}, {"status": "stopped", "seed": "another"}, False),
        ({"status": "draft"}, {"seed": "another"}, False),
    ],
)
def test_a_change_is_a_redraw_where_somebody_changes_arms_or_leaves(
    before: dict[str, Any], after: dict[str, Any], is_redrawn: bool
) -> None:
    old, new = experiment(**before), experiment(**after)
    assert redraws("hero", old, new) == is_redrawn
    if old.status == new.status == "running":
        was, is_ = [{each: arm_of("hero", tried, each) for each in VISITORS[:200]} for tried in (old, new)]
        assert any(arm and is_[each] != arm for each, arm in was.items()) == is_redrawn


def test_arms_get_their_shares() -> None:
    arms = Counter(arm_of("hero", experiment((0.1, 0.2, 0.7)), visitor) for visitor in VISITORS)
    for index, share in enumerate((0.1, 0.2, 0.7)):
        assert abs(arms[f"arm-{index}"] / len(VISITORS) - share) < 0.05


def test_experiments_are_drawn_independently_of_each_other() -> None:
    both = Counter((arm_of("hero", experiment(), each), arm_of("footer", experiment(), each)) for each in VISITORS)
    assert all(abs(count / len(VISITORS) - 0.25) < 0.06 for count in both.values())


def test_experiments_in_parts_of_a_name_space_that_do_not_overlap_have_no_visitor_in_common() -> None:
    first = experiment(namespace={"id": "checkout", "range": [0, 0.4]})
    second = experiment(namespace={"id": "checkout", "range": [0.4, 1]})
    taking_part = [
        (arm_of("one", first, visitor) is not None, arm_of("two", second, visitor) is not None) for visitor in VISITORS
    ]
    assert set(taking_part) == {(True, False), (False, True)}


def test_experiments_in_parts_that_overlap_share_visitors() -> None:
    first = experiment(namespace={"id": "checkout", "range": [0, 0.6]})
    second = experiment(namespace={"id": "checkout", "range": [0.4, 1]})
    assert any(arm_of("one", first, visitor) and arm_of("two", second, visitor) for visitor in VISITORS)


def test_who_is_held_out_is_in_no_experiment_and_gets_no_winner() -> None:
    holdouts = {"this-year": Holdout(name="This year", share=0.1)}
    held_out = {visitor for visitor in VISITORS if is_held_out("this-year", holdouts["this-year"], visitor)}
    won = experiment(status="stopped", winner="arm-1")
    for tried in (experiment(), won):
        assert held_out == {visitor for visitor in VISITORS if arm_of("this-year", tried, visitor, holdouts) is None}
    assert abs(len(held_out) / len(VISITORS) - 0.1) < 0.05


def test_a_holdout_takes_as_much_from_each_arm() -> None:
    holdouts = {"hero": Holdout(name="Of the experiment's own name", share=0.5)}
    arms = Counter(arm_of("hero", experiment(), visitor, holdouts) for visitor in VISITORS)
    assert abs(arms["arm-0"] - arms["arm-1"]) < 60


def test_only_the_audience_takes_part() -> None:
    tried = experiment(segment="buyer")
    assert assigned("hero", tried, "a", segments={"buyer"}) == assigned("hero", experiment(), "a")
    assert assigned("hero", tried, "a", segments={"stranger"}) is None


def test_an_audience_is_a_condition_too_and_both_have_to_hold() -> None:
    when = {"did": "Product Added", "within": "10m"}
    catalog = parse({
        "segments": {"buyer": {"name": "Buyer", "when": {"did": "Order Completed"}}},
        "experiments": {"hero": {"name": "Hero", "status": "running", "arms": ARMS, "segment": "buyer", "when": when}},
    })  # fmt: skip
    state = rules.fold(
        catalog.program(), rules.empty(), [Event(message_id="a", name="Product Added", occurred_at=5, received_at=5)]
    )
    inside = {name for name, spans in state.memberships.items() if spans}
    tried = catalog.experiments["hero"]
    assert inside == {audience_of("hero")}
    assert assigned("hero", tried, "a", segments=inside) is None
    assert assigned("hero", tried, "a", segments={"buyer"}) is None
    assert assigned("hero", tried, "a", segments=inside | {"buyer"})


def test_what_is_wrong_with_a_condition_is_named_where_it_stands() -> None:
    documents = {"experiments": {"hero": {"name": "Hero", "arms": ARMS, "when": {"segment": "byer"}}}}
    with pytest.raises(Invalid, match=r"^experiments.hero.when"):
        parse(documents).program()


def test_nobody_takes_part_in_a_draft_or_once_it_is_stopped() -> None:
    for status in ("draft", "stopped"):
        assert all(arm_of("hero", experiment(status=status), visitor) is None for visitor in VISITORS[:100])


def test_everybody_of_the_audience_gets_the_winner_and_nothing_is_measured_any_more() -> None:
    won = experiment(status="stopped", winner="arm-1", coverage=0.1, segment="buyer")
    found = [assigned("hero", won, visitor, segments={"buyer"}) for visitor in VISITORS[:100]]
    assert {(each.arm, each.exposure) for each in found if each} == {("arm-1", None)}
    assert assigned("hero", won, "a") is None


def test_an_exposure_is_the_event_of_segments_spec() -> None:
    arms = [{"id": "control"}, {"id": "large", "name": "A large banner"}]
    tried = Experiment.model_validate({"name": "Hero", "status": "running", "arms": arms})
    found = next(each for visitor in VISITORS if (each := assigned("hero", tried, visitor)) and each.arm == "large")
    sent = msgspec.to_builtins(found.exposure)
    assert sent == {
        "type": "track",
        "event": "Experiment Viewed",
        "messageId": sent["messageId"],
        "properties": {
            "experiment_id": "hero",
            "experiment_name": "Hero",
            "variation_id": "large",
            "variation_name": "A large banner",
        },
    }


def test_an_exposure_has_one_message_id_for_a_visitor_an_experiment_and_a_draw() -> None:
    def message_id(id_: str, visitor: str, **fields: Any) -> str:
        found = assigned(id_, experiment(**fields), visitor)
        assert found
        assert found.exposure
        return found.exposure.message_id

    assert message_id("hero", "a") == message_id("hero", "a", name="Renamed", coverage=1.0)
    different = [("hero", "a", {}), ("hero", "b", {}), ("footer", "a", {}), ("hero", "a", {"seed": "again"})]
    assert len({message_id(id_, visitor, **fields) for id_, visitor, fields in different}) == 4


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"arms": [{"id": "a", "weight": 0.5}, {"id": "b", "weight": 0.4}]}, "arms", "are 1 together, found 0.9"),
        ({"arms": [{"id": "a", "weight": 0.5}, {"id": "b"}]}, "arms", "for each arm or for none, found 1 of 2"),
        ({"arms": [{"id": "a"}, {"id": "a"}]}, "arms[1].id", "no other arm of the experiment has, found 'a'"),
        ({"arms": [{"id": "a"}]}, "arms", "expected at least two arms, found 1"),
        ({"arms": [{"id": "a", "weight": 0}, {"id": "b", "weight": 1}]}, "arms[0].weight", "greater than 0, found 0"),
        ({"segment": "byer"}, "segment", "a segment of this catalogue, found 'byer'"),
        ({"when": {"dud": "A"}}, "when", "found"),
        ({"coverage": 1.1}, "coverage", "less than or equal to 1, found 1.1"),
        ({"namespace": {"id": "n", "range": [0.5, 1.5]}}, "namespace.range[1]", "less than or equal to 1, found 1.5"),
        ({"namespace": {"id": "n", "range": [0.5, 0.5]}}, "namespace.range", "before the end, found 0.5 and 0.5"),
        ({"winner": "c", "status": "stopped"}, "winner", "an arm of the experiment, found 'c'"),
        ({"winner": "a", "status": "running"}, "winner", "the status is stopped, found it where that is running"),
        ({"status": "paused"}, "status", "found 'paused'"),
        ({"seed": ""}, "seed", "found ''"),
        ({"arm": []}, "arm", "expected no such field"),
    ],
)
def test_what_is_wrong_with_an_experiment_is_named(fields: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems({"experiments": {"hero": {"name": "Hero", "arms": ARMS} | fields}})
    assert (problem.path, message in problem.message) == (f"experiments.hero.{path}", True), problem


def test_parts_of_a_name_space_may_overlap() -> None:
    part = {"namespace": {"id": "n", "range": [0, 0.5]}}
    assert not problems({"experiments": {id_: {"name": "It", "arms": ARMS} | part for id_ in ("one", "two")}})


def test_a_holdout_is_a_share() -> None:
    [problem] = problems({"holdouts": {"all": {"name": "All", "share": 1}}})
    assert (problem.path, "less than 1, found 1" in problem.message) == ("holdouts.all.share", True)
