"""What a laptop keeps of traces is bounded, comes from its own functions alone, and reads as a tree."""

import msgspec
import pytest
from starlette.requests import Request

from emulator.trace_tree import Span, tree
from emulator.traces import MOST_SPANS, Traces
from segue import tracing
from segue.domain.errors import Invalid, Unauthorized

MS = 1_000_000


def span(
    name: str, start: int, end: int, id: str, parent: str = "", failed: bool = False, **attributes: object
) -> Span:
    told = {key.replace("__", "."): value for key, value in attributes.items()}
    return Span(
        trace="t",
        id=id,
        parent=parent,
        service="segue",
        name=name,
        kind="internal",
        start=start * MS,
        end=end * MS,
        failed=failed,
        attributes=told,
    )


def test_a_trace_reads_as_a_tree_of_what_led_to_what() -> None:
    spans = [
        span("update", 30, 40, "e", "c", faas__name="update", cloudevents__event_type="segue.membership.changed"),
        span("store commit", 31, 39, "f", "e", failed=True, db__collection__name="profiles", error__type="Conflict"),
        span("POST /v1/track", 0, 9, "a", faas__name="ingest", http__response__status_code=200),
        span("bus publish", 2, 8, "b", "a", messaging__destination__name="events"),
        span("stream", 35, 35, "g", "lost", faas__name="stream", segue__streams=2),
        span("evaluate", 20, 28, "c", "b", faas__name="evaluate", cloudevents__event_type="segue.events.received"),
    ]
    assert list(tree(spans)) == [
        "trace t: 4 calls, 6 spans, 40.0 ms",
        "    begins      takes",
        "    0.0 ms     9.0 ms  ├─ ingest: POST /v1/track 200",
        "    2.0 ms     6.0 ms  │  └─ bus publish events",
        "   20.0 ms     8.0 ms  │     └─ evaluate: segue.events.received",
        "   30.0 ms    10.0 ms  │        └─ update: segue.membership.changed",
        "   31.0 ms     8.0 ms  │           └─ store commit profiles (Conflict)",
        "   35.0 ms     0.0 ms  └─ stream: to 2 open pages",
    ]


def recorded(names: list[str], calls: int = 1) -> list[bytes]:
    """Bodies of OTLP requests: as many calls, each a trace with these spans, and of the message by its number."""
    bodies: list[bytes] = []
    tracing.start({}, send=bodies.append)
    for number in range(calls):
        with tracing.call("call", "server", function="ingest", message=str(number)):
            for name in names:
                with tracing.span(name):
                    pass
    tracing.stop()
    return bodies


def test_the_newest_traces_are_kept() -> None:
    traces = Traces(most=2)
    for body in recorded([], calls=3):
        traces.take(body)
    assert [len(traces.of(str(number))) for number in range(4)] == [0, 1, 1, 0]


def test_a_trace_is_kept_up_to_so_many_spans_and_what_it_is_about_with_them() -> None:
    traces = Traces()
    for body in recorded(["more"] * (MOST_SPANS + 1)):
        traces.take(body)
    assert len(traces.of("0")) == MOST_SPANS + 1


def test_what_is_no_otlp_is_refused() -> None:
    with pytest.raises(Invalid, match="OTLP"):
        Traces().take(b"\xff\xffnothing of it")


async def test_spans_are_taken_from_those_who_know_the_token_alone() -> None:
    traces = Traces()
    intake = traces.taken_at("http://127.0.0.1:1/_segue/spans")
    (body,) = recorded([])
    right = intake.environment["OTEL_EXPORTER_OTLP_TRACES_HEADERS"].partition("=")[2].replace("%20", " ")

    async def taken(authorization: str) -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"authorization", authorization.encode())]
        await intake.take(Request({"type": "http", "method": "POST", "headers": headers}, receive))

    for wrong in ("", "Bearer ", "Bearer x", right[:-1], "Basic ZGVtby1zZWNyZXQta2V5Og=="):
        with pytest.raises(Unauthorized):
            await taken(wrong)
    assert traces.of("0") == []
    await taken(right)
    assert [found.name for found in traces.of("0")] == ["call"]


def test_what_json_shows_is_what_a_client_reads() -> None:
    traces = Traces()
    for body in recorded(["part"]):
        traces.take(body)
    spans = traces.of("0")
    assert msgspec.json.decode(msgspec.json.encode(spans), type=list[Span]) == spans
