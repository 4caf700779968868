"""A definition with one wrong part is refused: with the path to it, what was expected there and what was found."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain import rules
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.rules import traits
from segue.domain.rules.definition import KINDS, problems
from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS
from segue.domain.rules.operators import OPERATORS
from tests.definitions import GOOD, GOOD_COMPUTED, GOOD_MODELS, GOOD_SCORES, MISTAKES

Steps = tuple[str | int, ...]

OTHERS = {"other": {"name": "Other", "when": {"did": "A"}}}
LISTS = {"vip": ["user_id:42"]}
SCORES = {"engagement": {"events": [{"did": "A", "points": 2}], "half_life": "7d"}}


def parts(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    """The steps to every part of a condition."""
    names = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield (*steps, name)
        yield from parts(value[name], (*steps, name))


def inside(value: Any, steps: Steps) -> Any:
    for step in steps:
        value = value[step]
    return value


def written(steps: Steps) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def replaced(condition: dict[str, Any], steps: Steps, by: Any) -> dict[str, Any]:
    changed = deepcopy(condition)
    inside(changed, steps[:-1])[steps[-1]] = by
    return changed


def first_problem(definition: dict[str, Any], section: str = "when") -> Invalid | None:
    """What is said of a catalogue in which `it` is such a definition, if anything is wrong with it."""
    try:
        compiled(definition, section)
    except Invalid as error:
        return error
    return None


def compiled(definition: dict[str, Any], section: str) -> rules.Program:
    """The program of a catalogue in which `it` is a segment with this `when`, a score, a computed trait or a model."""
    catalogue: dict[str, Any] = {
        "segments": {**OTHERS},
        "scores": {**SCORES},
        "computed": {},
        "models": {**GOOD_MODELS},
    }
    if section == "when":
        catalogue["segments"]["it"] = {"name": "It", "when": definition}
    else:
        catalogue[section]["it"] = definition
    return rules.compile(catalogue.pop("segments"), lists=LISTS, **catalogue)


PLACES = {"when": "segments.it.when", "scores": "scores.it", "computed": "computed.it", "models": "models.it"}
DEFINITIONS = [("when", GOOD), ("scores", GOOD_SCORES), ("computed", GOOD_COMPUTED), ("models", GOOD_MODELS)]
PARTS = [
    pytest.param(section, definition, steps, id=f"{section} {name} {written(steps)}")
    for section, definitions in DEFINITIONS
    for name, definition in definitions.items()
    for steps in parts(definition)
]


def test_there_is_a_good_definition_of_each_kind() -> None:
    assert GOOD.keys() == KINDS.keys()
    assert GOOD_COMPUTED.keys() == {*traits.KINDS, *FIGURE_FUNCTIONS}
    for section, definitions in DEFINITIONS:
        assert [(name, first_problem(one, section)) for name, one in definitions.items()] == [
            (name, None) for name in definitions
        ]


@pytest.mark.parametrize(("section", "definition", "steps"), PARTS)
def test_a_part_of_the_wrong_kind_is_refused_where_it_is(
    section: str, definition: dict[str, Any], steps: Steps
) -> None:
    place = f"{PLACES[section]}.{written(steps)}"
    refused = 0
    for wrong in (None, [], {}, "", -1, True, [None], {"did": 5}):
        error = first_problem(replaced(definition, steps, wrong), section)
        if error is not None:
            refused += 1
            of_a_pair = isinstance(steps[-1], int) and place.startswith(error.path)
            assert error.path.startswith(place) or of_a_pair, str(error)
            assert "expected" in error.message, str(error)
            assert "found" in error.message, str(error)
    assert refused >= 4  # a number is good where a number is wanted, a text where a text is; nothing is where all is


@pytest.mark.parametrize(
    ("section", "definition", "steps"), [part for part in PARTS if part.values[0] != "models"]
)  # of a model a part more or less is wrong elsewhere: see below
def test_a_part_that_is_missing_or_one_too_many_is_refused_with_the_path(
    section: str, definition: dict[str, Any], steps: Steps
) -> None:
    place = f"{PLACES[section]}.{written(steps)}"
    part = inside(definition, steps)
    if isinstance(part, dict):
        error = first_problem(replaced(definition, steps, {**part, "colour": {}}), section)
        assert error is not None
        assert error.path.startswith(place)
    changed = deepcopy(definition)
    del inside(changed, steps[:-1])[steps[-1]]
    error = first_problem(changed, section)
    if error is not None:
        around = error.path if isinstance(steps[-1], str) else error.path.rpartition("[")[0]  # what follows moves up
        beside = place.rpartition(".")[0] == error.path.rpartition(".")[0]  # what wants it
        assert place.startswith(around) or beside
        assert "expected" in error.message
        assert "found" in error.message


WORDS = sorted({
    step for _, definitions in DEFINITIONS for one in definitions.values() for steps in parts(one)
    for step in steps if isinstance(step, str)
} | {*OPERATORS, "any", "missing", "ref", "ignore_case"})  # fmt: skip
VISIT = [
    Event(
        message_id=f"m{number}",
        name=name,
        occurred_at=1_767_225_600_000 + number * 60_000,
        received_at=1_767_225_600_000 + number * 60_000,
        anonymous_id="a1",
        properties={"x": value, "n": value, "p": [1, "x"], "k": "x"},
        traits={"plan": "pro", "born": "1990-03-01"} if name == "Identified" else {},
        context={"location": {"country": "FR", "latitude": 1, "longitude": 2}},
    )
    for number, (name, value) in enumerate([("A", 6), ("B", "x"), ("Identified", None), ("A", 7.5), ("C", [1, "x"])])
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 1_001),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["A", "5m", "7d", "2026-01-01", "x", "x.y", "*", "", "Europe/Paris", "day", "this.events", "mon"]),
    st.text(max_size=5),
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A good definition with some of its parts replaced by anything, and where it stands."""
    section, definitions = draw(st.sampled_from(DEFINITIONS))
    definition = draw(st.sampled_from(list(definitions.values())))
    for _ in range(draw(st.integers(1, 3))):
        there = list(parts(definition))
        if there:
            definition = replaced(definition, draw(st.sampled_from(there)), draw(ANYTHING))
    return section, definition


@given(damaged())
def test_whatever_stands_in_a_definition_is_taken_or_refused(one: tuple[str, dict[str, Any]]) -> None:
    """Refused with a message, or folded and foreseen like any other: nothing else is ever raised."""
    section, definition = one
    error = first_problem(definition, section)
    if error is None:
        program = compiled(definition, section)
        state = rules.fold(program, rules.empty(), VISIT)
        assert rules.decode(rules.encode(state)) == state
        assert rules.timeline(program, state, state.instant).memberships.keys() <= program.segments.keys()
    else:
        assert "expected" in error.message
        assert error.path


@pytest.mark.parametrize(
    ("condition", "path", "message"), MISTAKES, ids=[repr(mistake[0])[:70] for mistake in MISTAKES]
)
def test_a_mistake_is_named(condition: dict[str, Any], path: str, message: str) -> None:
    error = first_problem(condition)
    assert error is not None
    assert error.path == f"segments.it.{path}"
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("part", "path", "message"),
    [
        ({"name": ""}, "name", "expected text of at least 1 character, found ''"),
        ({"title": "It"}, "title", "expected no such part, found 'It'"),
        ({"stays": "1 day"}, "stays", "expected a duration such as 10m or 24h (ms, s, m, h, d or w), found '1 day'"),
        ({"until": {"did": "A", "within": 5}}, "until.within", "expected a duration such as 10m"),
        ({"enter_after": None}, "enter_after", "expected a value, found nothing"),
        ({"purposes": "ads"}, "purposes", "expected a list, found 'ads'"),
        ({"purposes": []}, "purposes", "expected at least 1 of them, found []"),
    ],
)
def test_a_mistake_beside_the_condition_is_named(part: dict[str, Any], path: str, message: str) -> None:
    [error] = problems({"name": "It", "when": {"did": "A"}, **part})
    assert error.path == path
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        ({"features": {"orders": {}}}, "centroids.small", "expected exactly the features orders, found {'orders': -1,"),
        ({"features": {}}, "features", "expected at least 1 of them, found {}"),
        ({"features": {"orders": {"scale": 0}}}, "features.orders.scale", "expected more than 0, found 0"),
        ({"features": {"orders": {"median": 2}}}, "features.orders.median", "expected no such part, found 2"),
        (
            {"centroids": {"small": {"orders": 1}}},
            "centroids.small",
            "expected exactly the features orders spent",
        ),
        (
            {"centroids": {"small": {"orders": 1, "spent": "2"}}},
            "centroids.small.spent",
            "expected a number, found '2'",
        ),
        ({"points": {}}, "points", "expected no such part, found {}"),
    ],
)
def test_a_mistake_in_a_model_is_named(changed: dict[str, Any], path: str, message: str) -> None:
    error = first_problem({**GOOD_MODELS["shoppers"], **changed}, "models")
    assert error is not None
    assert error.path == f"models.it.{path}"
    assert error.message.startswith(message)
