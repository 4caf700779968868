"""`time` and `date`: local time of day and weekday, and a date on the profile against now."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from itertools import count
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from segue.domain.event import Json
from segue.domain.rules.courses import value_at_start
from segue.domain.rules.evidence import content_key
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.local_time import first_instant, local, shown, zone
from segue.domain.rules.measurements import Measurements, Node, View, leaf, said_last
from segue.domain.rules.model import Duration, Model, Path, Refused, TimeZone
from segue.domain.rules.operators import MISSING, split, value_at
from segue.domain.rules.wording import length, quoted
from segue.domain.time import instant

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _time_of_day(text: str) -> str:
    if len(text) != 5 or text[2] != ":" or not (text[:2] + text[3:]).isdigit() or text[:2] > "23" or text[3:] > "59":
        raise Refused("expected a time of day such as 09:00")
    return text


TimeOfDay = Annotated[
    str, AfterValidator(_time_of_day), WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
]


class TimeOf(Model):
    """`[from, until)` on the clocks of a place; over midnight it belongs to the day on which it begins."""

    from_: TimeOfDay = Field(default="00:00", alias="from")
    """From this time on, in quotes: `"09:00"`; midnight if left out."""
    until: TimeOfDay = "00:00"
    """Until before this time, in quotes: `"17:00"`; midnight if left out."""
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(default=[*WEEKDAYS], min_length=1)  # type: ignore[list-item]  # each is one of them
    """On these days; on all of them if left out."""
    tz: TimeZone
    """Whose clocks: an IANA time zone such as `Europe/Paris`."""

    @model_validator(mode="after")
    def _says_something(self) -> "TimeOf":
        if self.from_ == self.until and len(set(self.days)) == len(WEEKDAYS):
            raise Refused("expected from and until to differ, or some days")
        return self


class TimeIs(Model):
    """The clocks of a place show a time: `{time: {from: "09:00", until: "17:00", tz: Europe/Paris}}`."""

    time: TimeOf


class DateTest(Model):
    """How the date stands to now: exactly one of these, and `tz` with `anniversary`."""

    within_last: Duration | None = None
    """The date is past, and less than that ago."""
    within_next: Duration | None = None
    """The date is to come, at most that far ahead."""
    more_than_ago: Duration | None = None
    """The date is past, that long ago or longer."""
    anniversary: Literal[True] | None = None
    """Today is the date's day and month, in a later year."""
    tz: TimeZone | None = None
    """Whose day: an IANA time zone such as `Europe/Paris`."""

    @model_validator(mode="after")
    def _one_test(self) -> "DateTest":
        tests = (self.within_last, self.within_next, self.more_than_ago, self.anniversary)
        if sum(test is not None for test in tests) != 1:
            raise Refused("expected exactly one of within_last within_next more_than_ago anniversary")
        if (self.anniversary is None) != (self.tz is None):
            raise Refused("expected with anniversary, and only there", "tz")
        return self


class DateIs(Model):
    """A date among the traits against now: `{date: subscription.ends, is: {within_next: 7d}}`."""

    date: Path
    """The path to the trait: ISO 8601 text, or epoch milliseconds."""
    is_: DateTest = Field(alias="is")
    """How the date stands to now."""


def shows(part: TimeOf) -> Callable[[datetime], bool]:
    """Tells whether a clock of the place shows such a time."""
    begin, end = _from_until(part)
    days_of_week = {WEEKDAYS.index(day) for day in part.days}

    def holds(clock: datetime) -> bool:
        now, day = clock.time(), clock.weekday()
        if begin < end:
            return begin <= now < end and day in days_of_week
        return (now >= begin and day in days_of_week) or (now < end and (day - 1) % 7 in days_of_week)

    return holds


def _from_until(part: TimeOf) -> tuple[time_of_day, time_of_day]:
    return time_of_day.fromisoformat(part.from_), time_of_day.fromisoformat(part.until)


def compile_time(definition: TimeIs, _measurements: Measurements) -> Node:
    part = definition.time
    tz, holds = zone(part.tz), shows(part)

    def spans(view: View) -> Spans:
        return union(shown(view.start, view.horizon, tz, _from_until(part), holds))

    days = "" if len(set(part.days)) == len(WEEKDAYS) else f" on {', '.join(part.days)}"
    hours = "" if part.from_ == part.until else f" from {part.from_} until {part.until}"

    def describe(view: View) -> Finding:
        shows = local(view.start, tz)
        found = f"the clocks show {WEEKDAYS[shows.weekday()]} {shows:%H:%M}"
        return Finding(says=f"the time in {part.tz}{hours}{days}", found=found, figure=shows.isoformat())

    return leaf(content_key(["time", part.model_dump()]), spans, {}, recurs=True, describe=describe)


def compile_date(definition: DateIs, measurements: Measurements) -> Node:
    test = definition.is_
    if test.anniversary:
        tz = zone(test.tz or "")
        return _date_node(
            definition, measurements, lambda value, view: _anniversaries(value, tz, view.start, view.horizon)
        )
    return _date_node(definition, measurements, lambda value, _view: _around(test, value))


def _date_node(definition: DateIs, measurements: Measurements, around: Callable[[Json, View], Spans]) -> Node:
    path = split(definition.date)
    reading = measurements.trait_course(path[0])

    def spans(view: View) -> Spans:
        course = reading.course(view)
        ends = [*(instant for instant, _ in course[1:]), FOREVER]
        return union(
            span
            for (since, value), until in zip(course, ends, strict=True)
            for span in clipped(around(value_at({path[0]: value}, path), view), since, until)
        )

    def describe(view: View) -> Finding:
        value = value_at({path[0]: value_at_start(reading.course(view))}, path)
        return Finding(
            says=f"the date in the trait `{definition.date}` {_test_in_words(definition.is_)}",
            found="missing" if value is MISSING else quoted(value),
            figure=None if value is MISSING else value,
            wanted=definition.is_.model_dump(exclude_none=True),
            counted=said_last(reading, view),
        )

    content = content_key(["date", reading.key, definition.date, definition.is_.model_dump()])
    return leaf(content, spans, reading.reads, recurs=definition.is_.anniversary is not None, describe=describe)


def _test_in_words(test: DateTest) -> str:
    if test.within_last is not None:
        return f"in the last {length(test.within_last)}"
    if test.within_next is not None:
        return f"in the next {length(test.within_next)}"
    return f"its anniversary in {test.tz}" if test.anniversary else f"more than {length(test.more_than_ago or 1)} ago"


def _around(test: DateTest, value: Json) -> Spans:
    """When the date is in the past or the future as the test says: `(t - D, t]`, `(t, t + D]`, `<= t - D`."""
    found = instant(value)
    if found is None:
        return []
    if test.within_last is not None:
        return [(found, found + test.within_last)]
    if test.within_next is not None:
        return [(found - test.within_next, found)]
    return [(found + (test.more_than_ago or 0), FOREVER)]


def _anniversaries(value: Json, tz: ZoneInfo, start: int, end: int) -> Spans:
    """The local days, in every year after the date's own, with its month and day; 28 for 29 February if need be."""
    day = _local_date(value, tz)
    if day is None:
        return []
    found: Spans = []
    for year in count(max(day.year + 1, local(start, tz).year - 1)):
        leaps = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        celebrated = date(year, day.month, 28 if (day.month, day.day) == (2, 29) and not leaps else day.day)
        span = first_instant(celebrated, tz), first_instant(celebrated + timedelta(days=1), tz)
        if span[0] >= end:
            return clipped(found, start, end)
        found.append(span)
    return found


def _local_date(value: Json, tz: ZoneInfo) -> date | None:
    """A bare date as it is written, anything else as the clocks of the place show it."""
    found = instant(value)
    if found is None:
        return None
    if isinstance(value, str) and len(value) == 10:
        return date.fromisoformat(value)
    return local(found, tz).date()
