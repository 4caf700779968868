"""Calendars: when days, weeks and months begin, and what the clocks show, in a time zone."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = timedelta(days=1)
EPOCH: Final = datetime.fromtimestamp(0, UTC)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def local(at: int, zone: str) -> datetime:
    """What the zone's calendars and clocks show at an instant."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))


def epoch(moment: datetime) -> int:
    """The instant of a moment with its zone."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


@cache
def begins(day: date, zone: str) -> int:
    """The first instant at which the zone shows the date; if it skips the date, one after it."""
    midnight = epoch(datetime.combine(day, time(), UTC))
    around = range(midnight - 15 * HOUR, midnight + 48 * HOUR, MINUTE)  # all zones are less than 15 h from UTC
    return next(at for at in around if local(at, zone).date() >= day)


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
    zone = spec["tz"]
    day, last = local(after, zone).date() - DAY, local(upto, zone).date() + DAY
    while day <= last:
        for shown in (time(), *hours(spec)):
            for fold in (0, 1):
                moment = epoch(datetime.combine(day, shown.replace(fold=fold), ZoneInfo(zone)))
                if after < moment <= upto:
                    yield moment
        yield from (moment for moment in clock_changes(day, zone) if after < moment <= upto)
        day += DAY


@cache
def clock_changes(day: date, zone: str) -> list[int]:
    """The instants from a day's beginning to the next one's, both included, at which the clocks are put on or back."""
    start, end = begins(day, zone), begins(day + DAY, zone)
    if offset(start - MINUTE, zone) == offset(end, zone):
        return []
    around = range(start - MINUTE, end + 1, MINUTE)
    return [after for before, after in pairwise(around) if offset(before, zone) != offset(after, zone)]


def offset(at: int, zone: str) -> timedelta | None:
    """How far the zone's clocks are from UTC at an instant."""
    return local(at, zone).utcoffset()
