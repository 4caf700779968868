"""`compare`: one count or figure against a multiple of another; false where one of them is missing."""

import operator
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Tag

from segue.domain.rules.evidence import content_key
from segue.domain.rules.figures import FIGURES, Step, steps, where_true
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import Spans
from segue.domain.rules.kinds.aggregate import Figure, measured
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.model import Model, Number, Text, Where, Windowed, tag, told_by
from segue.domain.rules.operators import is_number
from segue.domain.rules.wording import event, shown, within

ORDERS = {name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")}

PHRASES = {
    "eq": "as much as",
    "ne": "not as much as",
    "gt": "more than",
    "ge": "at least",
    "lt": "less than",
    "le": "at most",
}


class CountOf(Windowed):
    """A bare count, as `compare` takes it."""

    did: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


class FigureOf(Model):
    """A bare figure, as `compare` takes it."""

    aggregate: Figure
    """The figure."""


Side = Annotated[
    Annotated[CountOf, Tag(tag("did"))] | Annotated[FigureOf, Tag(tag("aggregate"))], told_by("did", "aggregate")
]


class CompareOf(Model):
    left: Side
    """A count or a figure."""
    right: Side
    """A count or a figure, of which `factor` times as much is taken."""
    op: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    """How the left one stands to the right one."""
    factor: Number = 1
    """1 if left out."""


class Compare(Model):
    """One figure against another: `{compare: {left: {did: A}, op: gt, factor: 2, right: {did: B}}}`."""

    compare: CompareOf


def compile_compare(definition: Compare, measurements: Measurements) -> Node:
    part = definition.compare
    (left, left_reads, left_key), (right, right_reads, right_key) = (
        _figure(side, measurements) for side in (part.left, part.right)
    )
    times, per = _exact(part.factor).as_integer_ratio()
    holds = ORDERS[part.op]

    def compares(values: tuple[Any, Any], _events: int) -> bool:
        left, right = values
        if not (is_number(left) and is_number(right)):
            return False
        return bool(holds(_exact(left) * per, _exact(right) * times))

    def spans(view: View) -> Spans:
        return where_true(_side_by_side(left(view), right(view)), compares)

    key = content_key(["compare", left_key, right_key, part.op, part.factor])
    as_often = "" if part.factor == 1 else f"{part.factor} times "
    says = f"{_named(part.left)} {PHRASES[part.op]} {as_often}{_named(part.right)}"

    def describe(view: View) -> Finding:
        sides = [side(view)[0][1] for side in (left, right)]
        figures = [value if is_number(value) else None for value in sides]
        found = " against ".join("nothing" if figure is None else shown(figure) for figure in figures)
        return Finding(says=says, found=found, figure=figures, wanted={part.op: part.factor})

    return leaf(key, spans, left_reads | right_reads, cost=8, describe=describe)


def _named(side: CountOf | FigureOf) -> str:
    if isinstance(side, CountOf):
        return event(side.did, side.where) + within(window_of(side))
    figure = side.aggregate
    return figure.in_words + within(window_of(figure))


def _figure(
    side: CountOf | FigureOf, measurements: Measurements
) -> tuple[Callable[[View], list[Step]], dict[str, int | None], str]:
    if isinstance(side, CountOf):
        window = window_of(side)
        name, key = "count", measurements.events(side.did, side.where, window, "totals")
    else:
        window = window_of(side.aggregate)
        name, key = side.aggregate.function[0], measured(side.aggregate, measurements, window)

    def figure(view: View) -> list[Step]:
        groups = grouped(view.entries(key))
        totals = view.totals.get(key, {})
        return steps(groups.get(None, ()), totals.get(""), window, FIGURES[name], view.start)

    return figure, {key: window.far}, content_key([key, name, window.content])


def _side_by_side(left: list[Step], right: list[Step]) -> list[Step]:
    """Both figures, which begin together, at every instant at which one of them changes."""
    lefts, rights = ({instant: value for instant, value, _ in side} for side in (left, right))
    found: list[Step] = []
    one = other = None
    for instant in sorted(lefts.keys() | rights.keys()):
        one, other = lefts.get(instant, one), rights.get(instant, other)
        found.append((instant, (one, other), 0))
    return found


@lru_cache(maxsize=10_000)
def _exact(number: int | float) -> int | Fraction:
    """The decimal as written."""
    return number if isinstance(number, int) else Fraction(repr(number))
