"""The language-neutral tables of `tests/cases`, asked of the oracle and of the engine alike."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given, settings

from segue.domain.event import Event
from tests.engine import Engine
from tests.oracle import Oracle, Visitor
from tests.strategies import START, Catalog, Limits, definitions, histories, length

SMALL = Limits(lateness=6, max_age=25, apart=9, copied_within=12)
"""Limits so near that every millisecond can be asked for."""

OPTIONS = ("lists", "granted_unsaid", "scores", "computed", "models", "session_gap")
"""What a case may have for its segments to refer to."""

CASES = Path(__file__).parent.parent / "cases"


class Evaluator(Protocol):
    """Whoever can say what a catalogue means."""

    def member(self, events: Iterable[Event], segment: str, at: int) -> bool: ...


class MakesEvaluator(Protocol):
    """Whoever can be given a catalogue."""

    def __call__(
        self,
        catalog: Mapping[str, dict[str, Any]],
        /,
        *,
        lists: Mapping[str, Collection[str]] = ...,
        granted_unsaid: Collection[str] = ...,
        scores: Mapping[str, Any] = ...,
        computed: Mapping[str, Any] = ...,
        session_gap: int = ...,
        models: Mapping[str, Any] = ...,
    ) -> Evaluator: ...


EVALUATORS = pytest.mark.parametrize("evaluator", [Oracle, Engine], ids=["oracle", "engine"])


def read(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text())


def operator_rows() -> list[Any]:
    """Each row for a property and, unless it says `any` (which only `where` knows), for a trait."""
    return [
        pytest.param(row, root, id=f"{group}-{number}-{root}")
        for group, rows in read("operators")["groups"].items()
        for number, row in enumerate(rows)
        for root in (["property"] if group == "any" else ["property", "trait"])
    ]


def timelines() -> list[Any]:
    names = (
        "windows",
        "kinds",
        "calendar",
        "returns",
        "person",
        "memory",
        "scores",
        "computed",
        "sessions",
        "clusters",
    )
    return [pytest.param(case, id=case["says"]) for name in names for case in read(name)["cases"]]


def instant(written: int | str) -> int:
    """Epoch milliseconds, which are written as such or as ISO 8601 text."""
    if isinstance(written, int):
        return written
    return (datetime.fromisoformat(written) - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def happened(number: int, event: Mapping[str, Any]) -> Event:
    return Event(
        message_id=event.get("id", f"message-{number}"),
        name=event["name"],
        occurred_at=instant(event["at"]),
        received_at=instant(event.get("received", event["at"])),
        anonymous_id=event.get("anonymous_id"),
        user_id=event.get("user_id"),
        properties=event.get("properties", {}),
        traits=event.get("traits", {}),
        context=event.get("context", {}),
    )


@EVALUATORS
@pytest.mark.parametrize(("row", "root"), operator_rows())
def test_an_operator_holds_as_its_row_says(evaluator: MakesEvaluator, row: Mapping[str, Any], root: str) -> None:
    members = dict(row.get("beside", {}))
    if "value" in row:
        members["value"] = row["value"]
    path, test = row.get("path", "value"), row["test"]
    if root == "property":
        when, event = {"did": "A", "where": {path: test}}, {"name": "A", "at": 0, "properties": members}
    else:
        when, event = {"trait": path, "is": test}, {"name": "Identified", "at": 0, "traits": members}
    member = evaluator({"it": {"name": "It", "when": when}}).member([happened(0, event)], "it", 0)
    assert member is row["holds"], row.get("says")


def value_rows() -> list[Any]:
    """Each row of each table of values, for a property and, unless it says `any`, for a trait."""
    return [
        pytest.param(table, row, root, id=f"{json.dumps(row['test'])} {root}")
        for table in read("values")["tables"]
        for row in table["rows"]
        for root in (["property"] if "any" in row["test"] else ["property", "trait"])
    ]


@EVALUATORS
@pytest.mark.parametrize(("table", "row", "root"), value_rows())
def test_an_operator_holds_for_the_values_that_its_row_names(
    evaluator: MakesEvaluator, table: Mapping[str, Any], row: Mapping[str, Any], root: str
) -> None:
    when = (
        {"did": "A", "where": {"value": row["test"]}} if root == "property" else {"trait": "value", "is": row["test"]}
    )
    asked = evaluator({"it": {"name": "It", "when": when}})
    name, place = ("A", "properties") if root == "property" else ("Identified", "traits")
    holds = [
        each
        for each, value in table["objects"].items()
        if asked.member([happened(0, {"name": name, "at": 0, place: value})], "it", 0)
    ]
    assert holds == row["holds"]


@EVALUATORS
@pytest.mark.parametrize("case", timelines())
def test_a_timeline_is_true_where_its_case_says(evaluator: MakesEvaluator, case: Mapping[str, Any]) -> None:
    options = {name: case[name] for name in OPTIONS if name in case}
    asked = evaluator(case["segments"], **options)
    events = [happened(number, event) for number, event in enumerate(case["events"])]
    answers = [[at, asked.member(events, "it", instant(at))] for at, _ in case["answers"]]
    assert answers == case["answers"], "\n".join(["", *case.get("picture", [])])


@settings(max_examples=settings().max_examples // 10)
@given(definitions(), histories(SMALL))
def test_the_oracle_looks_at_every_instant_at_which_something_changes(catalog: Catalog, history: list[Event]) -> None:
    """Asked at every millisecond of its own past, it would say the same."""
    visitor = Oracle(catalog, lateness=SMALL.lateness, max_age=SMALL.max_age).visitor(history)
    for segment, definition in catalog.items():
        truth = {at: visitor.member(segment, at) for at in range(START - 5, START + 60)}
        changed = {at for at in truth if truth[at] is not truth.get(at - 1, False)}
        assert changed <= visitor.breakpoints(segment)
        memory = length(definition.get("stays", "0ms"))
        for at in range(START, START + 60, 7) if memory < 30 else ():
            assert truth[at] is any(remembered(visitor, segment, moment, at) for moment in range(at - memory, at + 1))


def remembered(visitor: Visitor, segment: str, moment: int, at: int) -> bool:
    """Whether `when` was true at the moment, and `until` at no moment since."""
    forgotten = "until" in visitor.oracle.catalog[segment] and any(
        visitor.holds(segment, "until", later, at) for later in range(moment, at + 1)
    )
    return visitor.holds(segment, "when", moment, at) and not forgotten
