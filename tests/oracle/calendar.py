"""Calendars: when days, weeks and months begin, and what the clocks show, in a time zone."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = timedelta(days=1)
EPOCH: Final = datetime.fromtimestamp(0, UTC)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@cache
def rules_of(zone: str) -> ZoneInfo:
    """The zone as the `tzdata` package has it, whatever the machine has."""
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as compiled:
        return ZoneInfo.from_file(compiled, zone)


def local(at: int, zone: str) -> datetime:
    """What the zone's calendars and clocks show at an instant."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(rules_of(zone))


def epoch(moment: datetime) -> int:
    """The instant of a moment with its zone."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


@cache
def begins(day: date, zone: str) -> int:
    """The first instant at which the zone shows the date; if it skips the date, one after it."""
    midnight = epoch(datetime.combine(day, time(), UTC))
    hours = range(midnight - 15 * HOUR, midnight + 48 * HOUR, HOUR)  # all zones are less than 15 h from UTC
    near = next(at for at in hours if local(at, zone).date() >= day)
    return next(at for at in range(near - 3 * HOUR, near + 1, MINUTE) if local(at, zone).date() >= day)


def today(at: int, zone: str) -> date:
    """The latest date that has begun: clocks that are put back to the day before do not bring it back."""
    shown = local(at, zone).date()
    return shown + DAY if begins(shown + DAY, zone) <= at else shown


def first_date(day: date, period: str, ahead: int) -> date:
    """The first date of the period that comes so many after the one that the day is in."""
    if period == "month":
        months = day.year * 12 + day.month - 1 + ahead
        return date(months // 12, months % 12 + 1, 1)
    if period == "week":
        return day - timedelta(days=day.weekday()) + timedelta(weeks=ahead)
    return day + timedelta(days=ahead)


def turn(at: int, calendar: Mapping[str, Any], ahead: int) -> int:
    """The instant at which the period begins that comes so many after the one at an instant."""
    zone = calendar["tz"]
    return begins(first_date(today(at, zone), calendar["period"], ahead), zone)


def clock_shows(spec: Mapping[str, Any], at: int) -> bool:
    """Whether the time of day lies in [from, until) on one of the days, a night belonging to the day it began on."""
    shown = local(at, spec["tz"])
    start, end = hours(spec)
    days = spec.get("days", WEEKDAYS)
    is_day, was_day = (WEEKDAYS[day.weekday()] in days for day in (shown, shown - DAY))
    if start < end:
        return start <= shown.time() < end and is_day
    return (start <= shown.time() and is_day) or (shown.time() < end and was_day)


def hours(spec: Mapping[str, Any]) -> tuple[time, time]:
    """The times of day that a `time` condition runs from and until."""
    return time.fromisoformat(spec.get("from", "00:00")), time.fromisoformat(spec.get("until", "00:00"))


def clock_turns(spec: Mapping[str, Any], after: int, upto: int) -> Iterator[int]:
    """Every instant in (after, upto] at which a `time` condition can change, and some more."""
    zone, clocks = spec["tz"], hours(spec)
    day, last = local(after, zone).date() - DAY, local(upto, zone).date() + DAY
    while day <= last:
        yield from (turn for turn in clock_shown(clocks, day, zone) if after < turn <= upto)
        day += DAY


@cache
def clock_shown(clocks: tuple[time, time], day: date, zone: str) -> set[int]:
    """Whenever the clocks show midnight or one of these on the day, or are put on or back."""
    shown = [datetime.combine(day, clock, rules_of(zone)) for clock in (time(), *clocks)]
    return {epoch(moment.replace(fold=fold)) for moment in shown for fold in (0, 1)} | clock_changes(day, zone)


@cache
def clock_changes(day: date, zone: str) -> set[int]:
    """The instants of a day of UTC at which the zone's clocks are put on or back."""
    midnight = epoch(datetime.combine(day, time(), UTC))
    around = range(midnight - MINUTE, midnight + 24 * HOUR, MINUTE)
    if offset(around[0], zone) == offset(around[-1], zone):
        return set()
    return {after for before, after in pairwise(around) if offset(before, zone) != offset(after, zone)}


def offset(at: int, zone: str) -> timedelta | None:
    """How far the zone's clocks are from UTC at an instant."""
    return local(at, zone).utcoffset()
