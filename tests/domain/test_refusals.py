"""A definition with one wrong part is refused: with the path to it, what was expected there and what was found."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from segue.domain import rules
from segue.domain.errors import Invalid
from segue.domain.rules.definition import KINDS, problems
from tests.definitions import GOOD, MISTAKES

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


def first_problem(condition: dict[str, Any]) -> Invalid | None:
    """What is said of a segment with this condition, if anything is wrong with it."""
    try:
        rules.compile({"it": {"name": "It", "when": condition}, **OTHERS}, lists=LISTS, scores=SCORES)
    except Invalid as error:
        return error
    return None


EACH_PART = [(kind, steps) for kind, condition in GOOD.items() for steps in parts(condition)]
EACH_PART_NAMED = pytest.mark.parametrize(
    ("kind", "steps"), EACH_PART, ids=[f"{kind} {written(steps)}" for kind, steps in EACH_PART]
)


def test_there_is_a_good_condition_of_each_kind() -> None:
    assert GOOD.keys() == KINDS.keys()
    assert {kind: first_problem(condition) for kind, condition in GOOD.items()} == dict.fromkeys(GOOD)


@EACH_PART_NAMED
def test_a_part_of_the_wrong_kind_is_refused_where_it_is(kind: str, steps: Steps) -> None:
    refused = 0
    for wrong in (None, [], {}, "", -1, True, [None], {"did": 5}):
        error = first_problem(replaced(GOOD[kind], steps, wrong))
        if error is not None:
            refused += 1
            assert error.path.startswith(f"segments.it.when.{written(steps)}"), str(error)
            assert "expected" in error.message, str(error)
            assert "found" in error.message, str(error)
    assert refused >= 4  # a number is good where a number is wanted, a text where a text is; nothing is where all is


@EACH_PART_NAMED
def test_a_part_that_is_missing_or_one_too_many_is_refused_with_the_path(kind: str, steps: Steps) -> None:
    part = inside(GOOD[kind], steps)
    if isinstance(part, dict):
        error = first_problem(replaced(GOOD[kind], steps, {**part, "colour": {}}))
        assert error is not None
        assert error.path.startswith(f"segments.it.when.{written(steps)}")
    changed = deepcopy(GOOD[kind])
    del inside(changed, steps[:-1])[steps[-1]]
    error = first_problem(changed)
    if error is not None:
        around = error.path if isinstance(steps[-1], str) else error.path.rpartition("[")[0]  # what follows moves up
        assert f"segments.it.when.{written(steps)}".startswith(around)
        assert "expected" in error.message
        assert "found" in error.message


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
