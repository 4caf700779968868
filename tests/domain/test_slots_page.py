"""The page on slots: each example is taken, each line of a table is what is decided, and no reason is left out."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from segue.domain.content import KEYWORDS
from segue.domain.decision import Reason
from segue.domain.event import Event
from segue.domain.time import duration
from tests.domain.drawn import MONDAY, catalogue, examples, value
from tests.domain.test_decision import decided

PAGE = (Path(__file__).resolve().parents[2] / "infra" / "catalog" / "SLOTS.md").read_text(encoding="utf-8")
EXAMPLES = list(examples(PAGE))
ROW = re.compile(r"^\| (\S+) \| (.*?)\| `(\S+?)`(?: `(\{.+\})`)? \| `(\w+)` \|$", re.MULTILINE)
REASON = re.compile(r"^\| `(\w+)` \| [^|`]+ \|$", re.MULTILINE)


class Line(NamedTuple):
    """A line of a table: what happens at an instant, and what fills the slot then."""

    at: int
    event: str
    variant: str
    content: str
    reason: str


def lines(number: int) -> Sequence[Line]:
    """The table behind an example."""
    behind = PAGE.split("```yaml\n")[number + 1]
    return [
        Line(MONDAY + sum(duration(each) for each in re.findall(r"[1-9]\d*[a-z]+", at)), event.strip(), *rest)
        for at, event, *rest in ROW.findall(behind)
    ]


def happened(number: int, line: Line, folder: Path) -> Event:
    name, _, properties = line.event.partition(" {")
    said: dict[str, Any] = value(folder, "{" + properties) if properties else {}
    return Event(message_id=f"message-{number}", name=name, occurred_at=line.at, received_at=line.at, properties=said)


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: f"line {EXAMPLES[number].line}")
def test_a_table_tells_what_is_decided(number: int, tmp_path: Path) -> None:
    definitions = tmp_path / "definitions"
    definitions.mkdir()
    catalog = catalogue(definitions, EXAMPLES[number].text)
    [slot] = catalog.slots
    told = lines(number)
    assert told
    events: list[Event] = []
    for index, line in enumerate(told):
        events += [happened(index, line, tmp_path)] if line.event else []
        found = decided(catalog, slot, events, line.at, "ann")
        assert (found.variant, found.reason) == (line.variant, line.reason), line
        if line.content:
            assert found.content == value(tmp_path, line.content), line


def test_every_reason_is_told() -> None:
    assert {*REASON.findall(PAGE.split("## What is answered")[1])} == {*get_args(Reason)}


def test_every_keyword_of_a_schema_is_told() -> None:
    [checking, telling] = re.findall(r"`((?:[\w$]+ ){3,}[\w$]+)`", PAGE.split("## Content")[1].split("##")[0])
    assert {*checking.split(), *telling.split()} == {*KEYWORDS}
