"""Courses: what a value of a profile is over time, in pieces, some of which move by themselves."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Protocol, TypeAlias, TypeGuard

from segue.domain.event import Json
from segue.domain.rules.evidence import Entry, Seen, stages
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.operators import Missing

Number: TypeAlias = int | float


@dataclass(frozen=True)
class Elapsed:
    """The milliseconds since an instant."""

    since: int

    @property
    def newest(self) -> int:
        """The instant of the newest event that it comes from."""
        return self.since

    def at(self, instant: int, _beside: Iterable[Number] = ()) -> Number:
        """The milliseconds then, exactly."""
        return instant - self.since

    def crossings(self, number: Number) -> Iterable[int]:
        """The instant at which so many have passed, or just before, and the next one."""
        passed = self.since + math.floor(number)
        return passed, passed + 1


class Moving(Protocol):
    """A number that changes with every instant; `newest` is the instant of the newest event that it comes from."""

    @property
    def newest(self) -> int: ...

    def at(self, instant: int, beside: Sequence[Number] = ()) -> Number:
        """The number then; with `beside`, some number that stands to each of them as it does, exactly."""

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


def staged(entries: Iterable[Entry], start: int, course: Callable[[Seen], Course], before: Value) -> Course:
    """The course from `start` on, where some entries become visible later than they occurred: as `as_seen` has it.

    `before` is the value where `course(seen)` has none yet.
    """
    found: list[tuple[int, Value]] = []
    for since, until, seen in stages(entries, start):
        pieces = course(seen)
        value = next((value for instant, value in reversed(pieces) if instant <= since), before)
        found += [(since, value), *((instant, one) for instant, one in pieces if since < instant < until)]
    return found


def side_by_side(courses: Mapping[str, Course]) -> Sequence[tuple[int, Mapping[str, Value]]]:
    """The values of several courses, which begin together, at every instant at which one of them changes."""
    changes = sorted(
        ((instant, name, value) for name, course in courses.items() for instant, value in course), key=itemgetter(0)
    )
    found: list[tuple[int, Mapping[str, Value]]] = []
    values: dict[str, Value] = {}
    for instant, together in groupby(changes, itemgetter(0)):
        values = {**values, **{name: value for _, name, value in together}}
        found.append((instant, values))
    return found


def value_at_start(course: Course) -> Json | Missing:
    """The value at the first instant of a course."""
    instant, value = course[0]
    return value.at(instant) if moves(value) else value


@lru_cache(maxsize=10_000)
def exact(number: Number) -> Fraction:
    """The decimal as written."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))
