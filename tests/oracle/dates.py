"""Dates: how a date among the traits stands to the instant."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from math import ceil, floor
from typing import Any, Final

from tests.oracle.calendar import DAY, begins, local, today
from tests.oracle.traits import known_traits
from tests.oracle.values import duration, instant, look_up
from tests.oracle.view import Condition, View


def stands(condition: Condition, view: View) -> bool:
    """Whether the trait's date stands to the instant as the condition says."""
    value = look_up(known_traits(view), condition["date"])
    test = condition["is"]
    if "anniversary" in test:
        return is_anniversary(value, test["tz"], view.at)
    moment = instant(value)
    ((name, span),) = test.items()
    return moment is not None and DISTANCES[name](moment, view.at, duration(span))


DISTANCES: Final[Mapping[str, Callable[[int, int, int], bool]]] = {
    "within_last": lambda moment, at, span: at - span < moment <= at,
    "within_next": lambda moment, at, span: at < moment <= at + span,
    "more_than_ago": lambda moment, at, span: moment <= at - span,
}


def is_anniversary(value: Any, zone: str, at: int) -> bool:
    """Whether it is the day and month of the date, in a later year than its own."""
    day = calendar_date(value, zone)
    now = today(at, zone)
    return day is not None and day.year < now.year and now == in_year(day, now.year)


def calendar_date(value: Any, zone: str) -> date | None:
    """A bare date as it is written, any other instant's date in the zone; None for what is neither."""
    moment = instant(value)
    if moment is None:
        return None
    if isinstance(value, str) and len(value) == 10:
        return date.fromisoformat(value)
    try:
        return local(floor(moment), zone).date()
    except OverflowError:
        return None


def in_year(day: date, year: int) -> date:
    """The date in another year, 29 February on the 28th where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def crossings(condition: Condition, value: Any) -> Iterator[int]:
    """The instants at which a value can come to stand otherwise, of anniversaries none."""
    moment = instant(value)
    if moment is None or "anniversary" in condition["is"]:
        return
    (span,) = map(duration, condition["is"].values())
    yield from map(ceil, (moment, moment + span, moment - span))


def anniversaries(condition: Condition, value: Any, after: int, upto: int) -> Iterator[int]:
    """The instants in (after, upto] at which an anniversary of the value can begin or end."""
    test = condition["is"]
    day = calendar_date(value, test["tz"]) if "anniversary" in test else None
    if day is None:
        return
    for year in range(today(after, test["tz"]).year, today(upto, test["tz"]).year + 1):
        turns = begins(in_year(day, year), test["tz"]), begins(in_year(day, year) + DAY, test["tz"])
        yield from (turn for turn in turns if after < turn <= upto)
