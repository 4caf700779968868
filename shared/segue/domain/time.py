"""Instants, durations, and when an event really happened: UTC, integer epoch milliseconds."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from segue.domain.errors import Invalid

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
LONGEST_DURATION = 36_500 * DAY

SMALLEST_SKEW = 5 * SECOND
LARGEST_SKEW = DAY
OLDEST_UNCORRECTED = DAY

FIRST_EVENT = 100_000_000_000
"""3 March 1973: no event is older. A number below it is zero, negative, or seconds where milliseconds are meant."""

_ISO_8601 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
LONGEST_INSTANT = len("2024-02-29T10:30:00.123456789+02:00")

_DURATION = re.compile(r"([1-9][0-9]{0,14})(ms|s|m|h|d|w)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def duration(text: object) -> int:
    """The milliseconds of a duration such as `10m`: a positive whole number and one of `ms s m h d w` (1d = 24h).

    At most 36,500 days. Raises `Invalid`.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    length = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < length <= LONGEST_DURATION:
        raise Invalid(f"expected a duration such as 10m or 24h (ms, s, m, h, d or w), found {text!r:.40}")
    return length


def instant(value: object) -> int | None:
    """The instant a client or a definition names, or None if it cannot be read.

    Text is ISO 8601 in its extended form, `2024-02-29` (its midnight) or `2024-02-29T10:30:00.5+02:00`, a blank instead
    of the `T` allowed; no zone is UTC; what is finer than a millisecond, up to nine digits, is cut off. Numbers are
    epoch milliseconds.
    """
    if isinstance(value, str):
        return _instant_of_text(value) if len(value) <= LONGEST_INSTANT else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value // 1) if _FIRST_INSTANT <= value <= _LAST_INSTANT else None
    return None


def event_instant(value: object) -> int | None:
    """The instant a client says an event happened or was sent, or None if there is none that can be believed.

    Zero, negative numbers and seconds instead of milliseconds are not believed (see `FIRST_EVENT`); an instant that is
    far in the future is a matter for `occurred_at`.
    """
    found = instant(value)
    return found if found is not None and found >= FIRST_EVENT else None


def occurred_at(timestamp: int | None, sent_at: int | None, received_at: int, max_age: int) -> int:
    """When an event happened, corrected for the client's clock (RULES 1); never later than `received_at`.

    `timestamp` and `sent_at` are the client's own instants. Its clock is wrong by `received_at - sent_at`, the time on
    the way included: less than 5 s is ignored, with more than 24 h `sent_at` is not believed. Bounds are inclusive.
    """
    if timestamp is None:
        return received_at
    if sent_at is not None:
        skew = abs(received_at - sent_at)
        if skew < SMALLEST_SKEW:
            return min(timestamp, received_at)
        if skew <= LARGEST_SKEW and 0 <= sent_at - timestamp <= max_age:
            return received_at - (sent_at - timestamp)
    return min(timestamp, received_at) if received_at - timestamp <= OLDEST_UNCORRECTED else received_at


@lru_cache(maxsize=1_024)
def _instant_of_text(text: str) -> int | None:
    if not _ISO_8601.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
