"""Figures over events: what `aggregate` and `compare` compute, as steps over time."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Any, Protocol, TypeAlias

from segue.domain.event import Json
from segue.domain.rules.evidence import Entry, Window, order
from segue.domain.rules.intervals import FOREVER, Spans
from segue.domain.rules.measurements import Totals
from segue.domain.rules.operators import MISSING, Missing

MILLION = 1_000_000

_EXACT = Context(prec=400, Emax=999_999, Emin=-999_999)

Step: TypeAlias = tuple[int, Json | Missing | Fraction, int]
"""From this instant on: the figure, and how many events are in the window."""


def micro(number: int | float) -> int:
    """A number in millionths: the decimal as written, rounded half to even."""
    if isinstance(number, int):
        return number * MILLION
    return int(Decimal(repr(number)).scaleb(6, _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))


def from_micro(total: int, count: int = 1) -> int | float:
    """The number nearest to `total` millionths divided by `count`; whole numbers are exact."""
    whole, rest = divmod(total, MILLION * count)
    if rest == 0:
        return whole
    try:
        return total / (MILLION * count)
    except OverflowError:
        return whole


class Running(Protocol):
    """A figure over a set of entries that come and go."""

    def add(self, entry: Entry) -> None: ...

    def remove(self, entry: Entry) -> None: ...

    def value(self) -> Json | Missing: ...


class Count:
    def __init__(self, settled: Totals | None) -> None:
        self.count: int = settled[0] if settled else 0

    def add(self, _entry: Entry) -> None:
        self.count += 1

    def remove(self, _entry: Entry) -> None:
        self.count -= 1

    def value(self) -> int:
        return self.count


class Sum:
    """Millionths, so that any order gives the same; 0 over nothing."""

    def __init__(self, settled: Totals | None) -> None:
        self.numbers: int = settled[1] if settled else 0
        self.total = int(settled[2]) if settled else 0

    def add(self, entry: Entry) -> None:
        if entry[3] is not None:
            self.numbers += 1
            self.total += micro(entry[3])

    def remove(self, entry: Entry) -> None:
        if entry[3] is not None:
            self.numbers -= 1
            self.total -= micro(entry[3])

    def value(self) -> Json | Missing:
        return from_micro(self.total)


class Average(Sum):
    def value(self) -> Json | Missing:
        return from_micro(self.total, self.numbers) if self.numbers else MISSING


class Extreme:
    """The least or the greatest number."""

    settled_at: int
    position: int

    def __init__(self, settled: Totals | None) -> None:
        self.numbers: list[int | float] = [settled[self.settled_at]] if settled and settled[1] else []

    def add(self, entry: Entry) -> None:
        if entry[3] is not None:
            insort(self.numbers, entry[3])

    def remove(self, entry: Entry) -> None:
        if entry[3] is not None:
            del self.numbers[bisect_left(self.numbers, entry[3])]

    def value(self) -> Json | Missing:
        return self.numbers[self.position] if self.numbers else MISSING


class Least(Extreme):
    settled_at, position = 3, 0


class Greatest(Extreme):
    settled_at, position = 4, -1


class Distinct:
    def __init__(self, _settled: Totals | None) -> None:
        self.values: dict[str, int] = {}

    def add(self, entry: Entry) -> None:
        if entry[3] is not None:
            self.values[entry[3]] = self.values.get(entry[3], 0) + 1

    def remove(self, entry: Entry) -> None:
        if entry[3] is not None:
            self.values[entry[3]] -= 1
            if not self.values[entry[3]]:
                del self.values[entry[3]]

    def value(self) -> int:
        return len(self.values)


class End:
    """The value of the last or the first event that has one."""

    position: int

    def __init__(self, _settled: Totals | None) -> None:
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        if entry[3] is not None:
            insort(self.entries, entry, key=order)

    def remove(self, entry: Entry) -> None:
        if entry[3] is not None:
            del self.entries[bisect_left(self.entries, order(entry), key=order)]

    def value(self) -> Json | Missing:
        return self.entries[self.position][3][2] if self.entries else MISSING


class Latest(End):
    position = -1


class First(End):
    position = 0


FIGURES: Mapping[str, Callable[[Totals | None], Running]] = {
    "count": Count,
    "sum": Sum,
    "avg": Average,
    "min": Least,
    "max": Greatest,
    "distinct": Distinct,
    "latest": Latest,
    "first": First,
}


def settle(totals: dict[str, Totals], entries: Iterable[Entry]) -> None:
    """Add entries that every later answer counts to the totals of their groups."""
    for entry in entries:
        events, numbers, total, least, greatest = totals.get(entry[2] or "", (0, 0, "0", 0, 0))
        number = entry[3]
        if number is not None:
            least = number if not numbers else min(least, number)
            greatest = number if not numbers else max(greatest, number)
            numbers += 1
            total = str(int(total) + micro(number))
        totals[entry[2] or ""] = [events + 1, numbers, total, least, greatest]


def joined_totals(ours: Mapping[str, Totals], theirs: Mapping[str, Totals]) -> dict[str, Totals]:
    """The totals of each group over the entries of both."""
    return {group: _sum_of([each[group] for each in (ours, theirs) if group in each]) for group in {**ours, **theirs}}


def _sum_of(parts: Sequence[Totals]) -> Totals:
    numeric = [part for part in parts if part[1]]
    return [
        sum(part[0] for part in parts),
        sum(part[1] for part in parts),
        str(sum(int(part[2]) for part in parts)),
        min((part[3] for part in numeric), default=0),
        max((part[4] for part in numeric), default=0),
    ]


def steps(
    entries: Sequence[Entry],
    settled: Totals | None,
    window: Window,
    figure: Callable[[Totals | None], Running],
    start: int,
) -> list[Step]:
    """The figure from `start` on, with no further event: ascending, the first step at `start`."""
    running = figure(settled)
    active = window.active
    events: int = settled[0] if settled else 0
    changes: list[tuple[int, bool, Entry]] = []
    for entry in entries:
        begins, ends = active(entry)
        if begins >= ends or ends <= start:
            continue
        if begins <= start:
            running.add(entry)
            events += 1
        else:
            changes.append((begins, True, entry))
        if ends < FOREVER:
            changes.append((ends, False, entry))
    found: list[Step] = [(start, running.value(), events)]
    changes.sort(key=itemgetter(0))
    for instant, comes, entry in changes:
        (running.add if comes else running.remove)(entry)
        events += 1 if comes else -1
        if found[-1][0] == instant:
            found.pop()
        found.append((instant, running.value(), events))
    return found


def where_true(found: Sequence[Step], holds: Callable[[Any, int], bool]) -> Spans:
    """The intervals on which `holds(figure, events)`."""
    spans: Spans = []
    since: int | None = None
    for instant, value, events in found:
        if holds(value, events):
            since = instant if since is None else since
        elif since is not None:
            spans.append((since, instant))
            since = None
    if since is not None:
        spans.append((since, FOREVER))
    return spans
