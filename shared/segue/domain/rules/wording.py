"""Plain English for the parts of definitions: names, comparisons, windows, lengths of time, instants."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from segue.domain.event import Json
from segue.domain.rules.evidence import CalendarWindow, Window
from segue.domain.rules.operators import is_number, operation
from segue.domain.time import DAY, HOUR, MINUTE, SECOND

LONGEST_VALUE: Final = 60

COMPARISONS: Final[Mapping[str, str]] = {
    "eq": "{}",
    "ne": "not {}",
    "gt": "more than {}",
    "ge": "at least {}",
    "lt": "less than {}",
    "le": "at most {}",
    "between": "from {} to {}",
    "in": "one of {}",
    "not_in": "none of {}",
    "contains": "containing {}",
    "not_contains": "not containing {}",
    "starts_with": "starting with {}",
    "ends_with": "ending with {}",
    "matches": "matching {}",
    "exists": "present",
    "missing": "missing",
    "any_of": "some of {}",
    "all_of": "all of {}",
    "none_of": "none of {}",
    "before": "before {}",
    "after": "after {}",
    "semver_eq": "version {}",
    "semver_ne": "not version {}",
    "semver_gt": "later than version {}",
    "semver_ge": "version {} or later",
    "semver_lt": "earlier than version {}",
    "semver_le": "version {} or earlier",
}
"""Every operator but `any`, with its operand."""

NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

UNITS: Final = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"), (1, "millisecond"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quoted(value: Json) -> str:
    """A value as it is shown: text in backticks, the rest as JSON, shortened."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 1] + "…"
    return f"`{shown}`" if isinstance(value, str) else shown


def group_of(key: str | None) -> str:
    """The value that a group's key stands for (see `evidence.value_key`), as it is shown."""
    kind, value = (key or "h")[0], (key or "")[1:]
    return {"s": f"`{value}`", "n": value, "j": value}.get(kind, "one value")


def event(name: str, where: Mapping[str, Any] | None = None) -> str:
    """An event of a name, of any if it is `*`, narrowed."""
    shown = "event" if name == "*" else quoted(name)
    tests = [f"`{path}` {comparison(test)}" for path, test in (where or {}).items()]
    return f"{shown} with {' and '.join(tests)}" if tests else shown


def comparison(test: Json) -> str:
    """What a matcher asks of a value."""
    name, operand = operation(test) if isinstance(test, dict) else ("eq", test)
    if name == "any":
        tests = [f"`{path}` {comparison(inner)}" for path, inner in operand.items()]
        return f"with some element of {' and '.join(tests)}"
    if name == "between":
        return COMPARISONS[name].format(*map(quoted, operand))
    return COMPARISONS[name].format(_operand(operand))


def _operand(operand: Json) -> str:
    if isinstance(operand, dict):
        return f"that of `{operand['ref']}`"
    return listed(operand) if isinstance(operand, list) else quoted(operand)


def listed(values: list[Json]) -> str:
    """Some values, one after the other."""
    return ", ".join(map(quoted, values))


def times(count: Mapping[str, Any]) -> str:
    """What a count asks for."""
    name, operand = operation(count)
    if (name, operand) in (("eq", 0), ("lt", 1), ("le", 0)):
        return "never"
    if operand in (1, 2) and not isinstance(operand, list):
        return COMPARISONS[name].format("once" if operand == 1 else "twice")
    return comparison(dict(count)) + " times"


def number(count: int | float) -> str:
    """A small number in words."""
    return NUMBERS[int(count)] if count in range(len(NUMBERS)) else shown(count)


def shown(figure: Json) -> str:
    """A figure, to four digits behind the point."""
    return f"{round(figure, 4):,}".removesuffix(".0") if is_number(figure) else quoted(figure)


def within(window: Window) -> str:
    """The window at the end of a sentence, empty for all time."""
    if isinstance(window, CalendarWindow):
        past = f" or the {number(window.last - 1)} before" if window.last > 1 else ""
        return f" this {window.period}{past} in {window.tz}"
    if window.near:
        return f" from {length(window.far or 0)} to {length(window.near)} ago"
    if window.since is not None:
        return f" since {moment(window.since)}"
    return "" if window.far is None else f" within {length(window.far)}"


def length(milliseconds: int) -> str:
    """A length of time in the largest unit that divides it."""
    size, unit = next((size, unit) for size, unit in UNITS if milliseconds % size == 0 and milliseconds >= size)
    count = milliseconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def left(milliseconds: int) -> str:
    """A time that is left, as a clock shows it: 4:10, 2:04:10, 3 days 2:04:10; below a second in milliseconds."""
    if milliseconds < SECOND:
        return f"{milliseconds} ms"
    days, rest = divmod(milliseconds, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, seconds = divmod(rest // SECOND, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours or days else f"{minutes}:{seconds:02}"
    return f"{days} day{'' if days == 1 else 's'} {clock}" if days else clock


def moment(instant: int) -> str:
    """An instant in UTC, with milliseconds where there are some."""
    try:
        shown = _EPOCH + timedelta(milliseconds=instant)
    except OverflowError:
        return f"{instant} ms after 1970"
    return f"{shown:%Y-%m-%d %H:%M:%S}{f'.{instant % SECOND:03}' if instant % SECOND else ''} UTC"
