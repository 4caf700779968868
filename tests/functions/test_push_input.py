"""Whatever is pushed to an event function: what will never succeed is recorded and acknowledged, and the next works."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import NamedTuple

import pytest
import pytest_asyncio

from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIP_CHANGED, TICK, FailedMessage
from segue.failures import KEPT_IN_PART
from tests.functions.pushing import KEY, NOW, Pushing, changed, pushing, snapshot, unavailable

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = {
    "evaluate": EVENTS_RECEIVED,
    "update": MEMBERSHIP_CHANGED,
    "deliver": MEMBERSHIP_CHANGED,
    "tick": TICK,
}
HEADERS = {
    "ce-id": "bad",
    "ce-source": "//test",
    "ce-specversion": "1.0",
    "ce-time": "2024-05-10T12:00:00Z",
    "content-type": "application/json",
}


class Bad(NamedTuple):
    """A push that can never succeed: its body in pieces, what is wrong, and headers that differ (None: left out)."""

    name: str
    body: Callable[[], Iterable[bytes]]
    reason: str
    headers: Mapping[str, str | None] = {}


def whole(body: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: [body]


CASES = (
    Bad("empty", whole(b""), "expected JSON"),
    Bad("no JSON", whole(b"hello"), "expected JSON"),
    Bad("cut off", whole(b'{"key": "'), "expected JSON"),
    Bad("two documents", whole(b"{} {}"), ""),
    Bad("not UTF-8", whole(b'{"key": "\xff"}'), ""),
    Bad("UTF-16", whole('{"key": 1}'.encode("utf-16")), "expected JSON"),
    Bad("a byte order mark", whole(b"\xef\xbb\xbf{}"), "expected JSON"),
    Bad("NaN", whole(b'{"at": NaN}'), "expected JSON"),
    Bad("Infinity", whole(b'{"at": -Infinity}'), "expected JSON"),
    Bad("1e400", whole(b'{"at": 1e400}'), ""),
    Bad("an integer of 5,000 digits", whole(b'{"at": ' + b"9" * 5_000 + b"}"), ""),
    Bad("an integer of 65 bits", whole(b'{"at": 18446744073709551616}'), ""),
    Bad("a lone surrogate", whole(b'{"key": "\\ud800"}'), ""),
    Bad("an array", whole(b"[]"), "object"),
    Bad("null", whole(b"null"), "object"),
    Bad("text", whole(b'"text"'), "object"),
    Bad("wrong types", whole(b'{"key": 5, "at": "now", "clock": 1, "events": {}}'), "Expected"),
    Bad("arrays of depth 100,000", whole(b"[" * 100_000), ""),
    Bad("objects of depth 100,000", whole(b'{"key":' * 100_000), ""),
    Bad("unknown fields of depth 100,000", whole(b'{"other":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), ""),
    Bad("60 MB", lambda: (b" " * 1_000_000 for _ in range(60)), "at most 10000000 bytes"),
    Bad("no id", whole(b"{}"), "ce-id: is missing", {"ce-id": None}),
    Bad("an empty id", whole(b"{}"), "ce-id: is missing", {"ce-id": ""}),
    Bad("no type", whole(b"{}"), "ce-type: is missing", {"ce-type": None}),
    Bad("no source", whole(b"{}"), "ce-source: is missing", {"ce-source": None}),
    Bad("no version", whole(b"{}"), "ce-specversion: is missing", {"ce-specversion": None}),
    Bad("another version", whole(b"{}"), "CloudEvent", {"ce-specversion": "7.0"}),
    Bad("no time", whole(b"{}"), "ce-time: is missing", {"ce-time": None}),
    Bad("a time that is none", whole(b"{}"), "ce-time", {"ce-time": "2024-02-30T00:00:00Z"}),
    Bad("an unknown type", whole(b"{}"), "type", {"ce-type": "segue.unknown"}),
    Bad("a type that would begin a line", whole(b"{}"), "type", {"ce-type": "a%0d%0ab"}),
    Bad("no CloudEvent at all", whole(b"{}"), "ce-", dict.fromkeys([*HEADERS, "ce-type"])),
)

EVENT = b'{"message_id": "m", "name": "n", "occurred_at": 1, "received_at": 1, "properties": %s}'
RECEIVED = b'{"key": "%s", "profile": {"kind": "user_id", "value": "1"}, "source": "s", "events": [%s]}'

EVALUATE_CASES = (
    Bad("base64 of an envelope that is not unwrapped", whole(b'{"message": {"data": "e30="}}'), ""),
    Bad("bad base64 in such an envelope", whole(b'{"message": {"data": "!"}}'), ""),
    Bad("no message in such an envelope", whole(b'{"subscription": "projects/p/subscriptions/s"}'), ""),
    Bad("a key that is none", whole(RECEIVED % (b"../other", EVENT % b"{}")), "Expected"),
    Bad("a key twice", whole(RECEIVED % (KEY.encode(), EVENT % b'{"a": 1, "a": 2}')), "expected each key once"),
    Bad(
        "its own field twice", whole(RECEIVED[:-1] % (KEY.encode(), b"") + b', "events": []}'), "expected each key once"
    ),
    Bad("NaN in an event", whole(RECEIVED % (KEY.encode(), EVENT % b'{"a": NaN}')), "expected JSON"),
    Bad("65 bits in an event", whole(RECEIVED % (KEY.encode(), EVENT % b'{"a": 18446744073709551616}')), "64 bits"),
    Bad("an event without an id", whole(RECEIVED % (KEY.encode(), b'{"name": "n"}')), "message_id"),
    Bad("a body in base64", whole(b"eyJrZXkiOiAiMSJ9"), "expected JSON"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pushing]:
    """One instance for all cases: none may leave it worse than it was."""
    async with pushing(tmp_path_factory.mktemp("push")) as site:
        yield site


@pytest.mark.parametrize("function", TYPES)
@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
async def test_what_can_never_succeed_is_recorded_and_acknowledged(bad: Bad, function: str, site: Pushing) -> None:
    assert bad.reason in (await recorded(bad, function, site)).reason


@pytest.mark.parametrize("bad", EVALUATE_CASES, ids=lambda bad: bad.name)
async def test_events_that_can_never_be_folded_are_recorded_and_acknowledged(bad: Bad, site: Pushing) -> None:
    assert bad.reason in (await recorded(bad, "evaluate", site)).reason


async def recorded(bad: Bad, function: str, site: Pushing) -> FailedMessage:
    """What is recorded of it; nothing else is written or published, and the next message works."""
    before = {failed.id: failed for failed in await site.failed() if failed.stage == function}
    headers = {**HEADERS, "ce-type": TYPES[function], "ce-id": f"{function} {bad.name}", **bad.headers}

    async def body() -> AsyncIterator[bytes]:
        for piece in bad.body():
            yield piece

    site.broken.calls.clear()
    answer = await site.request(function, body(), {name: value for name, value in headers.items() if value is not None})
    assert answer.status_code == 204, answer.text
    assert [call.partition(" ")[0] for call in site.broken.calls] == ["commit"]
    await next_one_works(function, site)
    after = {failed.id: failed for failed in await site.failed() if failed.stage == function}
    new = [failed for id, failed in after.items() if id not in before or failed.failed_at != before[id].failed_at]
    (failed,) = new
    site.clock.advance(1)
    return failed


async def next_one_works(function: str, site: Pushing) -> None:
    good = {
        "evaluate": lambda: site.received(site.event("Page Viewed")),
        "update": lambda: snapshot(changed(1)),
        "deliver": lambda: snapshot(changed(1)),
        "tick": lambda: site.message(TICK, {"at": NOW}),
    }
    assert await site.push(function, good[function]()) == 204


async def test_a_record_is_made_once_however_often_the_message_comes(site: Pushing) -> None:
    before = len(await site.failed())
    for _ in range(3):
        await site.push("tick", site.message(TICK, b"no tick", id="once"))
    assert len(await site.failed()) == before + 1


async def test_a_record_that_cannot_be_made_is_not_acknowledged(site: Pushing) -> None:
    site.broken.breaks["commit"] = unavailable()
    assert await site.push("tick", site.message(TICK, b"no tick", id="kept")) == 503
    assert await site.push("tick", site.message(TICK, b"no tick", id="kept")) == 204
    assert "kept" in {failed.id for failed in await site.failed()}


async def test_a_record_holds_the_body_as_it_came(site: Pushing) -> None:
    await site.push("tick", site.message(TICK, b'{"at": "\xff\n"}', id="as it came"))
    (failed,) = [failed for failed in await site.failed() if failed.id == "as it came"]
    assert failed.data == '{"at": "\\xff\n"}'
    assert failed.failed_at == site.clock.now()


async def test_a_record_of_a_body_too_large_for_the_store_holds_its_beginning_and_says_so(site: Pushing) -> None:
    await site.push("tick", site.message(TICK, b"\x01" * 2_000_000, id="large"))
    (failed,) = [failed for failed in await site.failed() if failed.id == "large"]
    assert failed.data == "\x01" * KEPT_IN_PART
    assert "2000000" in failed.reason


async def test_a_bug_brings_the_message_back_and_is_logged_without_what_was_sent(
    site: Pushing, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(await site.failed())
    site.broken.breaks["get"] = [ValueError("what a visitor sent")]
    assert await site.push("update", snapshot(changed(1))) == 500
    assert len(await site.failed()) == before
    assert "ValueError" in caplog.text
    assert "what a visitor sent" not in caplog.text
    assert KEY not in caplog.text
