"""The newest traces of a platform on a laptop, in memory, of the spans that OTLP brings."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from hmac import compare_digest
from secrets import token_hex
from threading import Lock
from urllib.parse import quote

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from starlette.requests import Request
from starlette.responses import Response

from emulator.trace_tree import Span
from segue import entrypoint
from segue.domain.errors import Invalid, Unauthorized
from segue.tracing import hashed

MOST_TRACES, MOST_SPANS = 1_000, 1_000

AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "0"}
"""The environment of a process whose spans somebody waits for."""

LARGEST_BODY = 10_000_000

ERROR = trace_pb2.Status.STATUS_CODE_ERROR


class Traces:
    """The newest `most` traces, and of each the first `MOST_SPANS` spans, and as many calls again: these end last, and
    say what the trace is about. Any thread may call it."""

    environment = AT_ONCE

    def __init__(self, most: int = MOST_TRACES) -> None:
        self._most = most
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._lock = Lock()

    def take(self, body: bytes) -> None:
        """Keep the spans of an OTLP request. Raises Invalid for what is none."""
        with self._lock:
            for span in spans(body):
                kept = self._traces.setdefault(span.trace, [])
                if len(kept) < (MOST_SPANS if span.function is None else 2 * MOST_SPANS):
                    kept.append(span)
            while len(self._traces) > self._most:
                self._traces.popitem(last=False)

    def taken_at(self, url: str) -> "Intake":
        """Where other processes send their spans."""
        return Intake(self, url)

    def of(self, message_id: str) -> Sequence[Span]:
        """All spans of the newest trace that a message is in, an event's or one between functions, the earliest first;
        none if there is no such trace."""
        wanted = hashed(message_id)
        with self._lock:
            found = next((trace for trace in reversed(self._traces.values()) if _tells_of(trace, wanted)), [])
            return sorted(found, key=lambda span: span.start)


class Intake:
    """Where the functions' own processes send their spans, at `url`: nobody else knows its token."""

    def __init__(self, traces: Traces, url: str) -> None:
        self.traces = traces
        self._authorization = f"Bearer {token_hex()}"
        self.environment: Mapping[str, str] = {
            **AT_ONCE,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"authorization={quote(self._authorization)}",
        }

    async def take(self, request: Request) -> Response:
        """POST: spans, as OTLP has them."""
        if not compare_digest(request.headers.get("authorization", "").encode(), self._authorization.encode()):
            raise Unauthorized("expected the token of this run")
        self.traces.take(await entrypoint.capped_body(request, LARGEST_BODY))
        return Response()


def spans(body: bytes) -> Iterator[Span]:
    """The spans of an OTLP request. Raises Invalid for what is none."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except Exception as error:  # protobuf's own, for whatever it cannot read
        raise Invalid(f"expected spans, as OTLP has them: {error}") from None
    for process in request.resource_spans:
        service = _attributes(process.resource.attributes).get("service.name", "")
        for scope in process.scope_spans:
            for span in scope.spans:
                yield _span(span, str(service))


def _span(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == ERROR,
        attributes=_attributes(span.attributes),
    )


def _attributes(found: Sequence[object]) -> dict[str, object]:
    return {each.key: _value(each.value) for each in found}  # type: ignore[attr-defined]


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def _tells_of(trace: Sequence[Span], wanted: str) -> bool:
    return any(
        span.attributes.get("segue.message") == wanted or wanted in span.attributes.get("segue.events", ())  # type: ignore[operator]
        for span in trace
    )
