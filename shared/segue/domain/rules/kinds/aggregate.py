"""`aggregate`: a figure over the events of a window compares, or some value's figure does."""

from collections.abc import Mapping
from typing import Any

from segue.domain.rules.definition import AggregateOf, Figure
from segue.domain.rules.evidence import Keep, Window, content_key
from segue.domain.rules.figures import FIGURES, steps, where_true
from segue.domain.rules.intervals import Spans, union
from segue.domain.rules.kinds.did import needed
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.operators import COUNTING, is_number, matcher, operation

READS = {"latest": "whole", "first": "whole", "distinct": "value"}


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

    return leaf(content_key([key, definition.is_, name, window.far, window.near]), spans, {key: window.far})


def measured(
    definition: Figure, measurements: Measurements, window: Window, per: str | None = None, values: int | None = None
) -> str:
    """The key of the measurement a figure needs. `values`: how many distinct values decide it, None for all."""
    name, path = definition.function
    keep: Keep
    most: int | None
    endless = window.far is None and window.near == 0
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
