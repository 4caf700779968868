"""The page on the language: each example is a definition, each drawing is what it means, and none is left out."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from segue.domain.event import Event
from segue.domain.rules import traits
from segue.domain.rules.definition import KINDS
from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS
from segue.domain.rules.operators import OPERATORS, operation
from tests.domain.drawn import MONDAY, Example, catalogue, differences, drawing, examples, value
from tests.engine import Engine
from tests.oracle import Oracle

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "catalog"
PAGE = (FOLDER / "LANGUAGE.md").read_text(encoding="utf-8")
EXAMPLES = list(examples(PAGE))
ROWS = re.findall(r"^\| `(\{.+?\})` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
"""The tables of operators: a `where`, the properties it holds for, and those it does not hold for."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_an_example_means_what_is_drawn(example: Example, tmp_path: Path) -> None:
    catalog = catalogue(tmp_path, example.file())
    for of, text in example.drawings:
        [segment] = [of] if of else catalog.segments
        assert differences(catalog, drawing(tmp_path, segment, text)) == [], f"{segment}\n{text}"


@pytest.mark.parametrize("evaluator", [Oracle, Engine], ids=["oracle", "engine"])
@pytest.mark.parametrize(("where", "holds", "fails"), ROWS, ids=[row[0] for row in ROWS])
def test_an_operator_holds_as_its_row_says(
    evaluator: type[Oracle] | type[Engine], where: str, holds: str, fails: str, tmp_path: Path
) -> None:
    segments = {"it": {"name": "It", "when": {"did": "A", "where": value(tmp_path, where)}}}
    asked = evaluator(segments)
    for column, expected in ((holds, True), (fails, False)):
        for text in re.findall(r"`(.+?)`", column):
            event = Event(
                message_id="m", name="A", occurred_at=MONDAY, received_at=MONDAY, properties=value(tmp_path, text)
            )
            assert asked.member([event], "it", MONDAY) is expected, text


def nodes(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping inside a part of a definition."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from nodes(inner)


def test_every_kind_has_an_example_with_a_drawing(tmp_path: Path) -> None:
    drawn = [catalogue(tmp_path, example.file()) for example in EXAMPLES if example.drawings]
    found = {key for catalog in drawn for node in nodes(catalog.segments) for key in node}
    assert KINDS.keys() - found == set()


def test_every_form_of_a_computed_trait_has_an_example_with_a_drawing(tmp_path: Path) -> None:
    drawn = [catalogue(tmp_path, example.file()) for example in EXAMPLES if example.drawings]
    found = {key for catalog in drawn for definition in catalog.computed.values() for key in definition}
    assert {*traits.KINDS, *FIGURE_FUNCTIONS} - found == set()


def test_every_operator_has_a_row(tmp_path: Path) -> None:
    tests = [test for where, _, _ in ROWS for test in value(tmp_path, where).values() if isinstance(test, dict)]
    assert {*OPERATORS, "any", "missing"} - {operation(test)[0] for test in tests} == set()


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    wanted = re.findall(r"\]\(#([^)]+)\)", PAGE) + re.findall(r"LANGUAGE\.md#([^)]+)\)", readme)
    assert wanted
    assert set(wanted) - anchors == set()


def test_every_row_says_for_what_it_holds_and_for_what_it_does_not() -> None:
    assert [row for row in ROWS if "`" not in row[1] or "`" not in row[2]] == []


def test_a_wrong_drawing_is_found_by_the_millisecond(tmp_path: Path) -> None:
    catalog = catalogue(tmp_path, Example(1, "{did: A, within: 10m}", ()).file())
    right, wrong = (drawing(tmp_path, "example", f"┌ 0  A\n└ {end}") for end in ("10m", "10m1ms"))
    assert differences(catalog, right) == []
    assert differences(catalog, wrong) == [
        f"{name} says False at 600000 ms from the beginning ({MONDAY + 600_000})" for name in ("oracle", "engine")
    ]
