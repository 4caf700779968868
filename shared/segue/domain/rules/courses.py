"""Courses: what a value of a profile is over time, in pieces, some of which move by themselves."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Protocol, TypeAlias, TypeGuard

from segue.domain.event import Json
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.operators import Missing

Number: TypeAlias = int | float


class Moving(Protocol):
    """A number that changes with every instant."""

    def at(self, instant: int, beside: Iterable[Number] = ()) -> Number:
        """The number then: as it stands to each of `beside`, so that comparing it with them is exact."""

    def crossings(self, number: Number) -> Iterable[int]:
        """Instants such that between two of them it does not come to stand otherwise to the number."""


Value: TypeAlias = Json | Missing | Moving

Course: TypeAlias = Sequence[tuple[int, Value]]
"""From each of these instants on, ascending, the value until the next; the last one for ever."""


def where(course: Course, test: Callable[[Json | Missing], bool], beside: Sequence[Number]) -> Spans:
    """When the test holds, which compares with the numbers `beside` alone."""
    found: Spans = []
    ends = [*(instant for instant, _ in course[1:]), FOREVER]
    for (since, value), until in zip(course, ends, strict=True):
        if moves(value):
            crossings = {instant for number in beside for instant in value.crossings(number)}
            cuts = sorted({since, until, *(instant for instant in crossings if since < instant < until)})
            found += [(a, b) for a, b in pairwise(cuts) if test(value.at(a, beside))]
        elif test(value):
            found.append((since, until))
    return union(found)


def moves(value: Value) -> TypeGuard[Moving]:
    """Whether it changes with every instant."""
    return hasattr(value, "crossings")


def value_at_start(course: Course) -> Json | Missing:
    """The value at the first instant of a course."""
    instant, value = course[0]
    return value.at(instant) if moves(value) else value


def exact(number: Number) -> Fraction:
    """The decimal as written."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
