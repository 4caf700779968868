"""Figures: what counts and aggregates make of the events of a window."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.values import MISSING, elements, identity, is_number, look_up, micros
from tests.oracle.view import Condition, View, in_window, selects


def counted(leaf: Condition, view: View) -> list[Event]:
    """The events a `did` or an `aggregate` is about."""
    selector = {"did": leaf.get("did", leaf.get("of")), "where": leaf.get("where", {})}
    inside = in_window(leaf, view.at)
    return [event for event in view.events if inside(event) and selects(selector, event)]


def figure(leaf: Condition, events: Sequence[Event]) -> Any:
    """The count of a `did`, or what an `aggregate` makes of the events."""
    if "did" in leaf:
        return len(events)
    (name,) = FIGURES.keys() & leaf.keys()
    present = [value for event in events if (value := look_up(event.properties, leaf[name])) is not MISSING]
    return FIGURES[name](present)


def each(values: Iterable[Any]) -> list[Any]:
    """Every value, an array giving its elements."""
    return [element for value in values for element in elements(value)]


def numbers(values: Iterable[Any]) -> list[Any]:
    """The numbers among the values and their elements."""
    return [value for value in each(values) if is_number(value)]


def total(values: Iterable[Any]) -> Fraction:
    """The sum of the numbers, each in whole millionths."""
    return Fraction(sum(micros(value) for value in numbers(values)), 1_000_000)


FIGURES: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "sum": total,
    "avg": lambda values: total(values) / len(numbers(values)) if numbers(values) else MISSING,
    "min": lambda values: min(numbers(values), default=MISSING),
    "max": lambda values: max(numbers(values), default=MISSING),
    "distinct": lambda values: len({identity(value) for value in each(values)}),
    "latest": lambda values: values[-1] if values else MISSING,
    "first": lambda values: values[0] if values else MISSING,
}
