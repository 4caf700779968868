"""Computed traits: values that follow from what a visitor did, used like any other trait (RULES.md section 4)."""

import json
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction
from functools import reduce
from itertools import zip_longest
from operator import itemgetter, or_
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, RootModel, Tag

from segue.domain.event import Event, Json
from segue.domain.rules import evidence as ev
from segue.domain.rules.courses import Course, Elapsed, staged
from segue.domain.rules.evidence import CalendarWindow, Entry, Seen, Window, content_key
from segue.domain.rules.figures import FIGURES, Count, Running, steps
from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS, Figure, measured
from segue.domain.rules.local_time import Period, first_instant, period_after, period_start, today, zone
from segue.domain.rules.measurements import Measurements, Reading, Totals, View, grouped, window_of
from segue.domain.rules.model import Duration, Model, Path, Text, TimeZone, Where, Windowed, tag, told_by
from segue.domain.rules.operators import MISSING, Missing, elements, is_number, split, text, value_at, where

MOST_PERIODS: Final = 400
"""The longest streak that is counted."""

LONGEST_VALUE: Final = 200
"""Characters of a value's JSON text; longer ones are not tallied."""


class CountOf(Windowed):
    """How many events: `{count: Order Completed, within: 30d}`."""

    count: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


class RateOf(Model):
    """How often in so long: `{rate: Product Viewed, per: 1d, within: 30d}`."""

    rate: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    per: Duration
    """In so long, on average."""
    within: Duration
    """Over the events that are less old than this."""


class TimeSinceLast(Windowed):
    """Milliseconds since the last event: `{time_since_last: Order Completed}`; compare it with durations."""

    time_since_last: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


class Streak(Model):
    """In how many periods in a row up to now: `{streak: '*', period: day, tz: Europe/Paris}`."""

    streak: Text
    """The event's exact name; `'*'` alone is any event. The current period need not have one yet."""
    where: Where | None = None
    """What the event's properties have to be like."""
    period: Period
    """By the calendar; weeks begin on Monday."""
    tz: TimeZone
    """Whose calendar: an IANA time zone such as `Europe/Paris`."""


class Values(Windowed):
    """The values that a property of some events has."""

    of: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


class MostFrequent(Values):
    """The value that most events have: `{most_frequent: category, of: Product Viewed, within: 30d}`."""

    most_frequent: Path
    """The property."""


class UniqueList(Values):
    """The last different values, in the order in which they were last seen."""

    unique_list: Path
    """The property."""
    last: int = Field(default=10, ge=1, le=100)
    """How many of them; 10 if left out."""


class Tally(Values):
    """How many events each value has: `categories.shoes` is then the number of shoes."""

    tally: Path
    """The property."""


def reading(definition: "Computed", measurements: Measurements) -> Reading:
    """The computed trait over time."""
    kind = definition.root
    key, reads, course = _READERS[type(kind)](kind, measurements)
    name = content_key([type(kind).__name__, key, kind.model_dump(exclude_none=True)])
    since = isinstance(kind, TimeSinceLast)
    return Reading(name, course, reads, measures_time=since, moves=since)


Found = tuple[str, Mapping[str, int | None], Callable[[View], Course]]
"""The key of a measurement, what of it is read, and the value over time."""


def _figure(kind: Figure, measurements: Measurements) -> Found:
    window = window_of(kind)
    return _stepping(measured(kind, measurements, window), window, FIGURES[kind.function[0]])


def _count(kind: CountOf, measurements: Measurements) -> Found:
    window = window_of(kind)
    return _stepping(measurements.events(kind.count, kind.where, window, "totals"), window, FIGURES["count"])


def _rate(kind: RateOf, measurements: Measurements) -> Found:
    class Rate(Count):
        def value(self) -> int | float:  # type: ignore[override]  # not whole
            share = Fraction(self.count * kind.per, kind.within)
            return share.numerator if share.denominator == 1 else float(share)

    window = Window(far=kind.within)
    return _stepping(measurements.events(kind.rate, kind.where, window, "totals"), window, Rate)


def _time_since_last(kind: TimeSinceLast, measurements: Measurements) -> Found:
    window = window_of(kind)
    key = measurements.events(kind.time_since_last, kind.where, window, "latest", most=1)
    return _stepping(key, window, SinceLast)


def _unique_list(kind: UniqueList, measurements: Measurements) -> Found:
    window, path = window_of(kind), split(kind.unique_list)
    collect = ev.collector(
        where(kind.where) if kind.where else None,
        ev.no_groups,
        lambda event: values_at(event.properties, path),
        window.since,
        keeps_nothing=False,
    )
    content = ["unique_list", kind.of, kind.where, kind.unique_list, window.since]
    key = measurements.measured(content, kind.of, collect, "distinct", window, kind.last)
    return _stepping(key, window, lambda _: Lately(kind.last))


def _most_frequent(kind: MostFrequent, measurements: Measurements) -> Found:
    return _tallied(kind.of, kind.where, kind.most_frequent, window_of(kind), measurements, most_frequent)


def _tally(kind: Tally, measurements: Measurements) -> Found:
    return _tallied(kind.of, kind.where, kind.tally, window_of(kind), measurements, tally)


def _tallied(
    name: str,
    where_: Mapping[str, Any] | None,
    property_: str,
    window: Window,
    measurements: Measurements,
    told: Callable[[Mapping[str, int]], Json | Missing],
) -> Found:
    path = split(property_)
    collect = ev.collector(
        where(where_) if where_ else None,
        lambda properties: values_at(properties, path),
        ev.nothing,
        window.since,
        keeps_nothing=True,
    )
    content = ["tally", name, where_, property_, window.since, window.far is None]
    key = measurements.measured(content, name, collect, "totals", window, None)

    def course(view: View) -> Course:
        settled = {group: totals[0] for group, totals in view.totals.get(key, {}).items()}
        found = steps(view.entries(key), None, window, lambda _: Tallying({**settled}, told), view.start)
        return [(instant, value) for instant, value, _ in found]

    return key, {key: window.far}, course


def _streak(kind: Streak, measurements: Measurements) -> Found:
    window, tz = CalendarWindow.of(kind.period, MOST_PERIODS, kind.tz), zone(kind.tz)
    selects = where(kind.where) if kind.where else None

    def collect(event: Event, visible_at: int) -> list[Entry]:
        if selects is not None and not selects(event.properties):
            return []
        start = period_start(today(event.occurred_at, tz), kind.period)
        return [(event.occurred_at, visible_at, start.isoformat(), None)]

    content = ["streak", kind.streak, kind.where, kind.period, kind.tz]
    key = measurements.measured(content, kind.streak, collect, "latest", window, 1)

    def course(view: View) -> Course:
        entries = view.entries(key)

        def seen_course(seen: Seen) -> Course:
            groups = grouped(list(filter(seen, entries)))
            firsts = {date.fromisoformat(start or ""): group[0][0] for start, group in groups.items()}
            found: list[tuple[int, int]] = []
            length = 0
            days = sorted(firsts)
            for start, following in zip_longest(days, days[1:]):
                length = min(length + 1, MOST_PERIODS)
                found.append((firsts[start], length))
                if following != period_after(start, kind.period, 1):
                    ends = first_instant(period_after(start, kind.period, 2), tz)
                    length = 0
                    if following is None or ends < firsts[following]:
                        found.append((ends, 0))
            return found

        return staged(entries, view.start, seen_course, 0)

    return key, {key: window.far}, course


def _stepping(key: str, window: Window, figure: Callable[[Totals | None], Running]) -> Found:
    def course(view: View) -> Course:
        totals = view.totals.get(key, {}).get("")
        return [(instant, value) for instant, value, _ in steps(view.entries(key), totals, window, figure, view.start)]

    return key, {key: window.far}, course


class SinceLast:
    """The time since the last of some entries."""

    def __init__(self, _settled: Totals | None) -> None:
        self.instants: list[int] = []

    def add(self, entry: Entry) -> None:
        insort(self.instants, entry[0])

    def remove(self, entry: Entry) -> None:
        del self.instants[bisect_left(self.instants, entry[0])]

    def value(self) -> Elapsed | Missing:
        return Elapsed(self.instants[-1]) if self.instants else MISSING


class Lately:
    """The last few different values."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.seen: list[tuple[int, str]] = []

    def add(self, entry: Entry) -> None:
        insort(self.seen, (entry[0], entry[3]))

    def remove(self, entry: Entry) -> None:
        del self.seen[bisect_left(self.seen, (entry[0], entry[3]))]

    def value(self) -> Json | Missing:
        newest = sorted({key: instant for instant, key in self.seen}.items(), key=itemgetter(1, 0))
        return [json.loads(key) for key, _ in newest[-self.last :]] or MISSING


class Tallying:
    """How many entries each group has."""

    def __init__(self, counts: dict[str, int], told: Callable[[Mapping[str, int]], Json | Missing]) -> None:
        self.counts = counts
        self.told = told

    def add(self, entry: Entry) -> None:
        self.counts[entry[2] or ""] = self.counts.get(entry[2] or "", 0) + 1

    def remove(self, entry: Entry) -> None:
        self.counts[entry[2] or ""] -= 1

    def value(self) -> Json | Missing:
        return self.told({key: count for key, count in self.counts.items() if count})


def most_frequent(counts: Mapping[str, int]) -> Json | Missing:
    """Of several, the one whose JSON text is the first in the order of code points."""
    return json.loads(min(counts, key=lambda key: (-counts[key], key))) if counts else MISSING


def tally(counts: Mapping[str, int]) -> Json | Missing:
    """By text: that of a value which is none is its JSON."""
    found: dict[str, int] = {}
    for key, count in counts.items():
        value = json.loads(key)
        name = value if isinstance(value, str) else key
        found[name] = found.get(name, 0) + count
    return found or MISSING


def values_at(properties: Mapping[str, Json], path: tuple[str, ...]) -> list[str]:
    """The JSON text of the value at a path, of each element of an array: of texts, numbers, true and false."""
    value = value_at(properties, path)
    keys = [_legible(one) for one in elements(value)]
    return list(dict.fromkeys(key for key in keys if key is not None and len(key) <= LONGEST_VALUE))[: ev.MOST_GROUPS]


def _legible(value: Json) -> str | None:
    if isinstance(value, str):
        return json.dumps(text(value), ensure_ascii=False)
    if isinstance(value, bool):
        return json.dumps(value)
    if is_number(value):
        return json.dumps(int(value) if value == int(value) else value)
    return None


KINDS: Final[Mapping[str, tuple[type[Model], Callable[[Any, Measurements], Found]]]] = {
    "count": (CountOf, _count),
    "rate": (RateOf, _rate),
    "time_since_last": (TimeSinceLast, _time_since_last),
    "streak": (Streak, _streak),
    "most_frequent": (MostFrequent, _most_frequent),
    "unique_list": (UniqueList, _unique_list),
    "tally": (Tally, _tally),
    **dict.fromkeys(FIGURE_FUNCTIONS, (Figure, _figure)),
}
"""Every kind of computed trait, by the key that tells it."""

_READERS: Mapping[type[Model], Callable[[Any, Measurements], Found]] = dict(KINDS.values())

if TYPE_CHECKING:
    AnyKind = Any
else:
    AnyKind = Annotated[
        reduce(or_, [Annotated[model, Tag(tag(kind))] for kind, (model, _) in KINDS.items()]), told_by(*KINDS)
    ]


class Computed(RootModel[AnyKind]):
    """A computed trait."""
