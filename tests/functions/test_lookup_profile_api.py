"""What reads a profile from Segment reads a visitor here: traits, segments as audiences, identifiers and metadata."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.lookup.profile_api import PER_SECOND
from segue.domain.time import DAY, HOUR, SECOND
from tests.functions.looking_up import Site, looking_up
from tests.functions.test_lookup import NO_SECRET, Answering, down, linked

USERS = "/v1/spaces/shop/collections/users/profiles"
ANN = f"{USERS}/anonymous_id:ann"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


async def told(site: Site, address: str, **parameters: str | int) -> Any:
    answer = await site.http.get(address, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def everything(site: Site, address: str, **parameters: str | int) -> dict[str, Any]:
    return dict((await told(site, address, limit=200, **parameters))["traits"])


# Traits


async def test_segments_are_audiences_true_for_those_that_hold_the_visitor(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    audiences = await everything(site, f"{ANN}/traits", **{"class": "audience"})
    assert len(audiences) == 12
    assert {name for name, member in audiences.items() if member} == {"completed-buyer", "new-visitor"}
    site.clock.advance(DAY)
    later = await everything(site, f"{ANN}/traits", **{"class": "audience"})
    assert {name for name, member in later.items() if member} == {"completed-buyer"}


async def test_a_verbose_audience_says_since_when_it_holds_the_visitor(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    site.clock.advance(HOUR)
    audiences = await everything(site, f"{ANN}/traits", **{"class": "audience", "verbose": "true"})
    assert audiences["new-visitor"] == {"value": True, "source_id": None, "updated_at": "2024-05-10T12:00:00.000Z"}
    assert audiences["luxury-seeker"] == {"value": False, "source_id": None, "updated_at": None}


async def test_scores_and_computed_traits_are_computed_traits(site: Site) -> None:
    spent = {"spent": {"sum": "revenue", "of": "Order Completed"}}
    big = {"name": "Big spender", "when": {"trait": "spent", "is": {"ge": 30}}}
    await site.publish(computed=spent, segments={"big-spender": big})
    await site.happens("ann", "Order Completed", revenue=40)
    computed = await everything(site, f"{ANN}/traits", **{"class": "computed_trait"})
    assert computed["spent"] == 40
    assert set(computed) & set(await everything(site, f"{ANN}/traits", **{"class": "audience"})) == set()


async def test_without_a_class_what_calls_said_is_told_too_and_of_each_who_said_it_when(site: Site) -> None:
    await site.happens("ann", "Signed Up", traits={"plan": "free", "city": "Lyon"})
    site.clock.advance(HOUR)
    await site.happens("ann", "Upgraded", traits={"plan": "gold", "city": None})
    traits = await everything(site, f"{ANN}/traits")
    assert (traits["plan"], traits["new-visitor"]) == ("gold", True)
    assert "city" not in traits
    verbose = await everything(site, f"{ANN}/traits", verbose="true", include="plan,nothing")
    assert verbose == {
        "plan": {"value": "gold", "source_id": "shop", "updated_at": "2024-05-10T13:00:00.000Z"},
    }


async def test_a_list_comes_in_pages_that_together_have_each_name_once(site: Site) -> None:
    await site.happens("ann", "Signed Up", traits={f"trait-{number:02}": number for number in range(25)})
    first = await told(site, f"{ANN}/traits")
    assert len(first["traits"]) == 10
    assert first["cursor"] | {"next": ""} == {"url": f"{ANN}/traits", "has_more": True, "next": "", "limit": 10}
    names, cursor = [*first["traits"]], first["cursor"]
    while cursor["has_more"]:
        page = await told(site, cursor["url"], next=cursor["next"], limit=7)
        names, cursor = [*names, *page["traits"]], page["cursor"]
    assert names == sorted(names)
    assert names == [*await everything(site, f"{ANN}/traits")]
    assert (cursor["next"], cursor["limit"]) == ("", 7)


# Who it is


async def test_a_visitor_who_turned_out_to_be_a_user_has_both_ids_and_what_was_said_of_either(site: Site) -> None:
    await site.happens("anna", "Signed Up", traits={"plan": "gold"})
    site.clock.advance(HOUR)
    await linked(site)
    for asked in ("user_id:ruth", "anonymous_id:anna"):
        ids = await told(site, f"{USERS}/{asked}/external_ids")
        assert [(each["type"], each["id"]) for each in ids["data"]] == [("anonymous_id", "anna"), ("user_id", "ruth")]
        assert ids["data"][0] == {
            "source_id": "shop",
            "collection": "users",
            "id": "anna",
            "type": "anonymous_id",
            "created_at": "2024-05-10T13:00:00.000Z",
            "encoding": "none",
            "first_message_id": "login",
        }
        assert (await everything(site, f"{USERS}/{asked}/traits"))["plan"] == "gold"


async def test_metadata_tells_since_when_the_visitor_is_known_and_the_first_and_the_last_call(site: Site) -> None:
    first = await site.happens("ann", "Product Viewed")
    site.clock.advance(HOUR)
    last = await site.happens("ann", "Product Added")
    assert (await told(site, f"{ANN}/metadata"))["metadata"] == {
        "created_at": "2024-05-10T12:00:00.000Z",
        "updated_at": "2024-05-10T13:00:00.000Z",
        "expires_at": None,
        "first_message_id": first,
        "first_source_id": "shop",
        "last_message_id": last,
        "last_source_id": "shop",
    }


# Errors


def error(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code; every answer has an id, and no cache may keep it."""
    assert answer.headers["request-id"]
    assert answer.headers["cache-control"] == "private, no-store"
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]["message"]
    return answer.status_code, answer.json()["error"]["code"]


INVALID, MALFORMED = (400, "validation_error"), (400, "invalid_request_error")
REFUSED = [
    ("GET", f"{USERS}/anonymous_id:nobody/traits", (404, "not_found")),
    *(
        ("GET", f"{USERS}/anonymous_id:{id_}/external_ids", (404, "not_found"))
        for id_ in ("a%2Fb", "..%2F", "%00", "%F0%9F%99%82")
    ),
    *(("GET", f"{USERS}/{who}/traits", INVALID) for who in ("ann", ":ann", "email:ann@example.com", "group_id:1")),
    *(("GET", f"{USERS}/user_id:{id_}/metadata", INVALID) for id_ in ("", "%20", "i" * 1_501)),
    *(("GET", f"{ANN}/traits?limit={limit}", INVALID) for limit in ("", "0", "-1", "201", "1e1", "9" * 500, "%D9%A1")),
    *(("GET", f"{ANN}/external_ids?limit={limit}", INVALID) for limit in ("0", "many")),
    *(("GET", f"{ANN}/traits?class={name}", INVALID) for name in ("", "audiences", "__proto__")),
    *(("GET", f"{ANN}/traits?verbose={name}", INVALID) for name in ("", "1", "True")),
    ("GET", f"{ANN}/traits?include={'q' * 60_000}", (414, "invalid_request_error")),
    ("GET", f"{ANN}/events", MALFORMED),
    ("GET", f"{ANN}/links", MALFORMED),
    ("GET", "/v1/spaces/shop/collections/accounts/profiles/group_id:1/traits", MALFORMED),
    ("GET", f"{ANN}/", (404, "not_found")),
    ("GET", "/v1/spaces/", (404, "not_found")),
    ("GET", "/v1/spaces/shop/collections/things/profiles/user_id:1/traits", (404, "not_found")),
    *((method, f"{ANN}/traits", (405, "invalid_request_error")) for method in ("POST", "PUT", "PATCH", "DELETE")),
]


async def test_a_request_that_asks_for_nothing_is_refused_in_segments_words_and_the_next_one_answered(
    site: Site,
) -> None:
    await site.happens("ann", "Product Viewed")
    for method, address, expected in REFUSED:
        answer = await site.http.request(method, address)
        assert error(answer) == expected, (method, address[:80], answer.text[:200])
        assert (await told(site, f"{ANN}/traits", include="new-visitor"))["traits"] == {"new-visitor": True}
        site.clock.advance(SECOND // 10)


async def test_names_that_mean_something_elsewhere_are_names_here(site: Site) -> None:
    odd = {"__proto__": 1, "a.b": 2, "$ne": 3, "\u202e": 4, "a\r\nb: c": 5, "=1+1": 6}
    await site.happens("ann", "Signed Up", traits=odd)
    for name, value in odd.items():
        assert (await told(site, f"{ANN}/traits", include=name))["traits"] == {name: value}


async def test_only_the_secret_key_reads(site: Site) -> None:
    await site.happens("ann", "Product Viewed")
    for part in ("traits", "external_ids", "metadata", "events"):
        for authorization in NO_SECRET:
            headers = {"authorization": authorization}
            answer = await site.http.get(f"{ANN}/{part}?limit=0", headers=headers, auth=httpx.Auth())
            assert error(answer) == (401, "authentication_error"), authorization


async def test_more_than_a_hundred_requests_a_second_are_too_many(site: Site) -> None:
    await site.happens("ann", "Product Viewed")
    for _ in range(PER_SECOND):
        await told(site, f"{ANN}/external_ids")
    answer = await site.http.get(f"{ANN}/external_ids")
    assert error(answer) == (429, "rate_limit_error")
    assert answer.headers["retry-after"] == "1"
    site.clock.advance(SECOND)
    await told(site, f"{ANN}/external_ids")


async def test_a_store_that_is_down_is_nobodys_fault(site: Site) -> None:
    async with site.instance(Answering(down)) as client:
        answer = await client.get(f"{ANN}/traits")
        assert error(answer) == (503, "internal_error")
        assert answer.headers["retry-after"] == "1"
