"""OFREP: every slot and every segment is a flag with value, reason and variant, and errors have OpenFeature's names."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from functions.lookup.flags import REASONS
from segue.domain.decision import Reason
from segue.domain.time import DAY
from tests.functions.looking_up import SECRET_KEY, Site, looking_up
from tests.functions.test_lookup import NO_SECRET, Answering, down, linked, never

FLAGS = "/ofrep/v1/evaluate/flags"
HERO = f"{FLAGS}/homepage-hero"
ANN = {"targetingKey": "ann"}
PATIENT = {"segue_deadline_ms": 10_000}
"""A deadline that no slow machine misses."""

WELCOME = {"block": "hero", "headline": "Welcome! Find your first favourite", "link": "/collections/best-sellers"}
NEW_ARRIVALS = {"block": "hero", "headline": "New arrivals this week", "link": "/collections/new"}

OPENFEATURE_REASONS = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"}
OPENFEATURE_CODES = {"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "FLAG_NOT_FOUND"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


async def asked(client: httpx.AsyncClient, address: str, context: Any = ANN, **headers: str) -> httpx.Response:
    if isinstance(context, dict):
        context = PATIENT | context
    return await client.post(address, json={"context": context}, headers=headers)


async def one(site: Site, key: str, context: Mapping[str, Any] = ANN) -> Any:
    answer = await asked(site.http, f"{FLAGS}/{key}", context)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def all_of(client: httpx.AsyncClient, context: Mapping[str, Any] = ANN) -> dict[str, Any]:
    answer = await asked(client, FLAGS, context)
    assert answer.status_code == 200, answer.text
    return {each["key"]: each for each in answer.json()["flags"]}


# Values


async def test_a_slot_is_an_object_flag(site: Site) -> None:
    await site.happens("ann", "Product Added")
    assert await one(site, "homepage-hero") == {
        "key": "homepage-hero",
        "value": WELCOME,
        "reason": "TARGETING_MATCH",
        "variant": "welcome",
        "metadata": {"segue_reason": "targeting_match", "segment": "new-visitor"},
    }


async def test_a_slot_nobody_of_its_segments_is_asked_for_has_its_default(site: Site) -> None:
    await site.happens("ann", "Page Viewed")
    site.clock.advance(DAY)
    found = await one(site, "homepage-hero")
    assert (found["value"], found["reason"], found["variant"]) == (NEW_ARRIVALS, "STATIC", "default")
    assert found["metadata"] == {"segue_reason": "default"}


async def test_a_segment_is_a_boolean_flag(site: Site) -> None:
    await site.happens("ann", "Product Added")
    told = {name: await one(site, f"segment.{name}") for name in ("new-visitor", "completed-buyer")}
    assert told["new-visitor"] == {
        "key": "segment.new-visitor",
        "value": True,
        "reason": "TARGETING_MATCH",
        "variant": "member",
        "metadata": {"segue_reason": "targeting_match"},
    }
    assert (told["completed-buyer"]["value"], told["completed-buyer"]["reason"]) == (False, "STATIC")


async def test_all_flags_are_all_slots_and_all_segments_each_as_it_is_alone(site: Site) -> None:
    await site.happens("ann", "Product Added")
    found = await all_of(site.http)
    segments = (await site.http.get("/v1/segments")).json()["segments"]
    slots = {"homepage-hero", "cart-reminder"}
    assert {*found} >= slots | {f"segment.{each['id']}" for each in segments}
    assert found == {key: await one(site, key) for key in found}


async def test_every_flag_has_what_providers_want(site: Site) -> None:
    for context in (ANN, {"targetingKey": "stranger"}):
        for found in (await all_of(site.http, context)).values():
            assert {*found} == {"key", "value", "reason", "variant", "metadata"}
            assert found["reason"] in OPENFEATURE_REASONS
            assert all(isinstance(value, str | bool | int | float) for value in found["metadata"].values())


def test_every_reason_of_a_decision_has_a_name_in_openfeature() -> None:
    assert {*REASONS} == {*get_args(Reason)} - {"unknown_slot"}
    assert {*REASONS.values()} <= OPENFEATURE_REASONS


async def test_an_event_changes_a_flag_and_can_be_waited_for(site: Site) -> None:
    await site.happens("ann", "Product Added")
    watched = await site.happens("ann", "Video Content Playing", updated=False, progress=0.8)
    assert (await one(site, "homepage-hero", ANN | {"segue_after": watched}))["variant"] == "complete-your-order"


# Whose flags


@pytest.mark.parametrize(
    "context",
    [
        {"targetingKey": "ann"},
        {"targetingKey": "anonymous_id:ann"},
        {"anonymous_id": "ann"},
        {"targetingKey": "bob", "anonymous_id": "ann"},
        {"targetingKey": "user_id:ruth", "anonymous_id": "ann"},
        {"targetingKey": "ann", "user_id": None, "anonymous_id": ""},
        {"targetingKey": "ann", "user": {"name": ["x"]}, "age": 1.5},
    ],
)
async def test_the_context_names_an_anonymous_visitor(site: Site, context: Mapping[str, Any]) -> None:
    await site.happens("ann", "Product Added")
    assert (await one(site, "segment.new-visitor", context))["value"] is True


@pytest.mark.parametrize(
    "context",
    [
        {"targetingKey": "user_id:ruth"},
        {"user_id": "ruth"},
        {"targetingKey": "anonymous_id:bob", "user_id": "ruth", "anonymous_id": "bob"},
        {"targetingKey": "ann"},
    ],
)
async def test_the_context_names_a_user_or_somebody_who_turned_out_to_be_one(
    site: Site, context: Mapping[str, Any]
) -> None:
    await site.happens("ann", "Product Added")
    await linked(site, "ann")
    assert (await one(site, "segment.new-visitor", context))["value"] is True


async def test_what_a_visitor_may_have_written_is_taken_for_no_user_behind_the_prefix_or_in_a_field(site: Site) -> None:
    await site.happens("ann", "Product Added")
    await linked(site, "ann")
    for context in ({"targetingKey": "anonymous_id:user_id:ruth"}, {"anonymous_id": "user_id:ruth"}):
        assert (await one(site, "segment.new-visitor", context))["value"] is False


# What has not changed


async def test_an_answer_that_the_asker_has_is_not_sent_again(site: Site) -> None:
    first = await asked(site.http, FLAGS)
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"another", {etag}'):
        again = await asked(site.http, FLAGS, **{"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    for known in ("", '"another"', "*", etag.strip('"')):
        assert (await asked(site.http, FLAGS, **{"if-none-match": known})).status_code == 200


async def test_time_alone_changes_no_etag_and_an_event_that_changes_a_flag_does(site: Site) -> None:
    await site.happens("ann", "Product Added")
    etag = (await asked(site.http, FLAGS)).headers["etag"]
    site.clock.advance(1_000)
    await site.happens("ann", "Page Viewed")
    assert (await asked(site.http, FLAGS)).headers["etag"] == etag
    await site.happens("ann", "Video Content Playing", progress=0.8)
    changed = await asked(site.http, FLAGS, **{"if-none-match": etag})
    assert (changed.status_code, changed.headers["etag"] != etag) == (200, True)


async def test_another_visitors_answer_has_another_etag_if_it_is_another(site: Site) -> None:
    await site.happens("ann", "Product Added")
    etag = (await asked(site.http, FLAGS)).headers["etag"]
    assert (await asked(site.http, FLAGS, {"targetingKey": "bob"}, **{"if-none-match": etag})).status_code == 200


@pytest.mark.parametrize("told", ["flagConfigEtag=%221%22", "flagConfigLastModified=1715342400000"])
async def test_a_provider_that_was_told_of_a_change_is_answered_with_it(site: Site, told: str) -> None:
    await site.happens("ann", "Product Added")
    await site.happens("ann", "Video Content Playing", updated=False, progress=0.8)
    variants = []
    for address in (FLAGS, f"{FLAGS}?{told}"):
        found = (await asked(site.http, address)).json()["flags"]
        variants += [each["variant"] for each in found if each["key"] == "homepage-hero"]
    assert variants == ["welcome", "complete-your-order"]


async def test_no_cache_may_keep_an_evaluation(site: Site) -> None:
    for address in (FLAGS, HERO):
        assert (await asked(site.http, address)).headers["cache-control"] == "private, no-store"


# In time


@pytest.mark.parametrize(("get", "reason"), [(never, "deadline"), (down, "store_unavailable")])
async def test_whatever_the_store_does_there_is_default_content_in_time(site: Site, get: Any, reason: str) -> None:
    async with site.instance(Answering(get)) as client:
        found = await all_of(client, ANN | {"segue_deadline_ms": 500})
    assert {(each["reason"], each["metadata"]["segue_reason"]) for each in found.values()} == {("UNKNOWN", reason)}
    assert (found["homepage-hero"]["value"], found["homepage-hero"]["variant"]) == (NEW_ARRIVALS, "default")
    assert found["segment.new-visitor"]["value"] is False


async def test_without_any_catalogue_there_are_no_flags_yet(tmp_path: Path) -> None:
    async with looking_up(tmp_path, published=False) as empty:
        for address in (FLAGS, HERO):
            answer = await asked(empty.http, address)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["errorCode"] == "GENERAL"


# Who may ask


async def test_a_key_is_a_bearer_token_or_an_api_key(site: Site) -> None:
    for headers in ({"authorization": f"Bearer {SECRET_KEY}"}, {"x-api-key": SECRET_KEY}):
        answer = await site.http.post(FLAGS, json={"context": ANN}, headers=headers, auth=httpx.Auth())
        assert answer.status_code == 200


async def test_without_the_secret_key_nothing_is_evaluated(site: Site) -> None:
    refusals = set()
    for headers in (*({"authorization": each} for each in NO_SECRET), {"x-api-key": "demo-write-key"}, {}):
        for address in (FLAGS, HERO, f"{FLAGS}/nowhere"):
            answer = await site.http.post(address, json={"context": ANN}, headers=headers, auth=httpx.Auth())
            refusals.add((answer.status_code, answer.json()["errorCode"], answer.json()["errorDetails"]))
    assert len(refusals) == 1
    assert {status for status, _, _ in refusals} == {401}


# Errors


async def test_an_unknown_flag_is_not_found_by_its_key(site: Site) -> None:
    for key in ("nowhere", "segment.nowhere", "segment.", "segment.homepage-hero", "new-visitor", "a%2Fb", "é", "%00",
                "__proto__", "x" * 3_000, "homepage-hero/", "", "%F0%9F%99%82", "Homepage-Hero"):  # fmt: skip
        answer = await asked(site.http, f"{FLAGS}/{key}")
        assert answer.status_code == 404, key
        assert {*answer.json()} == {"key", "errorCode", "errorDetails"}
        assert (answer.json()["key"], answer.json()["errorCode"]) == (
            httpx.URL(f"http://x/{key}").path[1:],
            "FLAG_NOT_FOUND",
        )


NOBODY: tuple[Any, ...] = (
    *({"targetingKey": key} for key in (None, "", " ", "user_id:", "anonymous_id: ")),
    *(None, {}, {"user_id": None}, {"anonymous_id": " "}),
)

NO_OBJECTS: tuple[Any, ...] = ([], "ann", 1, True)

WRONG: Mapping[str, tuple[Any, ...]] = {
    "targetingKey": (True, [], {}, "i" * 257),
    "user_id": (True, [], "i" * 257),
    "anonymous_id": (True, [], "i" * 257),
    "segue_deadline_ms": (0, -1, 10_001, 1e300, "1", True, None, {}),
    "segue_after": (True, [], "m" * 257),
}

NO_CONTEXTS: tuple[tuple[Any, str], ...] = (
    *((context, "TARGETING_KEY_MISSING") for context in NOBODY),
    *((context, "INVALID_CONTEXT") for context in NO_OBJECTS),
    *((ANN | {field: value}, "INVALID_CONTEXT") for field, values in WRONG.items() for value in values),
)


@pytest.mark.parametrize("address", [FLAGS, HERO])
async def test_a_context_that_names_nobody_is_refused_and_the_next_one_answered(site: Site, address: str) -> None:
    for context, code in NO_CONTEXTS:
        answer = await asked(site.http, address, context)
        told = answer.json()
        assert (answer.status_code, told["errorCode"]) == (400, code), (context, told)
        assert isinstance(told["errorDetails"], str)
        assert told.get("key") == ("homepage-hero" if address == HERO else None)
    assert (await asked(site.http, address)).status_code == 200


async def test_an_address_that_evaluates_nothing_is_refused_in_the_protocols_words(site: Site) -> None:
    for method, address, status in [
        *((method, path, 405) for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS") for path in (FLAGS, HERO)),
        *(("POST", path, 404) for path in ("/ofrep/v1/evaluate", "/ofrep/v1/evaluate/flag", "/ofrep", "/ofrep/v2/x")),
        ("POST", f"{FLAGS}?{'q' * 60_000}", 414),
    ]:
        answer = await site.http.request(method, address, json={"context": ANN})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), (method, address)
        if address.startswith(FLAGS):
            assert answer.json()["errorCode"] in OPENFEATURE_CODES
