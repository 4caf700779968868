"""Log lines and counters: one JSON object a line, of named events with allow-listed fields.

Nothing a visitor sent is ever logged: no bodies, no values, and identifiers only as hashes. Control characters are
escaped by JSON itself, so that no value can begin a line of its own.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from segue import tracing
from segue.metrics import NOTED
from segue.tracing import hashed

EventName: TypeAlias = Literal[
    "not_started",
    "request_failed",
    "request_refused",
    "request_throttled",
    "events_refused",
    "events_withheld",
    "event_warning",
    "sdk_metrics_dropped",
    "message_acknowledged",
    "message_not_acknowledged",
    "message_recorded",
    "push_refused",
    "commit_conflicted",
    "snapshot_outdated",
    "profile_erased",
    "delivery_made",
    "delivery_postponed",
    "audience_exported",
    "catalog_refreshed",
    "catalog_not_refreshed",
    "measurements_filled",
    "profiles_linked",
    "link_refused",
    "listening_interrupted",
]

Severity: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

LONGEST_TEXT = 500


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool) else str(value)[:LONGEST_TEXT]


FIELDS: Mapping[str, Callable[[object], object]] = {
    "function": _plain,
    "topic": _plain,
    "type": _plain,
    "error": _plain,
    "where": _plain,
    "status": _plain,
    "attempt": _plain,
    "count": _plain,
    "version": _plain,
    "source": _plain,
    "destination": _plain,
    "message": hashed,
    "key": hashed,
}
"""Every field a log line may carry, and how its value is shown; besides, the trace that it is in."""

_logger = logging.getLogger("segue")


def note(event: EventName, severity: Severity = "INFO", **fields: object) -> None:
    """Count an event, and log it with the given fields. Raises KeyError for one that is not in `FIELDS`."""
    NOTED.add(event)
    level = logging.getLevelName(severity)
    if _logger.isEnabledFor(level):
        shown = {name: FIELDS[name](value) for name, value in fields.items()}
        line = {"severity": severity, "event": event, **shown, **tracing.log_fields()}
        _logger.log(level, "%s", msgspec.json.encode(line).decode())


def start(level: Severity = "INFO") -> None:
    """Send log lines to the standard output, once a process."""
    if not _logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _logger.addHandler(handler)
        _logger.propagate = False
    _logger.setLevel(level)
