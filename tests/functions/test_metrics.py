"""What functions do is counted on their behalf, and written as Prometheus reads it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segue import metrics
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import ManualClock
from segue.domain.errors import Conflict, Unavailable
from segue.entrypoint import BESIDE, Observed, served
from segue.metrics import Counter, Histogram, OnBehalfOf
from segue.observed import ObservedBus, ObservedCatalog, ObservedStore
from segue.ports import ABSENT, Message, Write


def samples(*names: str) -> Mapping[tuple[str, ...], float]:
    """The values of metrics as Prometheus' own parser reads them, by name, function, and the other labels in order."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels, key=_function_first))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name in names
    }


def _function_first(label: str) -> str:
    return "" if label == "function" else label


def grown(before: Mapping[tuple[str, ...], float], *names: str) -> Mapping[tuple[str, ...], float]:
    """By how much they have grown since."""
    return {key: value - before.get(key, 0) for key, value in samples(*names).items() if value != before.get(key, 0)}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[EmbeddedPlatform]:
    platform = EmbeddedPlatform.open(tmp_path, ManualClock(), [Subscription(name="events-all", topic="events")])
    yield platform
    await platform.close()


def test_a_function_s_work_is_its_own_and_other_work_the_platform_s() -> None:
    counter = Counter("segue_tests_total", "Tests.", "kind")
    with OnBehalfOf("evaluate"):
        counter.add("quick")
        with OnBehalfOf("update"):
            counter.add("quick", by=2)
        counter.add("slow")
    counter.add("quick")
    assert [counter.total(function=name) for name in ("evaluate", "update", "platform")] == [2, 2, 1]
    assert counter.total(kind="quick") == 4


def test_a_value_is_in_the_bucket_of_its_bound_and_in_every_larger_one() -> None:
    histogram = Histogram("segue_test_seconds", "Tests.", (0.5, 1))
    for value in (0.2, 0.5, 0.7, 3):
        histogram.observe(value)
    shown = {(each.name, each.labels.get("le")): each.value for each in histogram.family().samples}
    assert shown == {
        ("segue_test_seconds_bucket", "0.5"): 2,
        ("segue_test_seconds_bucket", "1"): 3,
        ("segue_test_seconds_bucket", "+Inf"): 4,
        ("segue_test_seconds_count", None): 4,
        ("segue_test_seconds_sum", None): pytest.approx(4.4),
    }


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_named_as_prometheus_names_them(metric: metrics.Metric) -> None:
    endings = ("_total",) if isinstance(metric, Counter) else ("_seconds", "_bytes", "_events")
    assert metric.name.startswith("segue_")
    assert metric.name.endswith(endings)
    assert metric.meaning.endswith(".")


def test_no_two_metrics_share_a_name() -> None:
    assert len({metric.name for metric in metrics.METRICS}) == len(metrics.METRICS)


def test_the_process_is_measured_too() -> None:
    assert samples("process_cpu_seconds_total")["process_cpu_seconds_total",] > 0


async def test_operations_are_counted_as_firestore_bills_them(opened: EmbeddedPlatform) -> None:
    store, names = ObservedStore(opened.store), ("segue_store_operations_total", "segue_store_bytes_total")
    before = samples(*names)
    with OnBehalfOf("evaluate"):
        await store.get("counted/missing")
        await store.commit([Write(path=f"counted/{id_}", data=b"12345", due=1, shard=7) for id_ in "abc"])
        await store.get("counted/a")
        assert [await store.due("counted", 7, until, 10) for until in (0, 1)] == [[], ["a", "b", "c"]]
        assert [id_ async for id_, _ in store.scan("counted", "a")] == ["b", "c"]
        await store.commit([Write(path="counted/a", data=None)])
    operations, size = names
    assert grown(before, *names) == {
        (operations, "evaluate", "counted", "read"): 2 + (1 + 3) + (2 + 1),
        (operations, "evaluate", "counted", "write"): 3,
        (operations, "evaluate", "counted", "delete"): 1,
        (size, "evaluate", "counted", "read"): 5 + 2 * 5,
        (size, "evaluate", "counted", "write"): 3 * 5,
    }


async def test_a_call_that_fails_is_measured_with_its_outcome_and_bills_nothing(opened: EmbeddedPlatform) -> None:
    store, bus = ObservedStore(opened.store), ObservedBus(opened.bus)
    calls, operations, published = (
        "segue_port_seconds_count",
        "segue_store_operations_total",
        "segue_bus_messages_total",
    )
    before = samples(calls, operations, published)
    with OnBehalfOf("deliver"):
        await store.commit([Write(path="failing/a", data=b"1", expects=ABSENT)])
        with pytest.raises(Conflict):
            await store.commit([Write(path="failing/a", data=b"1", expects=ABSENT)])
        with pytest.raises(Unavailable):
            await bus.publish("nobody-hears", [message(b"")])
    assert grown(before, calls, operations, published) == {
        (calls, "deliver", "commit", "done", "store"): 1,
        (calls, "deliver", "commit", "conflict", "store"): 1,
        (calls, "deliver", "publish", "unavailable", "bus"): 1,
        (operations, "deliver", "failing", "write"): 1,
    }


@pytest.mark.parametrize(
    ("sizes", "billed", "pushed"),
    [((10,), 1_000, 1_000), ((10, 20), 1_000, 2_000), ((2_000,), 2_120, 2_120), ((900, 800), 1_940, 2_020)],
)
async def test_a_publish_is_billed_by_its_bytes_and_at_least_1000_and_so_is_each_push(
    sizes: Sequence[int], billed: int, pushed: int, opened: EmbeddedPlatform
) -> None:
    """Of a message's attributes 102 bytes are the same for all, here 18 are its own."""
    names = [f"segue_bus_{kind}_total" for kind in ("messages", "bytes", "billed_bytes", "pushed_bytes")]
    before = samples(*names)
    with OnBehalfOf("ingest"):
        await ObservedBus(opened.bus).publish("events", [message(bytes(size)) for size in sizes])
    counted = {name: value for (name, *_), value in grown(before, *names).items()}
    assert counted == dict(zip(names, (len(sizes), sum(sizes) + 120 * len(sizes), billed, pushed), strict=True))


async def test_the_bodies_of_a_request_and_its_answer_are_counted() -> None:
    counted = "segue_request_bytes_total"
    before = samples(counted)
    await posted("/", b"five!")
    assert grown(before, counted) == {(counted, "ingest", "received"): 5, (counted, "ingest", "answered"): 10}


async def test_whoever_asks_for_the_metrics_or_the_health_is_not_counted() -> None:
    counted = "segue_request_bytes_total", "segue_request_seconds_count"
    before = samples(*counted)
    for path in BESIDE:
        await posted(path, b"five!")
    assert grown(before, *counted) == {}


async def posted(path: str, body: bytes) -> None:
    """Post to an app that answers everything with twice as much."""

    async def twice(request: Request) -> Response:
        return Response(2 * await request.body())

    app = Starlette(routes=[Route("/{path:path}", twice, methods=["POST"])])
    transport = httpx.ASGITransport(Observed(app, "ingest"))
    async with httpx.AsyncClient(transport=transport, base_url="http://segue") as client:
        await client.post(path, content=body)


async def test_a_read_of_the_catalogue_is_a_call(opened: EmbeddedPlatform) -> None:
    calls = "segue_port_seconds_count"
    before = samples(calls)
    await ObservedCatalog(opened.catalog).current()
    assert grown(before, calls) == {(calls, "platform", "current", "done", "catalog"): 1}


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.0.0.7", {}, 404),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 404),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 404),
    ],
)
async def test_metrics_are_told_to_who_asks_on_this_machine_and_not_through_anybody(
    address: str, headers: Mapping[str, str], status: int
) -> None:
    app = Starlette(routes=[Route("/{path:path}", served(_no_function))])
    transport = httpx.ASGITransport(app, client=(address, 4_711))
    async with httpx.AsyncClient(transport=transport, base_url="http://function") as http:
        answer = await http.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("process_cpu_seconds_total" in answer.text) == (status == 200)


async def _no_function(_request: Request) -> Response:
    raise AssertionError("this is asked nothing")


def message(data: bytes) -> Message:
    return Message(id="message-1", type="test", source="tests", time=0, data=data)
