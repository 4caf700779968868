"""`aggregate`: a figure over the events of a window compares, or some value's figure does."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from segue.domain.rules.evidence import Keep, Window, content_key
from segue.domain.rules.figures import FIGURES, steps, where_true
from segue.domain.rules.intervals import Spans, union
from segue.domain.rules.kinds.did import needed
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.model import FigureIs, Model, Path, Refused, Text, Where, Windowed
from segue.domain.rules.operators import COUNTING, is_number, matcher, operation

READS = {"latest": "whole", "first": "whole", "distinct": "value"}


FIGURE_FUNCTIONS = ("sum", "avg", "min", "max", "distinct", "latest", "first")


class Figure(Windowed):
    """A figure over events: exactly one of the functions names the property."""

    of: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    sum: Path | None = None
    """The sum of this property's numbers; 0 over nothing."""
    avg: Path | None = None
    """The mean of this property's numbers."""
    min: Path | None = None
    """The smallest of this property's numbers."""
    max: Path | None = None
    """The largest of this property's numbers."""
    distinct: Path | None = None
    """How many different values this property has; 0 over nothing."""
    latest: Path | None = None
    """This property of the latest event that has it."""
    first: Path | None = None
    """This property of the first event in the window that has it."""

    @model_validator(mode="after")
    def _one_figure(self) -> "Figure":
        if sum(getattr(self, name) is not None for name in FIGURE_FUNCTIONS) != 1:
            raise Refused(f"expected exactly one of {' '.join(FIGURE_FUNCTIONS)}")
        return self

    @property
    def function(self) -> tuple[str, str]:
        """The function's name and the property it reads."""
        return next((name, getattr(self, name)) for name in FIGURE_FUNCTIONS if getattr(self, name) is not None)


class AggregateOf(Figure):
    """A figure over events, and its comparison."""

    per: Path | None = None
    """A figure for each value of this property by itself; some value's has to pass."""
    is_: FigureIs = Field(alias="is")
    """The comparison."""


class Aggregate(Model):
    """A figure over events compares: `{aggregate: {of: Order Completed, sum: revenue, is: {ge: 200}}}`."""

    aggregate: AggregateOf


def compile_aggregate(definition: AggregateOf, measurements: Measurements, window: Window | None = None) -> Node:
    """`window` is the one that `together` gives the leaf."""
    window = window or window_of(definition)
    name = definition.function[0]
    key = measured(definition, measurements, window, definition.per, distinct_values(definition.is_))
    test = matcher(definition.is_)
    by_group = definition.per is not None

    def spans(view: View) -> Spans:
        totals = view.totals.get(key, {})
        groups = grouped(view.entries(key))
        if not by_group:
            found = steps(groups.get(None, ()), totals.get(""), window, FIGURES[name], view.start)
            return where_true(found, lambda value, _events: test(value, {}))
        return union(
            span
            for group in {*groups, *totals}
            for span in where_true(
                steps(groups.get(group, ()), totals.get(group or ""), window, FIGURES[name], view.start),
                lambda value, events: events > 0 and test(value, {}),
            )
        )

    return leaf(content_key([key, definition.is_, name, window.content]), spans, {key: window.far}, cost=4)


def compile_leaf(definition: Aggregate, measurements: Measurements) -> Node:
    return compile_aggregate(definition.aggregate, measurements)


def measured(
    definition: Figure, measurements: Measurements, window: Window, per: str | None = None, values: int | None = None
) -> str:
    """The key of the measurement a figure needs. `values`: how many distinct values decide it, None for all."""
    name, path = definition.function
    keep: Keep
    most: int | None
    endless = window.far is None
    if name == "distinct":
        keep, most = "distinct", values
    elif name == "latest" and window.near == 0:
        keep, most = "newest", 1
    elif name == "first" and endless:
        keep, most = "oldest", 1
    elif name in ("latest", "first"):
        keep, most = "latest", None
    else:
        keep, most = "totals", None
    reads = (READS.get(name, "number"), path)
    return measurements.events(
        definition.of,
        definition.where,
        window,
        keep,
        most=most,
        per=per,
        reads=reads,
    )


def distinct_values(test: Mapping[str, Any]) -> int | None:
    """How many distinct values decide a comparison of their number; None if only all of them do."""
    name, operand = operation(test)
    numbers = operand if isinstance(operand, list) else [operand]
    if name in COUNTING and all(is_number(number) for number in numbers):
        return needed(dict(test))
    return None
