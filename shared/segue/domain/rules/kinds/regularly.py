"""`regularly`: in some of the last periods of a calendar, the current one included."""

from datetime import date
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from segue.domain.rules.evidence import CalendarWindow, Entry, as_seen, content_key
from segue.domain.rules.finding import Finding, counting, share
from segue.domain.rules.intervals import Spans, holding
from segue.domain.rules.local_time import Period, first_instant, period_after, period_start, today, zone
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import MAX_COUNT, Model, Refused, Text, TimeZone, Where
from segue.domain.rules.wording import event


class Regularly(Model):
    """In some of the last periods: `{regularly: Order Completed, in: 3, last: 5, period: week, tz: Europe/Paris}`."""

    regularly: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    times: int = Field(default=1, ge=1, le=MAX_COUNT)
    """How many times in each of the periods; once if left out."""
    in_: int = Field(alias="in", ge=1)
    """In how many of the periods, at least."""
    last: int = Field(ge=1, le=400)
    """The last so many periods, the current one included."""
    period: Period
    """By the calendar; weeks begin on Monday."""
    tz: TimeZone
    """Whose calendar: an IANA time zone such as `Europe/Paris`."""

    @model_validator(mode="after")
    def _possible(self) -> "Regularly":
        if self.in_ > self.last:
            raise Refused(f"expected at most last, {self.last}", "in")
        return self


def compile_regularly(definition: Regularly, measurements: Measurements) -> Node:
    window = CalendarWindow.of(definition.period, definition.last, definition.tz)
    key = measurements.events(definition.regularly, definition.where, window, "latest")
    tz = zone(definition.tz)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        return as_seen(entries, view.start, lambda seen: regular(definition, list(filter(seen, entries)), tz))

    content = ["regularly", key, definition.times, definition.in_, window.content]
    often = f" {definition.times} times each" if definition.times > 1 else ""
    said = event(definition.regularly, definition.where) + often
    said += f" in {definition.in_} of the last {definition.last} {definition.period}s of {definition.tz}"

    def describe(view: View) -> Finding:
        entries = counting(view.entries(key), window, view.start)
        starts = [period_start(today(entry[0], tz), definition.period) for entry in entries]
        enough = sum(starts.count(start) >= definition.times for start in set(starts))
        return Finding(
            says=said,
            found=f"in {enough}",
            figure=enough,
            wanted={"ge": definition.in_},
            distance=share(max(0, definition.in_ - enough), enough),
            counted={key: entries},
        )

    return leaf(content_key(content), spans, {key: window.far}, cost=8, describe=describe)


def regular(definition: Regularly, entries: list[Entry], tz: ZoneInfo) -> Spans:
    """When enough of the last periods have had enough entries by then."""
    periods: dict[date, list[int]] = {}
    for entry in entries:
        start = period_start(today(entry[0], tz), definition.period)
        periods.setdefault(start, []).append(entry[0])

    def counts(start: date, instants: list[int]) -> list[tuple[int, int]]:
        gone = first_instant(period_after(start, definition.period, definition.last), tz)
        return [(sorted(instants)[definition.times - 1], 1), (gone, -1)]

    enough = [(start, instants) for start, instants in periods.items() if len(instants) >= definition.times]
    changes = [change for start, instants in enough for change in counts(start, instants)]
    return holding(changes, lambda total: total >= definition.in_)
