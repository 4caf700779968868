"""Values as the rules see them: what is missing, what is equal, what a path leads to, how long a duration is."""

import unicodedata
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import Any, Final, TypeGuard

MISSING: Final[Any] = object()
"""What a path leads to where there is nothing: absent or null."""

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

Number = int | float | Fraction


def duration(text: str) -> int:
    """The milliseconds of a duration such as `10m`."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * UNITS[unit]


def instant(value: object) -> int | None:
    """Whole epoch milliseconds of ISO 8601 text (no zone is UTC, a bare date its midnight) or a number; else None."""
    if is_number(value):
        return floor(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def is_number(value: object) -> TypeGuard[Number]:
    """Whether the value is a number; true and false are not."""
    return isinstance(value, int | float | Fraction | Decimal) and not isinstance(value, bool)


def look_up(root: Any, path: str) -> Any:
    """What the dotted path leads to from an object; a path through anything but objects leads nowhere."""
    for name in path.split("."):
        root = root.get(name) if isinstance(root, dict) else None
    return MISSING if root is None else root


def spread(root: Any, path: str) -> Iterator[Any]:
    """Every value the path leads to where arrays stand for each of their elements, as `same` reads it."""
    name, _, rest = path.partition(".")
    for value in flat(root.get(name) if isinstance(root, dict) else None):
        if rest:
            yield from spread(value, rest)
        elif value is not None:
            yield value


def flat(value: Any) -> Iterator[Any]:
    """The value, or an array's elements, however deep."""
    if not isinstance(value, list):
        yield value
    else:
        for element in value:
            yield from flat(element)


def elements(value: Any) -> list[Any]:
    """The elements of an array, nulls left out; of anything else that is present, itself."""
    if value is MISSING:
        return []
    return [element for element in value if element is not None] if isinstance(value, list) else [value]


def normal(text: str) -> str:
    """The text in Unicode's composed form, as all comparisons see it."""
    return unicodedata.normalize("NFC", text)


def identity(value: Any) -> Hashable:
    """A key that two values share exactly if they are equal: 5 is 5.0, but true is not 1 and "5" is not 5."""
    if isinstance(value, bool) or value is None:
        return ("constant", value)
    if isinstance(value, str):
        return ("text", normal(value))
    if isinstance(value, list):
        return ("array", tuple(identity(element) for element in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, identity(member)) for name, member in value.items()))
    return ("number", value)


def written(number: Number) -> Fraction:
    """The number as its decimal is written: 0.1 is one tenth."""
    return number if isinstance(number, Fraction) else Fraction(Decimal(repr(number)))


def micros(number: Number) -> int:
    """The number in millionths, rounded half to even from the decimal as written."""
    with localcontext(prec=1_000):
        return int((Decimal(repr(number)) * 1_000_000).to_integral_value(ROUND_HALF_EVEN))
