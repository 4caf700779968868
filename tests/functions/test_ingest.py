"""Ingest: what it answers, what it publishes, who may send from where, and how often."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from functions.ingest.messages import LARGEST_MESSAGE
from segue.domain.event import Event
from segue.domain.message import (
    EVENTS_RECEIVED,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    EventsReceived,
    EventsRefused,
    LinkRequested,
    LinkWithdrawn,
    RefusedEvent,
)
from segue.domain.profile import ProfileRef
from segue.domain.time import HOUR
from segue.metrics import NOTED
from segue.ports import Message
from tests.functions.bad_input import ALLOWED_ORIGIN, CASES, SECRET_KEY, WRITE_KEY
from tests.functions.ingesting import NOW, Ingest, ingesting

SUCCESS = {"success": True}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def track(**changes: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "messageId": "m-1"} | changes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instance(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingest]:
    async with ingesting(tmp_path_factory.mktemp("ingest")) as ingest:
        yield ingest


@pytest_asyncio.fixture(loop_scope="module")
async def running(instance: Ingest) -> Ingest:
    """An instance of which nothing that was published before is seen."""
    await instance.messages()
    return instance


async def test_an_accepted_call_is_published_once_and_answered_with_success(running: Ingest) -> None:
    answer = await running.post("/v1/track", track(timestamp="2024-05-10T11:00:00Z", properties={"price": 12.5}))
    assert (answer.status_code, answer.json()) == (200, SUCCESS)
    (message,) = await running.messages()
    assert (message.type, message.time) == (EVENTS_RECEIVED, NOW)
    received = msgspec.json.decode(message.data, type=EventsReceived)
    assert (received.profile, received.source, received.imported) == (ProfileRef("anonymous_id", "a-1"), "shop", False)
    assert received.events == (
        Event(
            message_id="m-1",
            anonymous_id="a-1",
            name="Product Viewed",
            occurred_at=NOW - HOUR,
            received_at=NOW,
            properties={"price": 12.5},
            timestamp="2024-05-10T11:00:00Z",
        ),
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("/v1/track", "Bought"), ("/v1/page", "Page Viewed"), ("/v1/screen", "Screen Viewed")),
        *(("/v1/identify", "Identified"), ("/v1/group", "Grouped"), ("/v1/alias", "Aliased")),
    ],
)
async def test_the_address_says_what_a_call_is_whatever_the_call_says(running: Ingest, path: str, name: str) -> None:
    await running.post(path, track(type="other", event="Bought", groupId="g", previousId="p"))
    ((event,),) = [received.events for received in await running.published()]
    assert event.name == name


@pytest.mark.parametrize(
    ("letter", "name"),
    [
        *(("t", "Bought"), ("p", "Page Viewed"), ("s", "Screen Viewed")),
        *(("i", "Identified"), ("g", "Grouped"), ("a", "Aliased")),
    ],
)
async def test_one_letter_is_as_good_as_the_name_of_a_call(running: Ingest, letter: str, name: str) -> None:
    body = track(event="Bought", groupId="g", previousId="p")
    assert (await running.post(f"/v1/{letter}", body)).json() == SUCCESS
    assert (await running.post("/v1/b", {"batch": [body]})).json() == SUCCESS
    of_letter, of_batch = await running.published()
    assert [received.events[0].name for received in (of_letter, of_batch)] == [name, "Bought"]


async def test_a_beacon_has_its_key_in_the_address_and_may_bring_cookies(running: Ingest) -> None:
    headers = {"origin": ALLOWED_ORIGIN, "cookie": "a=b", "content-type": "text/plain;charset=UTF-8"}
    path = f"/beacon/v1/batch?writeKey={WRITE_KEY}"
    answer = await running.post(path, {"batch": [track()]}, key=None, **headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ALLOWED_ORIGIN)
    assert "access-control-allow-credentials" not in answer.headers
    assert len(await running.messages()) == 1
    assert (await running.post("/beacon/v1/batch", {"batch": [track()]})).status_code == 401


@pytest.mark.parametrize("path", ["/v1/m", "/rsaMetrics"])
async def test_what_sdks_measure_of_themselves_is_counted_and_dropped(running: Ingest, path: str) -> None:
    before = NOTED.total(event="sdk_metrics_dropped")
    assert (await running.post(path, {"series": [{"type": "Counter"}]}, key=None)).json() == SUCCESS
    assert (NOTED.total(event="sdk_metrics_dropped"), await running.messages()) == (before + 1, [])


@pytest.mark.parametrize(("headers", "scheme"), [({}, "http"), ({"x-forwarded-proto": "https"}, "https")])
async def test_the_settings_send_analytics_js_back_to_the_address_that_it_asked(
    running: Ingest, headers: dict[str, str], scheme: str
) -> None:
    headers |= {"host": "segue.example.com:8443", "origin": ALLOWED_ORIGIN}
    answer = await running.http.get(f"/v1/projects/{WRITE_KEY}/settings", headers=headers)
    to_us = answer.json()["integrations"]["Segment.io"]
    assert (to_us["apiKey"], to_us["apiHost"], to_us["protocol"]) == (WRITE_KEY, "segue.example.com:8443/v1", scheme)
    assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
    assert (await running.http.get("/v1/projects/wrong/settings")).status_code == 404


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
async def test_the_source_of_rudderstacks_sdks_is_in_use_and_sends_to_nobody_else(running: Ingest, path: str) -> None:
    by_name, by_address = (
        await running.http.get(path, auth=(WRITE_KEY, "")),
        await running.http.get(path, params={"writeKey": WRITE_KEY, "p": "npm"}),
    )
    assert by_name.json() == by_address.json()
    source = by_name.json()["source"]
    assert (source["id"], source["writeKey"], source["enabled"], source["destinations"]) == (
        "shop",
        WRITE_KEY,
        True,
        [],
    )
    assert (await running.http.get(path)).status_code == 401


@pytest.mark.parametrize("path", ["/v1/track/", "/v1/m/", "/segue.js/", "/sourceConfig//"])
async def test_an_address_with_a_slash_too_many_is_none_and_leads_nowhere(running: Ingest, path: str) -> None:
    for answer in (await running.http.get(path), await running.http.post(path, content=b"{}")):
        assert answer.status_code == 404
        assert "location" not in answer.headers


async def test_the_events_of_a_request_are_one_message_a_profile_in_the_order_sent(running: Ingest) -> None:
    visits = [("a-1", "1"), ("a-2", "2"), ("a-1", "3"), ("a-1", "4")]
    calls = [track(anonymousId=visitor, messageId=id_) for visitor, id_ in visits]
    assert (await running.post("/v1/batch", {"batch": calls})).json() == SUCCESS
    found = {str(each.profile): [event.message_id for event in each.events] for each in await running.published()}
    assert found == {"anonymous_id:a-1": ["1", "3", "4"], "anonymous_id:a-2": ["2"]}


async def test_every_message_has_an_id_of_its_own(running: Ingest) -> None:
    for _ in range(2):
        await running.post("/v1/batch", {"batch": [track(), track(anonymousId="a-2"), 7]})
    assert len({message.id for message in await running.messages()}) == 6


async def test_of_a_batch_the_good_calls_are_taken_and_the_bad_ones_told(running: Ingest) -> None:
    calls = [track(), {"type": "track"}, track(messageId="m-2"), 7]
    assert (await running.post("/v1/batch", {"batch": calls})).json() == SUCCESS
    received, refused = await running.published()
    assert [event.message_id for event in received.events] == ["m-1", "m-2"]
    assert refused == EventsRefused(
        source="shop",
        received_at=NOW,
        refused=(
            RefusedEvent(index=1, reason="event: expected a value, found nothing", event={"type": "track"}),
            RefusedEvent(index=3, reason="expected an object", event=7),
        ),
    )


async def test_a_batch_without_a_good_call_is_refused_with_the_first_reason(running: Ingest) -> None:
    answer = await running.post("/v1/batch", {"batch": [7, {"type": "track"}]})
    assert (answer.status_code, answer.json()["message"]) == (400, "expected an object")
    assert await running.messages() == []


async def test_the_envelope_speaks_for_its_calls(running: Ingest) -> None:
    body = {
        "batch": [track(timestamp="2024-05-10T09:00:00Z")],
        "sentAt": "2024-05-10T10:00:00Z",
        "context": {"locale": "fr"},
    }
    await running.post("/v1/batch", body)
    ((event,),) = [received.events for received in await running.published()]
    assert (event.occurred_at, event.context) == (NOW - HOUR, {"locale": "fr"})


async def test_a_header_says_when_it_was_sent_if_the_body_does_not(running: Ingest) -> None:
    await running.post("/v1/track", track(timestamp="2024-05-10T09:00:00Z"), sentat="2024-05-10T10:00:00Z")
    ((event,),) = [received.events for received in await running.published()]
    assert event.occurred_at == NOW - HOUR


async def test_a_log_is_received_when_it_happened(running: Ingest) -> None:
    calls = [track(userId="u", timestamp="2019-10-01T00:00:00Z")]
    assert (await running.post("/v1/import", {"batch": calls}, key=SECRET_KEY)).json() == SUCCESS
    (received,) = await running.published()
    assert (received.imported, str(received.profile)) == (True, "user_id:u")
    assert received.events[0].received_at == received.events[0].occurred_at == 1_569_888_000_000


async def test_a_log_may_come_with_a_bearer_token(running: Ingest) -> None:
    body = {"batch": [track(timestamp="2019-10-01")]}
    for key, status in ((SECRET_KEY, 200), (WRITE_KEY, 401)):
        assert (await running.post("/v1/import", body, key=None, authorization=f"Bearer {key}")).status_code == status


async def test_what_is_too_large_for_one_message_goes_out_in_several(running: Ingest) -> None:
    context = {"a": "x" * 30_000}
    calls = [track(messageId=str(number)) for number in range(100)]
    assert (await running.post("/v1/batch", {"batch": calls, "context": context})).json() == SUCCESS
    messages = await running.messages()
    assert len(messages) > 1
    assert max(len(message.data) for message in messages) <= LARGEST_MESSAGE
    parts = [msgspec.json.decode(message.data, type=EventsReceived) for message in messages]
    assert [event.message_id for part in parts for event in part.events] == [str(number) for number in range(100)]


async def test_what_cannot_be_published_is_answered_later_with_seconds(tmp_path: Path) -> None:
    async with ingesting(tmp_path, subscribed=False) as ingest:
        answer = await ingest.post("/v1/track", track())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["success"] is False


async def test_an_error_has_a_code_and_a_message(running: Ingest) -> None:
    answer = await running.post("/v1/track", {})
    assert answer.json() == {
        "success": False,
        "code": "bad_request",
        "message": "event: expected a value, found nothing",
    }


async def test_a_wrong_method_is_told_the_right_one(running: Ingest) -> None:
    answer = await running.http.get("/v1/track")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(("path", "status"), [("/v1/track", 400), ("/v1/nothing", 404), ("/v1/batch", 400)])
async def test_every_answer_says_that_it_is_not_to_be_kept_shown_or_guessed_at(
    running: Ingest, path: str, status: int
) -> None:
    answer = await running.post(path, {})
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.slow
async def test_a_body_that_does_not_come_is_given_up(running: Ingest) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b'{"event":'
        await asyncio.sleep(60)

    answer = await running.http.post("/v1/track", content=trickle(), auth=(WRITE_KEY, ""))
    assert answer.status_code == 408


@pytest.mark.parametrize("credentials", [f"{WRITE_KEY}:", WRITE_KEY, f"{WRITE_KEY}:ignored"])
@pytest.mark.parametrize("scheme", ["Basic", "basic"])
async def test_a_write_key_is_the_basic_user_name_with_or_without_a_colon(
    running: Ingest, scheme: str, credentials: str
) -> None:
    header = f"{scheme} {b64encode(credentials.encode()).decode()}"
    assert (await running.post("/v1/track", track(), key=None, authorization=header)).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer token"}, {"authorization": "Basic "}])
async def test_or_it_is_in_the_body(running: Ingest, headers: dict[str, str]) -> None:
    body = {"batch": [track()], "writeKey": WRITE_KEY}
    assert (await running.post("/v1/batch", body, key=None, **headers)).status_code == 200
    assert "writeKey" not in (await running.messages())[0].data.decode()


async def test_a_missing_a_wrong_and_a_revoked_key_get_the_same_answer(running: Ingest) -> None:
    answers = [await running.post("/v1/track", track(), key=key) for key in (None, "wrong", SECRET_KEY)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}


async def test_user_ids_of_a_source_that_is_not_trusted_are_nobody(tmp_path: Path) -> None:
    async with ingesting(tmp_path, source={"identity": "verified"}) as ingest:
        await ingest.post("/v1/track", track(userId="somebody else"))
        (received,) = await ingest.published()
        assert str(received.profile) == "anonymous_id:a-1"
        assert (await ingest.post("/v1/track", track(userId="u", anonymousId=None))).status_code == 400


async def test_a_page_of_an_allowed_origin_may_read_every_answer(running: Ingest) -> None:
    for body, status in ((track(), 200), ({}, 400)):
        answer = await running.post("/v1/track", body, origin=ALLOWED_ORIGIN)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
        assert answer.headers["access-control-expose-headers"] == "ETag, Retry-After, X-RateLimit-Reset"
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


async def preflight(running: Ingest, origin: str) -> httpx.Response:
    asked = "authorization,content-type,x-retry-count,rsa-retry-attempt"
    headers = {"access-control-request-method": "POST", "access-control-request-headers": asked, "origin": origin}
    return await running.http.options("/v1/t", headers=headers)


async def test_a_preflight_is_granted_the_headers_it_asks_for(running: Ingest) -> None:
    answer = await preflight(running, ALLOWED_ORIGIN)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
    assert (
        answer.headers["access-control-allow-headers"] == "authorization,content-type,x-retry-count,rsa-retry-attempt"
    )
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", sorted(case.headers["origin"] for case in CASES if "origin" in case.headers and case.status == 401)
)
async def test_any_other_origin_is_granted_nothing(running: Ingest, origin: str) -> None:
    answer = await preflight(running, origin)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    refused = await running.post("/v1/track", track(), origin=origin)
    assert refused.status_code == 401
    assert "access-control-allow-origin" not in refused.headers


async def sent(ingest: Ingest, times: int, **headers: str) -> list[int]:
    return [(await ingest.post("/v1/track", track(), **headers)).status_code for _ in range(times)]


async def test_a_key_is_held_to_its_rate_and_told_when_to_come_back(tmp_path: Path) -> None:
    async with ingesting(tmp_path, source={"rate": {"per_second": 2, "burst": 3}}) as ingest:
        before = NOTED.total(event="request_throttled")
        assert await sent(ingest, 4) == [200, 200, 200, 429]
        assert NOTED.total(event="request_throttled") == before + 1
        answer = await ingest.post("/v1/track", track(), origin=ALLOWED_ORIGIN)
        assert (answer.headers["retry-after"], answer.json()["code"]) == ("1", "too_many_requests")
        assert answer.headers["x-ratelimit-reset"] == "1"
        assert answer.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
        assert len(await ingest.messages()) == 3
        ingest.clock.advance(499)
        assert await sent(ingest, 1) == [429]
        ingest.clock.advance(1)
        assert await sent(ingest, 2) == [200, 429]


async def test_an_import_is_not_held_to_the_rate_of_the_write_key(tmp_path: Path) -> None:
    async with ingesting(tmp_path, source={"rate": {"per_second": 1, "burst": 1}}) as ingest:
        body = {"batch": [track(timestamp="2024-05-01")]}
        assert [(await ingest.post("/v1/import", body, key=SECRET_KEY)).status_code for _ in range(3)] == [200] * 3


async def sent_from(ingest: Ingest, address: str) -> int:
    transport = httpx.ASGITransport(ingest.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return (await http.post("/v1/track", json=track(), auth=(WRITE_KEY, ""))).status_code


async def test_an_address_is_held_to_its_own_rate(tmp_path: Path) -> None:
    async with ingesting(tmp_path, source={"client_rate": {"per_second": 1, "burst": 2}}) as ingest:
        assert [await sent_from(ingest, "198.51.100.1") for _ in range(3)] == [200, 200, 429]
        assert await sent_from(ingest, "198.51.100.2") == 200
        one_network = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"]
        assert [await sent_from(ingest, address) for address in one_network] == [200, 200, 429]
        assert await sent_from(ingest, "2001:db8:0:1::1") == 200
        mapped = ["::ffff:198.51.100.1", "::ffff:198.51.100.3"]
        assert [await sent_from(ingest, address) for address in mapped] == [429, 200]


async def test_an_address_that_floods_leaves_the_key_to_the_others(tmp_path: Path) -> None:
    limits = {"rate": {"per_second": 1, "burst": 5}, "client_rate": {"per_second": 1, "burst": 2}}
    async with ingesting(tmp_path, source=limits) as ingest:
        flood = [await sent_from(ingest, "198.51.100.1") for _ in range(20)]
        assert flood.count(200) == 2
        assert [await sent_from(ingest, f"198.51.100.{number}") for number in (2, 3, 4, 5)] == [200, 200, 200, 429]


def said(message: Message) -> tuple[str, str]:
    request = msgspec.json.decode(message.data, type=LinkRequested)
    return str(request.anonymous), str(request.profile)


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "u-1", "anonymousId": "a-1"},
        {"type": "alias", "userId": "u-1", "previousId": "a-1"},
    ],
)
async def test_a_call_that_names_a_visitor_and_a_user_asks_to_link_them(running: Ingest, call: dict[str, str]) -> None:
    await running.post("/v1/batch", {"batch": [call, call]})
    requests = [each for each in await running.messages() if each.type == LINK_REQUESTED]
    assert [said(each) for each in requests] == [("anonymous_id:a-1", "user_id:u-1")]


async def test_other_calls_ask_to_link_nobody(running: Ingest) -> None:
    await running.post("/v1/track", track(userId="u-1", anonymousId="a-1"))
    await running.post("/v1/identify", {"userId": "u-1"})
    await running.post("/v1/identify", {"userId": "undefined", "anonymousId": "a-1"})
    assert {each.type for each in await running.messages()} == {EVENTS_RECEIVED}


async def withdrawn(running: Ingest, key: str = SECRET_KEY, **ids: str) -> httpx.Response:
    return await running.http.delete("/v1/links", params=ids, auth=httpx.BasicAuth(key, ""))


async def test_the_owner_withdraws_a_link(running: Ingest) -> None:
    assert (await withdrawn(running, anonymous_id="a/1", user_id="u-1")).json() == SUCCESS
    (message,) = await running.messages()
    found = msgspec.json.decode(message.data, type=LinkWithdrawn)
    assert (message.type, str(found.anonymous), str(found.profile)) == (
        LINK_WITHDRAWN,
        "anonymous_id:a/1",
        "user_id:u-1",
    )


async def test_nobody_else_does_and_not_without_both_ids(running: Ingest) -> None:
    assert (await withdrawn(running, WRITE_KEY, anonymous_id="a-1", user_id="u-1")).status_code == 401
    assert (await withdrawn(running, anonymous_id="a-1")).status_code == 400
    assert (await withdrawn(running, anonymous_id="", user_id="u-1")).status_code == 400
    assert await running.messages() == []
