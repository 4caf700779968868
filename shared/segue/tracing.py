"""Traces: what one message leads to, through all functions.

Off unless the environment says where spans go, by OpenTelemetry's own OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
OTEL_EXPORTER_OTLP_ENDPOINT: then nothing of OpenTelemetry is imported, and a span costs a look at a variable. Its other
variables hold, too: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME (K_SERVICE without it),
OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS, and OTEL_BSP_SCHEDULE_DELAY, the ms that spans wait for others.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, TypeAlias

from segue.domain.errors import Invalid

if TYPE_CHECKING:
    from requests import Session

    from segue.spans import Recorder

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]

Send: TypeAlias = Callable[[bytes], None]
"""Takes spans, as the body of an OTLP request. It may block."""

LONGEST_TEXT = 200
MOST_HASHED = 100

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def hashed(value: object) -> str:
    """What stands for an identifier wherever an operator may look."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:12]


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool) else str(value)[:LONGEST_TEXT]


def _each_hashed(values: object) -> Sequence[str]:
    return [hashed(value) for value in values[:MOST_HASHED]] if isinstance(values, Sequence) else []


ATTRIBUTES: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "function": ("faas.name", _plain),
    "trigger": ("faas.trigger", _plain),
    "method": ("http.request.method", _plain),
    "route": ("http.route", _plain),
    "status": ("http.response.status_code", _plain),
    "topic": ("messaging.destination.name", _plain),
    "messages": ("messaging.batch.message_count", _plain),
    "type": ("cloudevents.event_type", _plain),
    "collections": ("db.collection.name", _plain),
    "error": ("error.type", _plain),
    "destination": ("segue.destination", _plain),
    "streams": ("segue.streams", _plain),
    "message": ("segue.message", hashed),
    "events": ("segue.events", _each_hashed),
}
"""Every attribute a span may carry: its name, OpenTelemetry's where there is one, and how its value is shown. No span
has a body, a value that a visitor sent, or an identifier but as a hash."""

_OFF: AbstractContextManager[None] = nullcontext()
_recorder: "Recorder | None" = None
_log_field, _log_prefix = "trace", ""


def traceparent(text: str) -> str:
    """The text if it is a `traceparent` of W3C's version 00, else nothing."""
    return text if len(text) == 55 and _TRACEPARENT.fullmatch(text) else ""


def span(name: str, kind: Kind = "internal", **attributes: object) -> AbstractContextManager[object]:
    """What happens inside, as a part of a call; outside of calls there are no spans. Attributes are those of
    `ATTRIBUTES`. Of an error that goes through it, its type is told."""
    return _recorder.span(name, kind, shown(attributes)) if _recorder and _recorder.is_recording() else _OFF


def aside(name: str, kind: Kind = "internal", **attributes: object) -> AbstractContextManager[object]:
    """The same, but nothing is a part of it: for a generator, in whose midst others go on with what they do."""
    return _recorder.aside(name, kind, shown(attributes)) if _recorder and _recorder.is_recording() else _OFF


def untraced(name: str, kind: Kind = "internal", **attributes: object) -> AbstractContextManager[object]:  # noqa: ARG001
    """No span: for what lasts as long as the process does."""
    return _OFF


def call(name: str, kind: Kind, parent: str = "", **attributes: object) -> AbstractContextManager[object]:
    """One call of a function: a part of the trace of `parent`, a `traceparent` from inside Segue, or the first of a
    trace. Once it has ended spans are handed on."""
    return _recorder.call(name, kind, parent, shown(attributes)) if _recorder else _OFF


def tell(name: str = "", error: BaseException | None = None, **attributes: object) -> None:
    """Say more of what is happening: a better name, what it failed with, further attributes."""
    if _recorder is not None and _recorder.is_recording():
        if error is not None:
            attributes["error"] = type(error).__name__
        _recorder.tell(name, shown(attributes), failed=error is not None)


def is_on() -> bool:
    """Whether spans go anywhere."""
    return _recorder is not None


def current() -> str:
    """The `traceparent` of what is happening, for what it leads to; empty if that is in no trace."""
    return "" if _recorder is None else _recorder.current()


def trace_id(traceparent: str) -> str:
    """Of a `traceparent` the part that all of a trace have in common."""
    return traceparent[3:35]


def log_fields() -> Mapping[str, str]:
    """What a log line says of the trace that it is in, by the name under which Cloud Logging looks for it."""
    trace = current()
    return {_log_field: _log_prefix + trace_id(trace)} if trace else {}


def shown(attributes: Mapping[str, object]) -> "dict[str, object]":
    """Attributes as spans have them. Raises KeyError for one that is not in `ATTRIBUTES`."""
    found = {}
    for name, value in attributes.items():
        known, show = ATTRIBUTES[name]
        found[known] = show(value)
    return found


def endpoint(environment: Mapping[str, str]) -> str:
    """Where spans go; empty: nowhere."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    return environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""


def start(environment: Mapping[str, str], *, session: "Session | None" = None, send: Send | None = None) -> None:
    """Trace from now on, if the environment says where to; once a process, after the server has forked.

    `session` carries the requests there, where that takes more than headers. With `send` spans go to it instead.
    Raises as `check` does.
    """
    global _recorder, _log_field, _log_prefix
    if _recorder is not None or not (send or endpoint(environment)):
        return
    check(environment)
    from segue.spans import Recorder

    _recorder = Recorder.started(environment, session, send)
    if "K_SERVICE" in environment:
        _log_field = "logging.googleapis.com/trace"
        _log_prefix = f"projects/{environment.get('SEGUE_PROJECT', '')}/traces/"


def stop() -> None:
    """Hand on what is left, and trace no more."""
    global _recorder, _log_field, _log_prefix
    if _recorder is not None:
        _recorder.stop()
    _recorder, _log_field, _log_prefix = None, "trace", ""


def check(environment: Mapping[str, str]) -> None:
    """Raises Invalid for a share of traces that is none: OpenTelemetry itself would take all of them instead."""
    share = environment.get("OTEL_TRACES_SAMPLER_ARG")
    if share and not re.fullmatch(r"[01](\.0*)?|0?\.[0-9]+", share):
        raise Invalid(f"expected a share from 0 to 1, found {share!r:.40}", path="OTEL_TRACES_SAMPLER_ARG")
