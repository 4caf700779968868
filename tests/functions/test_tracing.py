"""A trace follows a message through all functions, is nobody's from outside, and costs nothing where it is off."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from emulator.functions import apps
from emulator.trace_tree import Span
from emulator.traces import spans
from segue import entrypoint, tracing
from segue.domain.errors import Invalid, Unauthorized
from segue.domain.message import MEMBERSHIPS
from segue.observed import observed
from segue.spans import BATCH, MOST_WAITING, Spool
from tests.functions.pushing import KEY, pushing, unavailable

OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

HEADERS = {
    "ce-id": "m1",
    "ce-type": "segue.test",
    "ce-source": "//segue/tests",
    "ce-specversion": "1.0",
    "ce-time": "2023-11-14T22:13:20.123Z",
    "content-type": "application/json",
}


class Sent:
    """What was handed on."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def all(self) -> list[Span]:
        """Everything, once tracing has stopped."""
        tracing.stop()
        return [span for body in self.bodies for span in spans(body)]

    @property
    def spans(self) -> dict[str, Span]:
        """The same by their names."""
        return {span.name: span for span in self.all}


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    """No test leaves it on."""
    yield
    tracing.stop()


@pytest.fixture
def sent() -> Sent:
    """Tracing is on, and all of it goes here."""
    sent = Sent()
    tracing.start({}, send=sent.bodies.append)
    return sent


def is_chosen(traceparent: str) -> bool:
    return bool(int(traceparent[-2:], 16) & 1)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        PARENT[:-1],
        PARENT + "0",
        PARENT.upper(),
        PARENT.replace("00-", "01-", 1),
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
        PARENT.replace("-", "_"),
        PARENT.replace("4", "g"),
        PARENT[:-1] + "٣",
    ],
)
def test_a_broken_traceparent_is_none(broken: str) -> None:
    assert entrypoint.cloud_event({**HEADERS, "ce-traceparent": broken}, b"{}").trace == ""


def test_a_message_is_in_the_trace_that_it_says() -> None:
    assert entrypoint.cloud_event({**HEADERS, "ce-traceparent": PARENT}, b"{}").trace == PARENT


def test_a_server_between_functions_does_not_say_where_a_message_belongs() -> None:
    assert entrypoint.cloud_event({**HEADERS, "traceparent": PARENT, "tracestate": "a=b"}, b"{}").trace == ""


def test_where_nothing_is_configured_nothing_of_opentelemetry_is_imported() -> None:
    program = """
import os, sys
from segue import tracing
import functions.evaluate.main, functions.ingest.main
tracing.start(os.environ)
with tracing.call("one", "server"), tracing.span("two", topic="events"):
    tracing.tell(error=ValueError())
assert tracing.current() == "" and not tracing.is_on() and tracing.log_fields() == {}
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    disabled = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    environment = {**os.environ, "SEGUE_PROFILE_SECRET": "a secret of the tests", **disabled}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_what_happens_in_a_call_is_a_part_of_it_and_the_call_a_part_of_the_trace_that_led_to_it(sent: Sent) -> None:
    with tracing.call("process events", "consumer", PARENT, function="evaluate"), tracing.span("store get"):
        pass
    call, get = sent.spans["process events"], sent.spans["store get"]
    assert (call.trace, call.parent) == (PARENT[3:35], PARENT[36:52])
    assert (get.trace, get.parent) == (call.trace, call.id)
    assert (call.kind, call.attributes) == ("consumer", {"faas.name": "evaluate"})


def test_a_call_that_nothing_inside_led_to_is_the_first_of_its_trace(sent: Sent) -> None:
    with tracing.call("one", "server"), tracing.call("another", "server"):
        pass
    one, another = sent.spans["one"], sent.spans["another"]
    assert (one.parent, another.parent) == ("", "")
    assert one.trace != another.trace


def test_what_was_not_chosen_to_be_traced_stays_out_of_it_everywhere(sent: Sent) -> None:
    with tracing.call("process events", "consumer", PARENT[:-2] + "00"):
        assert tracing.current().startswith(PARENT[:35])
        assert not is_chosen(tracing.current())
    assert sent.spans == {}


def test_of_no_traces_none_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    sent = Sent()
    tracing.start({}, send=sent.bodies.append)
    with tracing.call("ingest", "server"), tracing.span("publish"):
        assert tracing.traceparent(tracing.current())
        assert not is_chosen(tracing.current())
    assert sent.spans == {}


@pytest.mark.parametrize("share", ["1.5", "-1", "half", "1e-3", "nan", "10%"])
def test_a_share_that_is_none_is_refused_by_name(share: str) -> None:
    with pytest.raises(Invalid, match="OTEL_TRACES_SAMPLER_ARG"):
        tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER_ARG": share})
    assert not tracing.is_on()


def test_of_an_error_its_type_is_told_and_nothing_that_it_says(sent: Sent) -> None:
    with pytest.raises(Invalid), tracing.call("call", "server"):
        raise Invalid("found 'mia@example.com'")
    assert sent.spans["call"].failed
    assert sent.spans["call"].attributes == {"error.type": "Invalid"}
    assert b"mia@example.com" not in b"".join(sent.bodies)


def test_identifiers_are_told_as_hashes_and_an_attribute_that_nobody_allowed_not_at_all(sent: Sent) -> None:
    with tracing.call("call", "server", message="m-1", events=["e-1", "e-2"]), pytest.raises(KeyError):
        tracing.tell(email="mia@example.com")
    assert sent.spans["call"].attributes == {
        "segue.message": tracing.hashed("m-1"),
        "segue.events": [tracing.hashed("e-1"), tracing.hashed("e-2")],
    }


@pytest.mark.usefixtures("sent")
async def test_what_a_dead_instance_left_is_announced_in_the_trace_that_led_to_it(tmp_path: Path) -> None:
    async with pushing(tmp_path) as site:
        site.broken.breaks["publish"] = unavailable()
        viewed, bought = (site.received(site.event(name)) for name in ("Product Viewed", "Order Completed"))
        assert await site.push("evaluate", msgspec.structs.replace(viewed, trace=PARENT)) == 503
        site.restart()
        assert await site.push("evaluate", msgspec.structs.replace(bought, trace=OTHER)) == 204
        left, own = await site.published(MEMBERSHIPS)
    assert [tracing.trace_id(each.trace) for each in (left, own)] == [PARENT[3:35], OTHER[3:35]]
    assert "trace" not in msgspec.json.decode(left.data)


async def test_where_it_is_off_no_state_tells_of_traces(tmp_path: Path) -> None:
    async with pushing(tmp_path) as site:
        await site.push("evaluate", msgspec.structs.replace(site.received(site.event("Product Viewed")), trace=PARENT))
        stored = await site.embedded.store.get(f"states/{KEY}")
        (announced,) = await site.published(MEMBERSHIPS)
    assert stored
    assert b"trace" not in stored.data
    assert announced.trace == ""


async def test_a_message_is_a_part_of_what_published_it_unless_it_is_in_another_trace(
    tmp_path: Path, sent: Sent
) -> None:
    async with pushing(tmp_path) as site:
        bus = observed(site.ports).bus
        with tracing.call("evaluate", "consumer", PARENT):
            own, elsewhere = (site.message("segue.test", b"{}", id=name) for name in ("own", "elsewhere"))
            await bus.publish("events", [own, msgspec.structs.replace(elsewhere, trace=OTHER)])
            await bus.publish("ticks", [own] * 101)
        first, second = await site.published("events")
        of_many = await site.published("ticks")
    assert second.trace == OTHER
    (published,) = [span for span in sent.all if span.attributes.get("messaging.destination.name") == "events"]
    assert first.trace[3:52] == f"{PARENT[3:35]}-{published.id}"
    assert [bool(each.trace) for each in of_many] == [True] * 100 + [False]


async def test_a_push_that_does_not_prove_where_it_comes_from_is_no_span(tmp_path: Path, sent: Sent) -> None:
    async def nobody(_authorization: str | None) -> None:
        raise Unauthorized("expected a token")

    async with pushing(tmp_path) as site:
        site.restart(identity=nobody)
        forged = msgspec.structs.replace(site.received(site.event("Product Viewed")), trace=PARENT)
        assert await site.push("evaluate", forged) == 403
    assert sent.spans == {}


async def test_a_stranger_neither_chooses_a_trace_nor_that_it_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = {
        "traceparent": PARENT,
        "ce-traceparent": PARENT,
        "tracestate": "a=b",
        "x-cloud-trace-context": f"{PARENT[3:35]}/1;o=1",
    }
    with_all, with_none = Sent(), Sent()
    async with pushing(tmp_path) as site:
        tracing.start({}, send=with_all.bodies.append)
        await site.request("ingest", b"{}", forged)
        found = with_all.spans
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        tracing.start({}, send=with_none.bodies.append)
        await site.request("ingest", b"{}", forged)
    assert [span.parent for span in found.values()] == [""]
    assert PARENT[3:35] not in {span.trace for span in found.values()}
    assert with_none.spans == {}


@pytest.mark.parametrize(
    ("method", "address", "name"),
    [
        ("GET", "/v1/profiles/user_id:mia@example.com/segments?at=1", "GET /v1/profiles/{profile:path}/segments"),
        ("DELETE", "/v1/profiles/user_id:mia@example.com", "DELETE /v1/profiles/{profile:path}"),
        ("GET", "/v1/mia@example.com", "GET"),
        ("PUT", "/v1/decide", "PUT /v1/decide"),
    ],
)
async def test_of_an_address_its_pattern_is_told(
    tmp_path: Path, sent: Sent, method: str, address: str, name: str
) -> None:
    async with pushing(tmp_path):
        transport = httpx.ASGITransport(apps()["lookup"])
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as browser:
            answer = await browser.request(method, address)
    (call,) = (span for span in sent.all if span.kind == "server")
    assert (call.name, call.attributes["http.response.status_code"]) == (name, answer.status_code)
    assert b"mia" not in b"".join(sent.bodies).lower()


def test_a_receiver_that_takes_nothing_holds_nobody_up_and_is_asked_once_in_the_end() -> None:
    asked = 0

    def hand(_spans: Sequence[object]) -> bool:
        nonlocal asked
        asked += 1
        return False

    spool = Spool(hand, delay_ms=60_000)
    call = ReadableSpan("call")
    for _ in range(3 * BATCH):
        spool.add(call)
    spool.empty()
    spool.add(call)
    spool.hand_on()
    assert asked == 1


def test_of_too_many_spans_the_newest_are_kept() -> None:
    handed: list[ReadableSpan] = []

    def hand(spans: Sequence[ReadableSpan]) -> bool:
        handed.extend(spans)
        return True

    spool = Spool(hand, delay_ms=60_000)
    oldest, newest = ReadableSpan("oldest"), ReadableSpan("newest")
    for span in [oldest, *[newest] * MOST_WAITING]:
        spool.add(span)
    spool.empty()
    assert handed == [newest] * MOST_WAITING


def test_spans_are_handed_on_by_themselves_once_they_have_waited(sent: Sent) -> None:
    tracing.stop()
    tracing.start({"OTEL_BSP_SCHEDULE_DELAY": "0"}, send=sent.bodies.append)
    with tracing.call("call", "server"):
        pass
    assert [*sent.spans] == ["call"]
