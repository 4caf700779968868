"""The tables in `tests/cases` leave nothing of the language out."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from segue.domain.rules.definition import KINDS
from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS
from segue.domain.rules.model import WINDOWS
from segue.domain.rules.operators import OPERATORS, operation
from tests.domain.test_oracle_cases import instant

CASES = Path(__file__).parents[1] / "cases"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.json"))}
TIMELINES = [case for table in TABLES.values() for case in table.get("cases", ()) if "segments" in case]
TESTS = [row["test"] for table in TABLES["values"]["tables"] for row in table["rows"]]

OF_ANYTHING = {"exists", "before", "after", *(name for name in OPERATORS if name.startswith("semver"))}
"""The operators to which upper and lower case are the same."""


def edges(*names: str) -> list[str]:
    """The cases with such a part that ask for different answers at some instant and a millisecond later."""
    found = []
    for case in TIMELINES:
        answers = {instant(at): truth for at, truth in case["answers"]}
        turns = any(answers.get(at + 1) is (not truth) for at, truth in answers.items())
        if turns and any(names_in(node, names) for node in nodes(case["segments"])):
            found.append(case["says"])
    return found


def names_in(node: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return all(name in node for name in names)


def nodes(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from nodes(inner)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_a_version_and_says_what_it_is(name: str) -> None:
    assert TABLES[name]["version"] == 1
    assert TABLES[name]["about"]
    assert f"`{name}.json`" in (CASES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*OPERATORS, "missing", "any"])
def test_an_operator_is_asked_of_values_of_every_kind(name: str) -> None:
    assert [test for test in TESTS if operation(test)[0] == name and "ignore_case" not in test]


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - OF_ANYTHING))
def test_an_operator_on_text_is_asked_without_case(name: str) -> None:
    assert [test for test in TESTS if operation(test)[0] == name and test.get("ignore_case")]


@pytest.mark.parametrize("name", [name for name, operator in OPERATORS.items() if operator.takes_ref])
def test_an_operator_that_takes_a_ref_is_asked_with_one(name: str) -> None:
    assert {"ref": "other"} in [operation(test)[1] for test in TESTS if operation(test)[0] == name]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_asked_for_on_both_sides_of_an_edge(name: str) -> None:
    assert edges(name)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("leaf", ["did", "of", "first_time"])
def test_a_window_is_asked_for_on_both_sides_of_an_edge_of_each_leaf_that_has_one(leaf: str, window: str) -> None:
    assert edges(leaf, window)


@pytest.mark.parametrize("figure", FIGURE_FUNCTIONS)
def test_a_figure_is_asked_for_on_both_sides_of_an_edge(figure: str) -> None:
    assert edges("of", figure)


@pytest.mark.parametrize("part", ["stays", "until", "enter_after", "purposes"])
def test_what_a_segment_remembers_is_asked_for_on_both_sides_of_an_edge(part: str) -> None:
    assert edges("when", part)


@pytest.mark.parametrize("part", ["gap", "without", "same", "within"])
def test_what_a_sequence_may_say_is_asked_for_on_both_sides_of_an_edge(part: str) -> None:
    assert edges("steps", part) or edges("did", part)
