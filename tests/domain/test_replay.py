"""A history folded at once gives the transitions that folding message by message announces."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain import rules
from segue.domain.event import Event, Json
from segue.domain.rules import Replay
from segue.domain.rules.operators import MISSING, matcher
from segue.domain.rules.stretches import COMPARISONS
from tests.domain.test_laws import FIRST_CATALOG
from tests.strategies import (
    DAY,
    GROUPS,
    HOUR,
    IDENTIFIED,
    NAMES,
    SELECTED,
    START,
    Catalog,
    Choices,
    Condition,
    attributes,
    definitions,
    first_time,
    histories,
    trait,
    visits,
    where,
)

END = START + 100 * DAY
SHORT = ("1ms", "2ms", "3ms", "4ms", "6ms", "9ms", "20ms")


def rolling(choices: Choices) -> Condition:
    return choices.one(({"within": choices.one(SHORT)}, {"within": choices.one((*SHORT, "1h", "33d"))}, {}))


def often(choices: Choices) -> Condition:
    leaf = {"did": choices.one(SELECTED), **where(choices)}
    if choices.seldom(2):
        leaf["count"] = choices.one(({"ge": choices.number(1, 3)}, {"gt": choices.number(0, 2)}, {"ge": 10}))
    return {**leaf, "per": choices.one(GROUPS)} if choices.seldom() else leaf


def various(choices: Choices) -> Condition:
    figure = {"of": choices.one(SELECTED), "distinct": choices.one(("k", "n", "deep.k")), **where(choices)}
    figure["is"] = choices.one(({"ge": choices.number(1, 4)}, {"gt": choices.number(0, 2)}, {"ge": 1.5}))
    return {"aggregate": {**figure, "per": choices.one(GROUPS)} if choices.seldom(2) else figure}


def windowed(choices: Choices) -> Condition:
    leaf = choices.one((often, various))(choices)
    if "aggregate" in leaf:
        return {"aggregate": {**leaf["aggregate"], **rolling(choices)}}
    return {**leaf, **rolling(choices)}


def close(choices: Choices) -> Condition:
    of = [choices.one((often, various))(choices) for _ in range(choices.number(2, 3))]
    return {"together": {"within": choices.one(SHORT), "of": of}}


def left_undone(choices: Choices) -> Condition:
    spec: Condition = {"after": choices.one((*NAMES, IDENTIFIED)), "without": choices.one(SELECTED)}
    ends = choices.number(1, len(SHORT) - 1)
    return {
        "absent": {**spec, **choices.one(({"for": SHORT[ends - 1]}, {})), **choices.one(({}, {"within": SHORT[ends]}))}
    }


def of_groups(choices: Choices) -> Condition:
    """A few events or values of one group, in a window that holds many."""
    window = {"within": choices.one(("9ms", "20ms", "1h"))}
    some = {"ge": choices.number(1, 3)}
    if choices.seldom(2):
        return {"did": choices.one(NAMES[:2]), "per": choices.one(("k", "tags")), "count": some, **window}
    figure = {"of": choices.one(NAMES[:2]), "distinct": choices.one(("n", "tags")), "per": "k", "is": some}
    return {"aggregate": figure | window}


def scored(choices: Choices) -> Condition:
    operator = choices.one(("ge", "ge", "ge", "gt"))
    return {"score": choices.one(tuple(SCORES)), "is": {operator: choices.one((0.3, 1, 2, 2.5, 3.5, 4, 7))}}


def alike(choices: Choices) -> Condition:
    """One of many that differ only in their window."""
    return {"did": "A", "count": {"ge": choices.number(1, 2)}, "within": choices.one(SHORT)}


SCORES = {
    "fading": {"half_life": "5ms", "events": [{"did": "A", "points": 1}, {"did": "B", "points": 2.5}]},
    "slowly": {"half_life": "7d", "events": [{"did": "*", "points": 1}, {"did": "C", "where": {"n": 1}, "points": 3}]},
    "bounded": {"half_life": "19ms", "events": [{"did": "A", "points": 2}], "bounds": [0, 4]},
    "costly": {"half_life": "5ms", "events": [{"did": "A", "points": 2}, {"did": "B", "points": -1}]},
    "leaving": {"within": "9ms", "events": [{"did": "A", "points": 2}]},
}


FAMILIES: Sequence[Sequence[Callable[[Choices], Condition]]] = (
    (windowed, windowed, close, left_undone, first_time, trait, scored),
    (scored,),
    (alike,),
    (of_groups,),
    (windowed,),
    (close,),
    (left_undone,),
)


def stretch(
    choices: Choices, leaves: Sequence[Callable[[Choices], Condition]], others: Sequence[str], depth: int = 2
) -> Condition:
    """A condition of the kinds that are written, most often one that is."""
    if others and choices.seldom(6):
        return {"segment": choices.one(others)}
    if depth == 0 or not choices.seldom(2):
        return choices.one(leaves)(choices)
    kind = choices.one(("all", "all", "any", "none", "not"))
    if kind == "not":
        return {"not": stretch(choices, leaves, others, depth - 1)}
    return {kind: [stretch(choices, leaves, others, depth - 1) for _ in range(choices.number(1, 3))]}


@st.composite
def stretches(draw: st.DrawFn) -> Catalog:
    choices = Choices(draw)
    leaves, catalog = choices.one(FAMILIES), Catalog()
    for number in range(choices.many(12)):
        catalog[f"segment-{number}"] = {"name": "It", "when": stretch(choices, leaves, tuple(catalog))}
    return catalog


@st.composite
def orderly(draw: st.DrawFn) -> list[Event]:
    """A history whose events were received in the order in which they happened, with copies, ties and late ones."""
    choices = Choices(draw)
    happened: list[Event] = []
    occurred_at = received_at = START
    for number in range(choices.many(24)):
        occurred_at += choices.one((0, 1, 1, 1, 2, 3, 5, 19, choices.one((HOUR - 1, HOUR, DAY, 40 * DAY))))
        received_at = max(received_at, occurred_at + choices.one((0, 0, 0, 0, 1, 4, HOUR, 31 * DAY)))
        name = choices.one((*NAMES, *NAMES, *NAMES, IDENTIFIED))
        carried = {} if choices.seldom(6) else attributes(choices)
        event = Event(
            message_id=f"m{number}",
            name=name,
            occurred_at=occurred_at,
            received_at=received_at,
            properties={} if name == IDENTIFIED else carried,
            traits=carried if name == IDENTIFIED else {},
        )
        happened.append(event)
        if choices.seldom(8):
            happened.append(replace(choices.one(happened), received_at=received_at + choices.one((0, 1, HOUR))))
    return happened


def check(catalog: Catalog, history: list[Event], end: int = END) -> None:
    """The same transitions as folding message by message announces, and the same counts."""
    program = rules.compile(catalog, scores=SCORES)
    flips, counts = Replay(program).transitions(history, end)
    state = rules.empty()
    for _, together in groupby(sorted(history, key=attrgetter("received_at")), attrgetter("received_at")):
        state = rules.fold(program, state, tuple(together))
    state = rules.fold(program, state, (), at=end)
    assert flips == sorted((each.at, each.segment, each.transition == "entered") for each in state.pending)
    assert counts == state.counts


@given(stretches(), orderly(), st.sampled_from((END, *range(START, START + 40))))
def test_orderly_histories_under_what_the_generated_code_can_say(
    catalog: Catalog, history: list[Event], end: int
) -> None:
    check(catalog, history, end)


@given(definitions(), histories())
def test_any_history_under_any_definitions(catalog: Catalog, history: list[Event]) -> None:
    check(catalog, history)


@given(visits())
def test_shop_visits_under_the_first_catalogue(history: list[Event]) -> None:
    check(FIRST_CATALOG, history)


def told(*events: tuple[str, int]) -> list[Event]:
    """These events, each heard of as it happens, so many milliseconds after the start."""
    return [
        Event(message_id=str(number), name=name, occurred_at=START + at, received_at=START + at)
        for number, (name, at) in enumerate(events)
    ]


def test_the_generated_code_answers_what_is_true_on_one_stretch_and_leaves_the_rest() -> None:
    said = {
        "counted": {"did": "A", "count": {"ge": 3}, "within": "5m"},
        "together": {"together": {"within": "5m", "of": [{"did": "A"}, {"did": "B"}]}},
        "abandoned": {"all": [{"absent": {"after": "A", "without": "B", "for": "5m"}}, {"not": {"did": "C"}}]},
    }
    unsaid = {
        "exactly": {"did": "A", "count": {"eq": 3}, "within": "5m"},
        "before": {"did": "A", "ago": ["2d", "1d"]},
        "not-yet": {"not": {"absent": {"after": "A", "without": "B", "for": "5m"}}},
        "remembered": {"did": "B", "within": "1m"},
    }
    catalog: Catalog = {name: {"name": name, "when": when} for name, when in (said | unsaid).items()}
    catalog["remembered"]["stays"] = "1d"
    assert Replay(rules.compile(catalog)).generated == said.keys()


def test_more_groups_than_the_engine_keeps_are_left_to_it() -> None:
    catalog: Catalog = {
        "often": {"name": "Often", "when": {"did": "A", "per": "k", "count": {"ge": 2}, "within": "33d"}}
    }
    history = [
        Event(message_id=str(n), name="A", occurred_at=START + n, received_at=START + n, properties={"k": n % 1_200})
        for n in range(1_500)
    ]
    check(catalog, history)


def test_of_several_groups_the_one_that_lapses_last_decides() -> None:
    """Each letter an event of that group, x at 5 and 6; the second latest x leaves after 20 ms, at 25:

    y....xx...y..............]   a member from 6 until 25
    0    56   10            25
    """
    often = {"did": "A", "per": "k", "count": {"ge": 2}, "within": "20ms"}
    various = {"aggregate": {"of": "A", "per": "k", "distinct": "n", "is": {"ge": 3}, "within": "20ms"}}
    figures = [("y", 0), ("y", 0), ("x", 5), ("x", 6), ("x", 6), ("y", 10)]
    history = [
        Event(
            message_id=str(n), name="A", occurred_at=START + at, received_at=START + at, properties={"k": group, "n": n}
        )
        for n, (group, at) in enumerate(figures)
    ]
    counted, _ = Replay(rules.compile({"it": {"name": "It", "when": often}})).transitions(history[1:], END)
    assert counted == [(START + 6, "it", True), (START + 26, "it", False)]
    check({"it": {"name": "It", "when": various}, "often": {"name": "Often", "when": often}}, history)


def test_a_score_beside_another_condition_fades_from_when_it_was_scored() -> None:
    """Four points at 0 are less than 0.3 from 19 on, whatever else is heard of in between."""
    both = {"all": [{"score": "fading", "is": {"ge": 0.3}}, {"none": [{"did": "C", "within": "1ms"}]}]}
    history = told(("A", 0), ("A", 0), ("A", 0), ("A", 0), ("C", 1))
    flips, _ = Replay(rules.compile({"it": {"name": "It", "when": both}}, scores=SCORES)).transitions(history, END)
    assert flips[-1] == (START + 19, "it", False)
    check({"it": {"name": "It", "when": both}}, history)


@pytest.mark.parametrize("at", [0, 1, 3, 5, 10])
def test_a_score_that_comes_to_its_level_in_a_whole_number_of_milliseconds_is_not_below_it_then(at: int) -> None:
    halved = {"it": {"name": "It", "when": {"score": "fading", "is": {"ge": 1}}}}
    check(halved, told(("A", 0), ("A", 0), ("C", at), ("A", at), ("B", at + 5)))


def test_a_lapse_that_floating_point_cannot_tell_is_told_from_the_events_that_earn() -> None:
    """Four points at 0, which are two after seven days exactly; a copy and what comes too late earn nothing."""
    event = Event(message_id="0", name="C", occurred_at=START, received_at=START, properties={"n": 1})
    copy = replace(event, occurred_at=START + 1, received_at=START + 1)
    late = replace(event, message_id="1", occurred_at=START - 31 * DAY, received_at=START + 2)
    history = [
        event,
        copy,
        late,
        replace(event, message_id="2", occurred_at=START + 8 * DAY, received_at=START + 8 * DAY),
    ]
    catalog: Catalog = {"it": {"name": "It", "when": {"score": "slowly", "is": {"ge": 2}}}}
    flips, _ = Replay(rules.compile(catalog, scores=SCORES)).transitions(history, END)
    assert flips[:2] == [(START, "it", True), (START + 7 * DAY + 1, "it", False)]
    check(catalog, history)


def test_points_count_to_six_decimals() -> None:
    scores = {"fine": {"half_life": "7d", "events": [{"did": "A", "points": 0.1234564}]}}
    catalog: Catalog = {"it": {"name": "It", "when": {"score": "fine", "is": {"ge": 0.1234562}}}}
    assert Replay(rules.compile(catalog, scores=scores)).transitions(told(("A", 0)), END)[0] == []


def test_values_are_told_apart_as_the_engine_tells_them() -> None:
    two = {"aggregate": {"of": "A", "distinct": "k", "is": {"ge": 2}}}
    for values, different in [
        (("caf\u00e9", "cafe\u0301"), False),
        ((1, 1.0), False),
        ((1, True), True),
        ((1, "1"), True),
        ((True, "jtrue"), True),
        (({"a": 1}, {"a": 1.0}), True),
    ]:
        history = [
            Event(message_id=str(n), name="A", occurred_at=START + n, received_at=START + n, properties={"k": value})
            for n, value in enumerate(values)
        ]
        check({"it": {"name": "It", "when": two}}, history)
        flips, _ = Replay(rules.compile({"it": {"name": "It", "when": two}})).transitions(history, END)
        assert bool(flips) is different, values


VALUES: Sequence[Json] = (
    *(5, 5.0, 4, True, False, None, 10**400, float("inf")),
    *("5", "4", "", "K", "\u212a", "cafe\u0301", "caf\u00e9"),
    *([], [5], ["K", 6], [None], {"x": 5}),
)


@pytest.mark.parametrize("operator", COMPARISONS)
def test_a_comparison_in_the_generated_code_says_what_the_operator_says(operator: str) -> None:
    """Every value is an event of its own, and is counted or not."""
    history = [
        Event(
            message_id=str(n), name="A", occurred_at=START + 9 * n, received_at=START + 9 * n, properties={"x": value}
        )
        for n, value in enumerate(VALUES)
    ]
    for operand in (5, 4.5, "5", "K", "cafe\u0301", *((True,) if operator in ("eq", "ne") else ())):
        test = {operator: operand}
        replay = Replay(
            rules.compile({"it": {"name": "It", "when": {"did": "A", "where": {"x": test}, "within": "1ms"}}})
        )
        assert replay.generated == {"it"}
        passed = [VALUES[(at - START) // 9] for at, _, entered in replay.transitions(history, END)[0] if entered]
        assert passed == [value for value in VALUES if matcher(test)(MISSING if value is None else value, {})], test
