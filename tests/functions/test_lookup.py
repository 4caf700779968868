"""Lookup: a visitor's segments to the millisecond, and what to show, in time and with a reason."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from segue.catalogs import STALE
from segue.domain.document import profile_path, state_path
from segue.domain.errors import Unavailable
from segue.domain.message import LINK_REQUESTED, MEMBERSHIP_CHANGED, MEMBERSHIPS, LinkRequested, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import DAY, HOUR, MINUTE
from segue.ports import Document, Message, Write
from tests.functions.bad_input import UNREADABLE, Body
from tests.functions.looking_up import NOW, ReadAlone, Site, looking_up

WRITE_KEY = "demo-write-key"
ABANDONED = (NOW + 30 * MINUTE, NOW + 7 * DAY)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


class Answering(ReadAlone):
    """A store whose reads are answered by a function of the test."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self._get = get

    async def get(self, path: str) -> Document | None:
        found: Document | None = await self._get(path)
        return found


async def never(path: str) -> None:  # noqa: ARG001  # it never comes to that
    await asyncio.Event().wait()


async def down(path: str) -> None:
    raise Unavailable(f"{path}: the store is down")


def ids(answer: Mapping[str, Any]) -> list[str]:
    return [segment["id"] for segment in answer["segments"]]


def span(answer: Mapping[str, Any], segment: str) -> tuple[int, int | None] | None:
    return next(((each["since"], each["until"]) for each in answer["segments"] if each["id"] == segment), None)


def key_of(site: Site, visitor: str) -> str:
    return profile_key(site.settings.profile_secret, ProfileRef("anonymous_id", visitor))


def question(visitor: str = "ann", **fields: Any) -> dict[str, Any]:
    """A question whose deadline no slow machine misses, with these fields changed or added."""
    asked = {"profile": {"anonymous_id": visitor}, "slots": ["homepage-hero"], "deadline_ms": 10_000}
    return asked | fields


async def decided(client: httpx.AsyncClient, **fields: Any) -> Any:
    """The answer to a question about Ann."""
    answer = await client.post("/v1/decide", json=question(**fields))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def hero(client: httpx.AsyncClient, **fields: Any) -> tuple[str, str]:
    """The variant of the homepage's hero, and the reason."""
    decision = (await decided(client, **fields))["homepage-hero"]
    return decision["variant"], decision["reason"]


# Segments of a profile


async def test_a_visitor_nothing_is_known_of_is_in_no_segment(site: Site) -> None:
    assert await site.segments("ann") == {"profile": "anonymous_id:ann", "known": False, "as_of": NOW, "segments": []}


async def test_segments_are_told_with_the_instants_they_began_and_will_end(site: Site) -> None:
    await site.happens("ann", "Product Added")
    site.clock.advance(HOUR)
    assert await site.segments("ann") == {
        "profile": "anonymous_id:ann",
        "known": True,
        "as_of": NOW + HOUR,
        "segments": [
            {"id": "cart-abandoner", "since": ABANDONED[0], "until": ABANDONED[1]},
            {"id": "new-visitor", "since": NOW, "until": NOW + DAY},
        ],
    }


async def test_the_answer_is_exact_to_the_millisecond_though_nothing_has_run_since(site: Site) -> None:
    await site.happens("ann", "Product Added")
    inside = {
        at: "cart-abandoner" in ids(await site.segments("ann", at=at)) for edge in ABANDONED for at in (edge - 1, edge)
    }
    assert inside == {ABANDONED[0] - 1: False, ABANDONED[0]: True, ABANDONED[1] - 1: True, ABANDONED[1]: False}


async def test_a_snapshot_answers_up_to_the_instant_it_is_known_until_and_the_state_from_there_on(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    key = key_of(site, "ann")
    snapshot = MembershipChanged(
        key=key,
        profile=ProfileRef("anonymous_id", "ann"),
        seq=1_000,
        catalog=1,
        at=NOW,
        known_until=NOW + HOUR,
        memberships={"luxury-seeker": ((NOW, None),)},
        transitions=(),
    )
    await published(site, snapshot)
    assert ids(await site.segments("ann", at=NOW + HOUR - 1)) == ["luxury-seeker"]
    assert ids(await site.segments("ann", at=NOW + HOUR)) == ["completed-buyer", "new-visitor"]


async def published(site: Site, snapshot: MembershipChanged) -> None:
    await site.embedded.bus.publish(
        MEMBERSHIPS,
        [
            Message(
                id=f"{snapshot.key}:{snapshot.seq}",
                type=MEMBERSHIP_CHANGED,
                source="//segue/evaluate",
                time=snapshot.at,
                data=msgspec.json.encode(snapshot),
            )
        ],
    )
    await site.update()


async def test_a_visitor_whose_snapshot_is_still_on_its_way_is_known(site: Site) -> None:
    await site.happens("ann", "Order Completed", updated=False, revenue=1)
    assert ids(await site.segments("ann")) == ["completed-buyer", "new-visitor"]


@pytest.mark.parametrize("at", [NOW + 40 * MINUTE, "2024-05-10T12:40:00Z", "2024-05-10T14:40:00+02:00"])
async def test_at_is_epoch_milliseconds_or_iso_8601(site: Site, at: str | int) -> None:
    await site.happens("ann", "Product Added")
    answer = await site.segments("ann", at=at)
    assert (answer["as_of"], span(answer, "cart-abandoner")) == (NOW + 40 * MINUTE, ABANDONED)


async def test_an_instant_before_the_last_evaluation_is_answered_as_it_was_told_then(site: Site) -> None:
    await site.happens("ann", "Product Added")
    site.clock.advance(HOUR)
    await site.happens("ann", "Order Completed")
    await archived(site)
    at_first, abandoned = await site.segments("ann", at=NOW), await site.segments("ann", at=NOW + 40 * MINUTE)
    assert "cart-abandoner" not in ids(at_first)
    assert (abandoned["as_of"], span(abandoned, "cart-abandoner")) == (NOW + 40 * MINUTE, ABANDONED)
    assert "cart-abandoner" not in ids(await site.segments("ann"))
    before = await site.segments("ann", at=NOW - 1)
    assert (before["known"], before["as_of"], before["segments"]) == (False, NOW - 1, [])


async def test_why_is_told_of_no_instant_before_the_last_evaluation(site: Site) -> None:
    await site.happens("ann", "Product Added")
    address = "/v1/profiles/anonymous_id:ann/segments/cart-abandoner/why"
    answer = await site.http.get(address, params={"at": NOW - 1})
    assert answer.status_code == 400
    assert str(NOW) in answer.json()["message"]


async def test_a_clock_that_is_behind_does_not_take_a_visitor_back(site: Site) -> None:
    site.clock.advance(HOUR)
    await site.happens("ann", "Product Added")
    site.clock.advance(-HOUR)
    assert (await site.segments("ann"))["as_of"] == NOW + HOUR


async def test_any_identifier_can_be_asked_for(site: Site) -> None:
    for visitor in ("a/b", "a:b", "ü", "a%20b c", "..", "=1+1", "🙂"):
        await site.happens(visitor, "Order Completed", revenue=1)
        quoted = "".join(f"%{byte:02X}" for byte in visitor.encode())
        answer = (await site.http.get(f"/v1/profiles/anonymous_id:{quoted}/segments")).json()
        assert (answer["profile"], answer["known"]) == (f"anonymous_id:{visitor}", True)


async def test_a_user_id_is_not_the_anonymous_id_of_the_same_text(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    assert (await site.http.get("/v1/profiles/user_id:ann/segments")).json()["known"] is False


# Why


async def why(site: Site, visitor: str, segment: str, **parameters: str | int) -> Any:
    answer = await site.http.get(f"/v1/profiles/anonymous_id:{visitor}/segments/{segment}/why", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_member_is_told_why_leaf_by_leaf_and_in_words(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    answer = await why(site, "ann", "completed-buyer")
    assert (answer["profile"], answer["known"], answer["member"]) == ("anonymous_id:ann", True, True)
    assert (answer["at"], answer["since"], answer["until"]) == (NOW, NOW, NOW + 30 * DAY)
    leaf = answer["when"]
    assert (leaf["kind"], leaf["true"], leaf["figure"], leaf["wanted"]) == ("did", True, 1, {"ge": 1})
    assert leaf["counted"] == [{"event": "Order Completed", "at": NOW, "message_id": None}]
    assert answer["words"][0].startswith("`completed-buyer` at 2024-05-10 12:00:00 UTC: a member since ")
    assert answer["nearest"] is None


async def test_who_is_no_member_is_told_what_is_lacking_and_from_when_they_would_be_one(site: Site) -> None:
    await site.happens("ann", "Product Added")
    assert (await why(site, "ann", "high-purchase-intent", at=NOW + MINUTE))["words"][1] == (
        "Nearest: one more `Video Content Playing` with `progress` more than 0.75 within 9:00."
    )
    waiting = await why(site, "ann", "cart-abandoner")
    assert (waiting["member"], waiting["enters_at"]) == (False, ABANDONED[0])
    assert (await why(site, "ann", "cart-abandoner", at=ABANDONED[0]))["member"] is True


async def test_of_a_visitor_nothing_is_known_of_there_is_an_explanation_too(site: Site) -> None:
    answer = await why(site, "ann", "completed-buyer")
    assert (answer["known"], answer["member"], answer["at"]) == (False, False, NOW)
    assert answer["nearest"]["lacks"] == "one more `Order Completed`"


async def test_why_reads_the_state_and_nothing_else(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    paths: list[str] = []

    async def counted(path: str) -> Document | None:
        paths.append(path)
        return await site.embedded.store.get(path)

    async with site.instance(Answering(counted)) as client:
        await client.get("/v1/profiles/anonymous_id:ann/segments/completed-buyer/why")
    assert paths == [state_path(key_of(site, "ann"))]


async def test_a_segment_of_a_newer_catalogue_is_explained_with_it(site: Site) -> None:
    await site.segments("ann")
    await site.publish(segments={"shopper": {"name": "Shopper", "when": {"did": "Order Completed", "within": "30d"}}})
    await site.happens("ann", "Order Completed", updated=False, revenue=1)
    assert (await why(site, "ann", "shopper"))["member"] is True


async def test_a_segment_that_does_not_exist_is_not_found_by_its_name(site: Site) -> None:
    for segment in ("buyers", "%20", "a%2Fb", "é", "x" * 300):
        answer = await site.http.get(f"/v1/profiles/anonymous_id:ann/segments/{segment}/why")
        assert answer.status_code == 404, segment
    answer = await site.http.get("/v1/profiles/anonymous_id:ann/segments/buyers/why")
    assert answer.json() == {"success": False, "code": "not_found", "message": "there is no segment 'buyers'"}


async def test_what_clocks_change_is_asked_for_ten_years_ahead_at_most(site: Site) -> None:
    await site.publish(segments={"nights": {"name": "Nights", "when": {"time": {"until": "06:00", "tz": "UTC"}}}})
    await site.happens("ann", "Product Added")
    for address in ("/v1/profiles/anonymous_id:ann/segments", "/v1/profiles/anonymous_id:ann/segments/nights/why"):
        assert (await site.http.get(address, params={"at": NOW + 300 * DAY})).status_code == 200
        for at in ("9999-12-31T23:59:59.999Z", NOW + 3_654 * DAY):
            assert (await site.http.get(address, params={"at": at})).status_code == 400


# Another version of the catalogue


async def test_a_new_definition_answers_for_visitors_who_have_done_nothing_since(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    await site.segments("ann")
    await site.publish(segments={"shopper": {"name": "Shopper", "when": {"did": "Order Completed", "within": "30d"}}})
    site.clock.advance(STALE + 1)
    assert ids(await site.segments("ann")) == ["completed-buyer", "new-visitor", "shopper"]


async def test_a_state_of_a_newer_catalogue_makes_an_instance_read_it(site: Site) -> None:
    await site.segments("ann")
    await site.publish(segments={"shopper": {"name": "Shopper", "when": {"did": "Order Completed", "within": "30d"}}})
    await site.happens("ann", "Order Completed", updated=False, revenue=1)
    assert ids(await site.segments("ann")) == ["completed-buyer", "new-visitor", "shopper"]


# Who may ask, and how


SECRET = [
    "Bearer demo-secret-key",
    "bearer demo-secret-key",
    "Basic ZGVtby1zZWNyZXQta2V5Og==",
    "basic ZGVtby1zZWNyZXQta2V5",
]

NO_SECRET = [
    *("", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {WRITE_KEY}", "Basic ZGVtby13cml0ZS1rZXk6"),
    *("Basic", "Basic !!", "Basic /////w==", "Digest demo-secret-key", "demo-secret-key"),
    "Bearer 5f1f9d2aeeb8dc29dd47db2bfc0390b9ada7ded6707b592e9bba01fa7601761a",
]
"""No key, wrong ones, the public write key, the secret key in another dress, and its hash."""


BODIES = {"/v1/decide": question(), "/v1/tokens": {"profile": {"anonymous_id": "ann"}}}


async def asked_for(site: Site, address: str, authorization: str) -> httpx.Response:
    headers = {"authorization": authorization}
    if address in BODIES:
        return await site.http.post(address, json=BODIES[address], headers=headers, auth=httpx.Auth())
    return await site.http.get(address, headers=headers, auth=httpx.Auth())


ADDRESSES = [
    "/v1/profiles/anonymous_id:ann",
    "/v1/profiles/anonymous_id:ann/segments",
    "/v1/profiles/anonymous_id:ann/segments/completed-buyer/why",
    "/v1/segments",
    *BODIES,
]


async def test_only_the_secret_key_erases(site: Site) -> None:
    for authorization in NO_SECRET:
        headers = {"authorization": authorization}
        answer = await site.http.delete("/v1/profiles/anonymous_id:ann", headers=headers, auth=httpx.Auth())
        assert answer.status_code == 401, authorization


@pytest.mark.parametrize("address", ADDRESSES)
async def test_only_the_secret_key_reads(site: Site, address: str) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    for authorization in SECRET:
        assert (await asked_for(site, address, authorization)).status_code == 200
    refusals = []
    for authorization in NO_SECRET:
        answer = await asked_for(site, address, authorization)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), authorization
        refusals.append(answer.text)
    assert len({*refusals}) == 1, "whatever is wrong with a key, nobody is told"


REFUSED = [
    ("POST", "/v1/segments", 405),
    ("GET", "/v1/decide", 405),
    ("PUT", "/v1/decide", 405),
    ("DELETE", "/v1/profiles/anonymous_id:ann/segments", 405),
    ("GET", "/v1/profiles/anonymous_id:ann/", 404),
    ("DELETE", "/v1/profiles/anonymous_id:ann/segments/buyer", 404),
    ("POST", "/v1/profiles/anonymous_id:ann", 405),
    ("GET", "/v1/profiles/ann", 400),
    ("DELETE", "/v1/profiles/email:ann", 400),
    ("GET", "/v1/profiles//segments", 400),
    ("GET", "/v1/profiles/ann/segments", 400),
    ("GET", "/v1/profiles/:ann/segments", 400),
    ("GET", "/v1/profiles/email:ann/segments", 400),
    ("GET", "/v1/profiles/user_id:/segments", 400),
    ("GET", "/v1/profiles/user_id:%20/segments", 400),
    ("GET", f"/v1/profiles/user_id:{'i' * 1_501}/segments", 400),
    ("GET", "/v1/profiles/user_id:ann/segments?at=", 400),
    ("GET", "/v1/profiles/user_id:ann/segments?at=soon", 400),
    ("GET", "/v1/profiles/user_id:ann/segments?at=2024-02-30", 400),
    ("GET", "/v1/profiles/user_id:ann/segments?at=1e400", 400),
    ("GET", f"/v1/profiles/user_id:ann/segments?at={'9' * 5_000}", 400),
    ("POST", "/v1/profiles/user_id:ann/segments/completed-buyer/why", 405),
    ("GET", "/v1/profiles/user_id:ann/segments/completed-buyer", 404),
    ("GET", "/v1/profiles/user_id:ann/segments//why", 404),
    ("GET", "/v1/profiles/user_id:ann/segments/buyers/why", 404),
    ("GET", "/v1/profiles//segments/completed-buyer/why", 400),
    ("GET", "/v1/profiles/email:ann/segments/completed-buyer/why", 400),
    ("GET", "/v1/profiles/user_id:%20/segments/completed-buyer/why", 400),
    ("GET", "/v1/profiles/user_id:ann/segments/completed-buyer/why?at=soon", 400),
    ("GET", f"/v1/profiles/user_id:ann/segments/completed-buyer/why?at={'9' * 5_000}", 400),
    ("GET", "/v1/profiles/user_id:ann/segments/completed-buyer/why?" + "q" * 60_000, 414),
    ("GET", f"/v1/segments?at={'9' * 18}", 400),
    ("GET", "/v1/segments?at=%00", 400),
    ("GET", "/v1/segments?" + "q" * 60_000, 414),
]


async def test_an_address_that_asks_for_nothing_is_refused(site: Site) -> None:
    for method, address, status in REFUSED:
        answer = await site.http.request(method, address)
        assert (answer.status_code, answer.json()["success"]) == (status, False), address[:80]
        assert answer.headers["cache-control"] == "private, no-store"


async def test_no_cache_may_keep_an_answer(site: Site) -> None:
    for address in ("/v1/profiles/anonymous_id:ann/segments", "/v1/segments"):
        assert (await site.http.get(address)).headers["cache-control"] == "private, no-store"
    assert (await site.http.post("/v1/decide", json=question())).headers["cache-control"] == "private, no-store"


# Every segment


async def test_every_segment_is_listed_with_its_size_and_last_change(site: Site) -> None:
    for visitor in ("ann", "bob"):
        await site.happens(visitor, "Order Completed", revenue=1)
        site.clock.advance(MINUTE)
    await archived(site)
    listed = (await site.http.get("/v1/segments")).json()
    sizes = {each["id"]: (each["members"], each["last_change"]) for each in listed["segments"]}
    assert (listed["as_of"], len(sizes)) == (NOW + 2 * MINUTE, 12)
    assert sizes["completed-buyer"] == (2, NOW + MINUTE)
    assert sizes["frequent-buyer"] == (0, None)


async def archived(site: Site) -> None:
    waiting = await site.embedded.bus.after(f"update:{MEMBERSHIPS}", 0, 1_000)
    await site.embedded.archive.append(MEMBERSHIPS, [each.message for each in waiting])


# Decisions


async def test_the_first_variant_whose_segment_holds_the_visitor_fills_the_slot(site: Site) -> None:
    await site.happens("ann", "Product Added")
    assert await hero(site.http) == ("welcome", "targeting_match")
    await site.happens("ann", "Video Content Playing", progress=0.8)
    assert await decided(site.http) == {
        "homepage-hero": {
            "content": {"block": "hero", "headline": "Your favourite is waiting in the cart", "link": "/cart"},
            "variant": "complete-your-order",
            "reason": "targeting_match",
            "segment": "high-purchase-intent",
        }
    }


async def test_a_visitor_in_no_variants_segment_gets_the_default_content(site: Site) -> None:
    await site.happens("ann", "Page Viewed")
    site.clock.advance(DAY)
    assert await hero(site.http) == ("default", "default")


async def test_an_unknown_visitor_gets_the_default_content(site: Site) -> None:
    decision = (await decided(site.http))["homepage-hero"]
    assert decision == {
        "content": {"block": "hero", "headline": "New arrivals this week", "link": "/collections/new"},
        "variant": "default",
        "reason": "unknown_visitor",
    }


async def test_a_slot_that_does_not_exist_spoils_no_other(site: Site) -> None:
    slots = await decided(site.http, slots=["homepage-hero", "nowhere"])
    assert slots["homepage-hero"]["reason"] == "unknown_visitor"
    assert slots["nowhere"] == {"content": None, "variant": None, "reason": "unknown_slot"}


async def test_a_store_that_never_answers_does_not_hold_up_a_decision(site: Site) -> None:
    async with site.instance(Answering(never)) as client:
        assert await hero(client, deadline_ms=500) == ("default", "deadline")


async def test_a_store_that_never_answers_does_not_hold_up_one_that_waits_for_an_event_either(site: Site) -> None:
    async with site.instance(Answering(never)) as client:
        answer = await decided(client, deadline_ms=500, after="event-1")
        assert answer["homepage-hero"]["reason"] == "deadline"
        assert answer["homepage-hero"]["includes_after"] is False


async def test_a_store_that_is_down_leaves_the_default_content(site: Site) -> None:
    async with site.instance(Answering(down)) as client:
        assert await hero(client) == ("default", "store_unavailable")


async def test_segments_of_a_profile_are_not_made_up_while_the_store_is_down(site: Site) -> None:
    async with site.instance(Answering(down)) as client:
        answer = await client.get("/v1/profiles/anonymous_id:ann/segments")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("path", [profile_path, state_path])
async def test_a_document_that_cannot_be_read_is_not_the_askers_fault(site: Site, path: Callable[[str], str]) -> None:
    key = key_of(site, "ann")
    await site.embedded.store.commit([Write(path=path(key), data=b"\xc1 no document")])
    assert await hero(site.http) == ("default", "store_unavailable")
    assert (await site.http.get("/v1/profiles/anonymous_id:ann/segments")).status_code == 503


# After an event


async def test_a_decision_after_an_event_that_was_evaluated_includes_it(site: Site) -> None:
    await site.happens("ann", "Product Added")
    watched = await site.happens("ann", "Video Content Playing", updated=False, progress=0.8)
    assert await hero(site.http) == ("welcome", "targeting_match")
    answer = await decided(site.http, after=watched)
    assert answer["homepage-hero"]["variant"] == "complete-your-order"
    assert answer["homepage-hero"]["includes_after"] is True


async def test_a_decision_waits_for_the_event(site: Site) -> None:
    waiting = asyncio.create_task(decided(site.http, after="event-1"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert await site.happens("ann", "Order Completed", updated=False, revenue=1) == "event-1"
    while not waiting.done():
        site.clock.advance(100)
        await asyncio.sleep(0.01)
    answer = await waiting
    assert (answer["homepage-hero"]["includes_after"], answer["homepage-hero"]["variant"]) == (True, "welcome")


async def test_at_the_deadline_the_best_that_is_known_decides_and_says_what_it_lacks(site: Site) -> None:
    await site.happens("ann", "Product Added")
    document = await site.embedded.store.get(state_path(key_of(site, "ann")))

    async def at_once(path: str) -> Document | None:
        return document if path.startswith("states/") else None

    async with site.instance(Answering(at_once)) as client:
        await decided(client)
        answer = await decided(client, after="event-2", deadline_ms=1)
        assert answer["homepage-hero"]["includes_after"] is False
        assert answer["homepage-hero"]["reason"] == "targeting_match"


async def test_what_was_known_before_the_store_went_down_decides(site: Site) -> None:
    await site.happens("ann", "Product Added")
    documents = [await site.embedded.store.get(state_path(key_of(site, "ann")))]

    async def once(path: str) -> Document | None:
        if not documents:
            await down(path)
        return documents.pop()

    async with site.instance(Answering(once)) as client:
        waiting = asyncio.create_task(decided(client, after="event-2"))
        while not waiting.done():
            site.clock.advance(100)
            await asyncio.sleep(0.01)
        answer = await waiting
        assert answer["homepage-hero"]["includes_after"] is False
        assert answer["homepage-hero"]["reason"] == "targeting_match"


async def test_a_visitor_whose_first_event_is_not_there_in_time_is_not_called_unknown(site: Site) -> None:
    assert await hero(site.http, after="event-1", deadline_ms=50) == ("default", "deadline")


# The catalogue that cannot be read


async def test_without_any_catalogue_there_is_no_content_to_decide_on(tmp_path: Path) -> None:
    async with looking_up(tmp_path, published=False) as empty:
        answer = await empty.http.post("/v1/decide", json=question())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# Bad questions


async def test_a_body_that_is_no_question_is_refused_and_the_next_one_answered(site: Site) -> None:
    for body in UNREADABLE:

        async def chunks(body: Body = body) -> AsyncIterator[bytes]:
            for chunk in body.chunks():
                yield chunk

        answer = await site.http.post("/v1/decide", content=chunks())
        assert (answer.status_code, answer.json()["success"]) in [(400, False), (413, False)], body.name
        assert await hero(site.http) == ("default", "unknown_visitor")


NO_QUESTIONS: list[dict[str, Any]] = [
    {"profile": ...},
    {"profile": {}},
    {"profile": None},
    {"profile": "ann"},
    {"profile": {"email": "ann@example.com"}},
    {"profile": {"anonymous_id": "ann", "user_id": [1]}},
    *({"profile": {"anonymous_id": id_}} for id_ in ("", " ", None, True, [1], {"a": 1}, "i" * 1_501)),
    {"slots": ...},
    {"slots": []},
    {"slots": None},
    {"slots": "homepage-hero"},
    {"slots": [1]},
    {"slots": ["s"] * 101},
    {"after": 1},
    {"after": "m" * 1_501},
    *({"deadline_ms": deadline} for deadline in (0, -1, 10_001, 2**63 - 1, "150", 1.5, True, None)),
    {"deadline": 150},
    {"__proto__": {}},
]


async def test_a_question_that_is_none_is_refused_and_the_next_one_answered(site: Site) -> None:
    for fields in NO_QUESTIONS:
        asked = {name: value for name, value in question(**fields).items() if value is not ...}
        answer = await site.http.post("/v1/decide", json=asked)
        assert (answer.status_code, answer.json()["success"]) == (400, False), (fields, answer.text)
        assert await hero(site.http) == ("default", "unknown_visitor")


async def test_an_odd_identifier_names_a_visitor_nobody_knows(site: Site) -> None:
    for visitor in ("a/b", "..", "__x__", "é", "e\u0301", "null", "\u202e", "🙂", "i" * 256):
        answer = await site.http.post("/v1/decide", json=question(visitor))
        assert (answer.status_code, answer.json()["homepage-hero"]["reason"]) == (200, "unknown_visitor")


RUTH = ProfileRef("user_id", "ruth")


async def linked(site: Site, visitor: str = "anna") -> None:
    """A call says that the visitor is Ruth."""
    anonymous = ProfileRef("anonymous_id", visitor)
    key, anonymous_key = (profile_key(site.settings.profile_secret, each) for each in (RUTH, anonymous))
    request = LinkRequested(
        key=key,
        profile=RUTH,
        anonymous_key=anonymous_key,
        anonymous=anonymous,
        source="shop",
        message_id="login",
        at=site.clock.now(),
    )
    data = msgspec.json.encode(request)
    await site.evaluate(Message(id="link", type=LINK_REQUESTED, source="//test", time=site.clock.now(), data=data))


@pytest.mark.parametrize("updated", [True, False])
async def test_a_visitor_who_turned_out_to_be_a_user_is_answered_for_as_the_user(site: Site, updated: bool) -> None:
    await site.happens("anna", "Order Completed", updated=updated, revenue=10)
    before = await site.segments("anna")
    await linked(site)
    if updated:
        await site.update()
    answer = await site.http.get("/v1/profiles/user_id:ruth/segments")
    assert answer.json() | {"profile": None} == await site.segments("anna") | {"profile": None}
    assert [each["id"] for each in answer.json()["segments"]] == [each["id"] for each in before["segments"]] != []
    why = await site.http.get("/v1/profiles/anonymous_id:anna/segments/completed-buyer/why")
    assert why.json()["member"]


async def test_before_the_link_the_past_is_the_visitors_and_after_it_the_users(site: Site) -> None:
    await site.happens("anna", "Order Completed", revenue=10)
    site.clock.advance(HOUR)
    await linked(site)
    await site.update()
    for waiting in await site.embedded.bus.after("update:memberships", 0, 1_000):
        await site.embedded.archive.append(MEMBERSHIPS, [waiting.message])
    site.clock.advance(HOUR)
    for at in (NOW, NOW + HOUR):
        assert "completed-buyer" in [each["id"] for each in (await site.segments("anna", at=at))["segments"]]


async def test_the_ledger_is_told_by_either_id_and_without_keys(site: Site) -> None:
    await linked(site)
    for name in ("user_id:ruth", "anonymous_id:anna"):
        answer = (await site.http.get(f"/v1/profiles/{name}/links")).json()
        (entry,) = answer["links"]
        assert (answer["profile"], answer["refused"]) == ("user_id:ruth", 0)
        assert entry == {
            "anonymous": {"kind": "anonymous_id", "value": "anna"},
            "status": "linked",
            "at": NOW,
            "source": "shop",
            "message_id": "login",
        }
    assert (await site.http.get("/v1/profiles/user_id:saul/links")).json()["links"] == []
    assert (await site.http.get("/v1/profiles/user_id:ruth/links", auth=("demo-write-key", ""))).status_code == 401
