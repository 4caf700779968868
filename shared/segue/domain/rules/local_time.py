"""Local time: the periods of a calendar, and when a clock on the wall shows what. Instants are epoch ms.

The rules of time zones come with the `tzdata` package, so that they are the same wherever Segue runs; its release is
part of what a program's version is made of.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # ships no types

from segue.domain.errors import Invalid
from segue.domain.time import DAY, HOUR

RELEASE: Final[str] = tzdata.IANA_VERSION

Period: TypeAlias = Literal["day", "week", "month"]

LONGEST: Final[dict[Period, int]] = {"day": DAY + 3 * HOUR, "week": 7 * DAY + 3 * HOUR, "month": 31 * DAY + 3 * HOUR}
"""No period is longer, not even where clocks are put back on a day of it."""

ZONES: Final = frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())
"""The names of all time zones."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name. Raises `Invalid`."""
    if name not in ZONES:
        raise Invalid(f"expected an IANA time zone such as Europe/Paris, found {name!r:.60}")
    with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def local(instant: int, tz: ZoneInfo) -> datetime:
    """What the clocks of a zone show at an instant."""
    return (_EPOCH + instant * _MILLISECOND).astimezone(tz)


def today(instant: int, tz: ZoneInfo) -> date:
    """The latest local date that has begun: clocks that are put back over midnight do not bring the day before back."""
    shown = local(instant, tz).date()
    following = shown + timedelta(days=1)
    return following if first_instant(following, tz) <= instant else shown


@lru_cache(maxsize=4_096)
def first_instant(day: date, tz: ZoneInfo) -> int:
    """The first instant whose local date is this one: its midnight, or where clocks skip that, the skip."""
    midnight = datetime.combine(day, time(), tzinfo=tz)
    found = (midnight - _EPOCH) // _MILLISECOND
    if local(found, tz).date() == day and (found == 0 or local(found - 1, tz).date() < day):
        return found
    return _first(lambda instant: local(instant, tz).date() >= day, found - DAY, found + DAY)


def period_start(day: date, period: Period) -> date:
    """The first date of the period that a date lies in; weeks begin on Monday."""
    if period == "day":
        return day
    return day - timedelta(days=day.weekday()) if period == "week" else day.replace(day=1)


def period_after(start: date, period: Period, count: int) -> date:
    """The first date of the period so many periods after the one that begins on `start`."""
    if period == "month":
        months = start.year * 12 + start.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)
    return start + timedelta(days=count * (7 if period == "week" else 1))


def shown(
    begin: int, end: int, tz: ZoneInfo, marks: tuple[time, ...], holds: Callable[[datetime], bool]
) -> Iterator[tuple[int, int]]:
    """The intervals of `[begin, end)` on which `holds` is true of what the clocks show.

    `marks` are the times of day at which it may change besides midnight. Where clocks are put forward or back it may
    change too.
    """
    edges = sorted({begin, end, *(edge for edge in _edges(begin, end, tz, marks) if begin < edge < end)})
    for since, until in itertools.pairwise(edges):
        if holds(local(since, tz)):
            yield since, until


def _edges(begin: int, end: int, tz: ZoneInfo, marks: tuple[time, ...]) -> Iterator[int]:
    day = local(begin, tz).date() - timedelta(days=1)
    last = local(end, tz).date() + timedelta(days=1)
    while day <= last:
        start, following = first_instant(day, tz), first_instant(day + timedelta(days=1), tz)
        yield start
        for mark in marks:
            for fold in (0, 1):
                yield (datetime.combine(day, mark, tzinfo=tz).replace(fold=fold) - _EPOCH) // _MILLISECOND
        yield from _offset_change(start, following, tz)
        day += timedelta(days=1)


def _offset_change(start: int, end: int, tz: ZoneInfo) -> Iterator[int]:
    before = local(start, tz).utcoffset()
    if local(end, tz).utcoffset() != before:
        yield _first(lambda instant: local(instant, tz).utcoffset() != before, start, end)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first instant after `low` at which a condition holds that is false at `low` and, once true, stays true."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
