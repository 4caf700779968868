"""Log lines: one JSON object a line, of named events with allow-listed fields.

Nothing a visitor sent is ever logged: no bodies, no values, and identifiers only as hashes. Control characters are
escaped by JSON itself, so that no value can begin a line of its own. What libraries and servers log, and what nobody
catches, is told by its kind and place alone: its words may be a visitor's.
"""

import logging
import sys
import threading
import traceback
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
    "message_not_delivered",
    "message_dead",
    "queue_unattended",
    "queue_unavailable",
    "schedule_not_kept",
    "library_logged",
    "crashed",
]

Severity: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

LONGEST_TEXT = 500


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool) else str(value)[:LONGEST_TEXT]


FIELDS: Mapping[str, Callable[[object], object]] = {
    "function": _plain,
    "topic": _plain,
    "queue": _plain,
    "type": _plain,
    "logger": _plain,
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

SERVERS = ("gunicorn.error", "uvicorn.error")
"""The loggers of servers, which have outputs of their own."""

_logger = logging.getLogger("segue")


def note(event: EventName, severity: Severity = "INFO", **fields: object) -> None:
    """Count an event, and log it with the given fields. Raises KeyError for one that is not in `FIELDS`."""
    NOTED.add(event)
    level = logging.getLevelName(severity)
    if _logger.isEnabledFor(level):
        shown = {name: FIELDS[name](value) for name, value in fields.items()}
        line = {"severity": severity, "event": event, **shown, **tracing.log_fields()}
        _logger.log(level, "%s", msgspec.json.encode(line).decode())


def where(error: BaseException) -> str:
    """The line that raised, without any value that was seen there; empty if nothing did."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 2)[-1]}:{frames[-1].lineno} {frames[-1].name}" if frames else ""


def start(level: Severity = "INFO") -> None:
    """Send log lines to the standard output, those of libraries too."""
    if not any(isinstance(handler, _Output) for handler in logging.root.handlers):
        logging.root.addHandler(_Output())
    _logger.setLevel(level)


def take_over(level: Severity = "INFO") -> None:
    """`start`, and let nothing else in this process say anything in another form: for a function in its own process, at
    its beginning and once its server has begun."""
    start(level)
    for name in SERVERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(_Lines())
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: _crashed(error)
    sys.unraisablehook = lambda raised: _crashed(raised.exc_value)
    threading.excepthook = lambda raised: _crashed(raised.exc_value)


class _Lines(logging.Formatter):
    """Our own lines as they are; of anything else who says it, and where."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _logger.name:
            return record.getMessage()
        NOTED.add("library_logged")
        error = record.exc_info[1] if record.exc_info else None
        line = {
            "severity": record.levelname,
            "event": "library_logged",
            "logger": record.name,
            "where": where(error) if error else f"{record.filename}:{record.lineno} {record.funcName}",
        }
        return msgspec.json.encode(line | ({"error": type(error).__name__} if error else {})).decode()


class _Output(logging.Handler):
    """The standard output, whatever it is by then."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_Lines())

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), flush=True)


def _crashed(error: BaseException | None) -> None:
    if error is not None:
        note("crashed", "ERROR", error=type(error).__name__, where=where(error))
