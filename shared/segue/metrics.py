"""Every metric of Segue, named once: counted in plain dictionaries, and written for Prometheus when somebody asks.

Names and units are Prometheus' own conventions: `_total` only grows, seconds and bytes are base units. Every metric
has the label `function`: on whose behalf it was counted, `platform` where that was none. Labels are our own words,
statuses and ids of the catalogue; nothing that a visitor sent is ever one.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

PLATFORM = "platform"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus' text format."""

_function: ContextVar[str] = ContextVar("function", default=PLATFORM)


class OnBehalfOf:
    """What is counted inside, and in tasks that begin there, is counted as this function's."""

    __slots__ = ("_before", "_name")

    def __init__(self, function: str) -> None:
        self._name = function

    def __enter__(self) -> None:
        self._before = _function.set(self._name)

    def __exit__(self, *_: object) -> None:
        _function.reset(self._before)


class Counter:
    """How often something happened, by its labels."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = ("function", *labels)
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count it on behalf of the current function; the labels are in the metric's order."""
        key = (_function.get(), *labels)
        self._values[key] = self._values.get(key, 0) + by

    def total(self, **labels: str) -> float:
        """How often it happened with these labels, whatever the others."""
        wanted = {self.labels.index(name): value for name, value in labels.items()}
        return sum(count for key, count in self._values.items() if all(key[at] == wanted[at] for at in wanted))

    def family(self) -> "Family":
        """As Prometheus' library has it."""
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, count in sorted(self._values.items()):
            family.add_metric(labels, count)
        return family


class _Seen:
    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0


class Histogram:
    """How large something was, in buckets: of each bound, how many were no larger."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float], *labels: str) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = ("function", *labels)
        self._bounds = bounds
        self._seen: dict[tuple[str, ...], _Seen] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count a value on behalf of the current function; the labels are in the metric's order."""
        key = (_function.get(), *labels)
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen(len(self._bounds) + 1)
        seen.counts[bisect_left(self._bounds, value)] += 1
        seen.sum += value

    def family(self) -> "Family":
        """As Prometheus' library has it."""
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, seen in sorted(self._seen.items()):
            family.add_metric(labels, list(self._cumulated(seen)), seen.sum)
        return family

    def _cumulated(self, seen: _Seen) -> Iterator[tuple[str, float]]:
        so_far = 0
        for bound, count in zip([*(f"{bound:g}" for bound in self._bounds), "+Inf"], seen.counts, strict=True):
            so_far += count
            yield bound, so_far


Metric: TypeAlias = Counter | Histogram

METRICS: list[Metric] = []
"""All of them, in the order in which they are shown."""


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    metric = Counter(name, meaning, *labels)
    METRICS.append(metric)
    return metric


def _histogram(name: str, meaning: str, bounds: Sequence[float], *labels: str) -> Histogram:
    metric = Histogram(name, meaning, bounds, *labels)
    METRICS.append(metric)
    return metric


_CALLS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_HOPS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_500)

REQUEST_SECONDS = _histogram(
    "segue_request_seconds", "From a request until its answer begins, by the answer's status.", _CALLS_S, "status"
)
REQUEST_BYTES = _counter("segue_request_bytes_total", "Bytes of bodies: received, and answered.", "direction")
MESSAGE_SECONDS = _histogram(
    "segue_message_seconds",
    "Work on a pushed message, by what came of it: acknowledged, recorded (in failed_events), returned or refused.",
    _CALLS_S,
    "outcome",
)
HOP_SECONDS = _histogram(
    "segue_hop_seconds",
    "From the publishing of a message until a function is done with it, further attempts included.",
    _HOPS_S,
)
FOLDING_SECONDS = _histogram(
    "segue_folding_seconds",
    "From when events were received until they are folded and what came of that is announced.",
    _HOPS_S,
)
REQUEST_EVENTS = _histogram("segue_request_events", "Events of a request.", _EVENTS)
MESSAGE_EVENTS = _histogram("segue_message_events", "Events of a message that is folded.", _EVENTS)
EVENTS = _counter(
    "segue_events_total",
    "What became of events: accepted, refused, withheld or bot at ingest; folded, duplicate or late at evaluate.",
    "outcome",
)
NOTED = _counter("segue_noted_total", "Named events of the log, whether they were written to it or not.", "event")
PORT_SECONDS = _histogram(
    "segue_port_seconds",
    "Calls of the store, bus, archive, catalog, http and objects, by what came of them.",
    _CALLS_S,
    "port",
    "operation",
    "outcome",
)
STORE_OPERATIONS = _counter(
    "segue_store_operations_total",
    "Documents read, written and deleted, as Firestore bills them: a query reads at least one.",
    "collection",
    "operation",
)
STORE_BYTES = _counter(
    "segue_store_bytes_total", "Bytes of the documents that were read and written.", "collection", "operation"
)
BUS_MESSAGES = _counter("segue_bus_messages_total", "Messages published.", "topic")
BUS_BYTES = _counter("segue_bus_bytes_total", "Bytes of the messages published, attributes included.", "topic")
BUS_BILLED_BYTES = _counter(
    "segue_bus_billed_bytes_total", "The same as Pub/Sub bills them: at least 1,000 a request.", "topic"
)
BUS_PUSHED_BYTES = _counter(
    "segue_bus_pushed_bytes_total",
    "The same as Pub/Sub bills pushing them to one subscriber, each once: at least 1,000 a message.",
    "topic",
)


class _Tables:
    """What Prometheus' library collects."""

    def collect(self) -> Iterator["Family"]:
        return (metric.family() for metric in METRICS)


def text() -> bytes:
    """All metrics, and those of the process, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import generate_latest

    registry = CollectorRegistry()
    registry.register(_Tables())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
