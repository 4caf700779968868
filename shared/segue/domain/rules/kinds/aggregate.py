"""`aggregate`: a figure over the events of a window compares, or some value's figure does."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from segue.domain.rules.evidence import Keep, Window, content_key
from segue.domain.rules.figures import FIGURES, steps, where_true
from segue.domain.rules.finding import Finding, counting, first_to_leave, lacking, share
from segue.domain.rules.intervals import Spans, union
from segue.domain.rules.kinds.did import needed
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.model import FigureIs, Model, Path, Refused, Text, Where, Windowed
from segue.domain.rules.operators import COUNTING, MISSING, is_number, matcher, operation
from segue.domain.rules.wording import comparison, event, group_of, number, shown, within

READS = {"latest": "whole", "first": "whole", "distinct": "value"}


PHRASES = {
    "sum": "the sum of `{}`",
    "avg": "the average `{}`",
    "min": "the least `{}`",
    "max": "the greatest `{}`",
    "distinct": "the number of different `{}`",
    "latest": "the latest `{}`",
    "first": "the first `{}`",
}

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

    @property
    def in_words(self) -> str:
        name, path = self.function
        return f"{PHRASES[name].format(path)} of {event(self.of, self.where)}"


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

    def describe(view: View) -> Finding:
        return _described(definition, key, window, view)

    content = content_key([key, definition.is_, name, window.content])
    return leaf(content, spans, {key: window.far}, cost=4, describe=describe)


def _described(definition: AggregateOf, key: str, window: Window, view: View) -> Finding:
    """The figure, of the group that comes nearest."""
    name, path = definition.function
    per = "" if definition.per is None else f" for one `{definition.per}`"
    says = f"{definition.in_words} {comparison(definition.is_)}{per}{within(window)}"
    test = matcher(definition.is_)
    totals, groups = view.totals.get(key, {}), grouped(view.entries(key))
    by_group = {group or None for group in [*groups, *totals]} if definition.per is not None else set()
    found: list[Finding] = []
    for group in by_group or {None}:
        entries = groups.get(group, ())
        _, value, events = steps(entries, totals.get(group or ""), window, FIGURES[name], view.start)[0]
        passes = test(value, {}) and (definition.per is None or events > 0)
        figure = None if value is MISSING else value
        grows = name in ("distinct", "sum") and not passes
        lack = lacking(definition.is_, figure, whole=name == "distinct") if grows else None
        inside = "" if group is None else f" in {group_of(group)}"
        counted = counting(entries, window, view.start)
        found.append(Finding(
            says=says,
            found=("nothing" if figure is None else shown(figure)) + inside,
            figure=figure,
            wanted=definition.is_,
            lacks=None if lack is None else f"{number(lack)} more `{path}`{inside}",
            distance=0 if passes else share(lack, figure),
            before=None if passes else first_to_leave(counted, window),
            counted={key: counted},
        ))  # fmt: skip
    return min(found, key=lambda each: each.distance)


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
