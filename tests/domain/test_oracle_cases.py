"""The language-neutral tables of `tests/cases`, asked of the oracle and of the engine alike."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from segue.domain.event import Event
from tests.engine import Engine
from tests.oracle import Oracle

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
    ) -> Evaluator: ...


EVALUATORS = pytest.mark.parametrize("evaluator", [Oracle, Engine], ids=["oracle", "engine"])


def table(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text())


def operator_rows() -> list[Any]:
    """Each row for a property and, unless it says `any` (which only `where` knows), for a trait."""
    return [
        pytest.param(row, root, id=f"{group}-{number}-{root}")
        for group, rows in table("operators")["groups"].items()
        for number, row in enumerate(rows)
        for root in (["property"] if group == "any" else ["property", "trait"])
    ]


def timelines() -> list[Any]:
    names = ("windows", "kinds", "calendar", "returns", "person", "memory")
    return [pytest.param(case, id=case["says"]) for name in names for case in table(name)["cases"]]


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


@EVALUATORS
@pytest.mark.parametrize("case", timelines())
def test_a_timeline_is_true_where_its_case_says(evaluator: MakesEvaluator, case: Mapping[str, Any]) -> None:
    options = {name: case[name] for name in ("lists", "granted_unsaid") if name in case}
    asked = evaluator(case["segments"], **options)
    events = [happened(number, event) for number, event in enumerate(case["events"])]
    answers = [[at, asked.member(events, "it", instant(at))] for at, _ in case["answers"]]
    assert answers == case["answers"], "\n".join(["", *case.get("picture", [])])
