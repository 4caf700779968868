"""How spans are recorded and handed on: the one place that knows OpenTelemetry. `tracing` imports it once it is on.

An instance of Cloud Run has a processor for as long as it has requests. So spans leave when a call ends, in a thread,
and nobody waits for them; on SIGTERM what is left leaves before the process goes on to end.
"""

import atexit
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
    use_span,
)

if TYPE_CHECKING:
    from requests import Session

Hand: TypeAlias = Callable[[Sequence[ReadableSpan]], bool]
"""Hands spans on; whether they were taken. It may block."""

DELAY_MS = 1_000
BATCH, MOST_WAITING = 512, 4_096

EXPORTED_WITHIN_S = 2.0
"""Of the ten seconds that Cloud Run leaves from SIGTERM on, of which servers take eight."""

_ROOT = Context()
_KINDS = {kind.name.lower(): kind for kind in SpanKind}


class Recorder:
    """Records what `tracing` is told of."""

    def __init__(self, tracer: Tracer, spool: "Spool") -> None:
        self._tracer = tracer
        self._spool = spool

    @classmethod
    def started(
        cls, environment: Mapping[str, str], session: "Session | None", send: Callable[[bytes], None] | None
    ) -> "Recorder":
        """The recorder of this process; the parameters are those of `tracing.start`."""
        spool = Spool(
            _in_process(send) if send else _over_http(environment, session),
            int(environment.get("OTEL_BSP_SCHEDULE_DELAY") or DELAY_MS),
        )
        name = environment.get("OTEL_SERVICE_NAME") or environment.get("K_SERVICE") or "segue"
        provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
        provider.add_span_processor(_Ended(spool))
        atexit.register(spool.empty)
        if send is None:
            _before_sigterm(spool.empty)
        return cls(provider.get_tracer("segue"), spool)

    def stop(self) -> None:
        atexit.unregister(self._spool.empty)
        self._spool.empty()

    @contextmanager
    def span(
        self, name: str, kind: str, attributes: Mapping[str, Any], context: Context | None = None
    ) -> Iterator[None]:
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                _fail(span, error)
                raise

    @contextmanager
    def aside(self, name: str, kind: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        span = self._tracer.start_span(name, None, _KINDS[kind], attributes)
        try:
            yield
        except Exception as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    @contextmanager
    def call(self, name: str, kind: str, parent: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        try:
            with self.span(name, kind, attributes, _continued(parent) if parent else _ROOT):
                yield
        finally:
            self._spool.hand_on()

    def is_recording(self) -> bool:
        """Whether this is inside of a call that was chosen to be traced."""
        return get_current_span().is_recording()

    def tell(self, name: str, attributes: Mapping[str, Any], *, failed: bool) -> None:
        span = get_current_span()
        if name:
            span.update_name(name)
        span.set_attributes(attributes)
        if failed:
            span.set_status(Status(StatusCode.ERROR))

    def current(self) -> str:
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def _continued(traceparent: str) -> Context:
    _, trace_id, span_id, flags = traceparent.split("-")
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(context), _ROOT)


class _Ended(SpanProcessor):
    """Puts spans that have ended into the spool."""

    def __init__(self, spool: "Spool") -> None:
        self._spool = spool

    def on_end(self, span: ReadableSpan) -> None:
        self._spool.add(span)


class Spool:
    """Spans that have ended, until they are handed on; of too many the newest."""

    def __init__(self, hand: Hand, delay_ms: int) -> None:
        self._hand = hand
        self._delay_s = delay_ms / 1_000
        self._waiting: deque[ReadableSpan] = deque(maxlen=MOST_WAITING)
        self._oldest = math.inf
        self._thread = ThreadPoolExecutor(1, "spans")
        self._asked = False
        self._ends = False
        self._handing = threading.RLock()

    def add(self, span: ReadableSpan) -> None:
        """Keep a span."""
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(span)

    def hand_on(self) -> None:
        """Have what waits handed on by the thread, if it is much or has waited for long enough; in the end, do it."""
        if self._ends:
            self.empty()
        elif not self._asked and self._is_due():
            self._asked = True
            self._thread.submit(self._hand_due)

    def empty(self) -> None:
        """Hand on everything, and from now on whatever comes as soon as a call ends. If it is not taken, it is lost,
        and so is what comes: the process ends, and has no time to try again."""
        self._ends = True
        with self._handing:
            while self._waiting:
                if not self._hand_batch():
                    self._waiting = deque(maxlen=0)

    def _hand_due(self) -> None:
        self._asked = False
        with self._handing:
            while self._is_due():
                self._hand_batch()

    def _is_due(self) -> bool:
        if len(self._waiting) >= BATCH:
            return True
        return bool(self._waiting) and time.monotonic() - self._oldest >= self._delay_s

    def _hand_batch(self) -> bool:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._oldest = time.monotonic()
        return self._hand(batch)


def _over_http(environment: Mapping[str, str], session: "Session | None") -> Hand:
    timeout = float(environment.get("OTEL_EXPORTER_OTLP_TIMEOUT") or EXPORTED_WITHIN_S)
    exporter = OTLPSpanExporter(session=session, timeout=timeout)

    def hand(spans: Sequence[ReadableSpan]) -> bool:
        return exporter.export(spans) is SpanExportResult.SUCCESS

    return hand


def _in_process(send: Callable[[bytes], None]) -> Hand:
    def hand(spans: Sequence[ReadableSpan]) -> bool:
        send(encode_spans(spans).SerializeToString())
        return True

    return hand


def _before_sigterm(last: Callable[[], None]) -> None:
    """Do that first whenever the process is told to end, then what it does by itself: the server's handler if it has
    one. Nothing else is sure to run, for servers end by the same signal once they have finished."""
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
        last()
        if before is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    with suppress(ValueError):  # only the main thread may say what a signal does
        signal.signal(signal.SIGTERM, end)
