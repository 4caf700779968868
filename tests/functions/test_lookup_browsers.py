"""A browser asks with a visitor's token, about that visitor alone, from a page of a source. Strangers learn nothing."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from segue.domain.profile import ProfileRef
from segue.domain.time import MINUTE, SECOND
from segue.domain.visitor_token import AUDIENCE, issued
from segue.metrics import NOTED
from tests.functions.looking_up import NOW, SECRET_KEY, Site, looking_up
from tests.functions.test_lookup import Answering, down

FLAGS = "/ofrep/v1/evaluate/flags"
HERO = f"{FLAGS}/homepage-hero"
PAGE = "http://localhost:8080"
ANN, BOB = ProfileRef("anonymous_id", "ann"), ProfileRef("anonymous_id", "bob")
PATIENT = {"segue_deadline_ms": 10_000}

ASKED: Mapping[str, Mapping[str, Any]] = {
    FLAGS: {"context": PATIENT | {"targetingKey": "ann"}},
    HERO: {"context": PATIENT | {"targetingKey": "ann"}},
    "/v1/decide": {"profile": {"anonymous_id": "ann"}, "slots": ["homepage-hero"], "deadline_ms": 10_000},
}
"""Whatever a browser may ask, said to be about Ann."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


def token(site: Site, visitor: ProfileRef = ANN, lifetime: int = 10 * MINUTE) -> str:
    return issued(site.settings.profile_secret, visitor, site.clock.now(), lifetime).token


async def asked(
    client: httpx.AsyncClient, address: str, key: str, body: Mapping[str, Any] | None = None, origin: str = PAGE
) -> httpx.Response:
    headers = {b"authorization": f"Bearer {key}".encode(), b"origin": origin.encode()}
    return await client.post(address, json=body or ASKED[address], headers=headers, auth=httpx.Auth())


def told(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


# One's own profile


async def test_a_token_opens_its_own_profile(site: Site) -> None:
    await site.happens("ann", "Product Added")
    for address, body in ((HERO, {"context": PATIENT}), (HERO, {}), (HERO, {"context": PATIENT | {"x": 1}})):
        assert told(await asked(site.http, address, token(site), body))["variant"] == "welcome"
    everything = told(await asked(site.http, FLAGS, token(site), {"context": PATIENT}))["flags"]
    assert {each["key"]: each["value"] for each in everything}["segment.new-visitor"] is True
    decided = told(await asked(site.http, "/v1/decide", token(site), {"slots": ["homepage-hero"]}))
    assert decided["homepage-hero"]["variant"] == "welcome"


async def test_a_token_is_taken_as_an_api_key_too(site: Site) -> None:
    headers = {"x-api-key": token(site)}
    assert (await site.http.post(HERO, json={}, headers=headers, auth=httpx.Auth())).status_code == 200


@pytest.mark.parametrize("address", ASKED)
async def test_a_token_opens_no_other_profile_whatever_is_asked_for(site: Site, address: str) -> None:
    await site.happens("ann", "Product Added")
    answer = await asked(site.http, address, token(site, BOB))
    stranger = await asked(site.http, address, token(site, ProfileRef("user_id", "stranger")))
    assert evaluated(answer) == evaluated(stranger)
    assert "welcome" not in answer.text


async def test_a_context_that_names_others_oddly_does_no_harm(site: Site) -> None:
    odd: tuple[Any, ...] = (None, 1, [], {}, "", "user_id:", "i" * 5_000)
    for key in odd:
        context = PATIENT | {"targetingKey": key, "user_id": key}
        assert told(await asked(site.http, HERO, token(site), {"context": context}))["variant"] == "default"


async def test_a_browser_reads_public_segments_only(site: Site) -> None:
    await site.publish(slots={
        "offer": {
            "name": "Offer",
            "variants": [{"name": "thanks", "segment": "completed-buyer", "content": {"text": "Thank you"}}],
            "default": {"text": "Hello"},
        }
    })  # fmt: skip
    await site.happens("ann", "Order Completed", revenue=1)
    everything = told(await asked(site.http, FLAGS, token(site)))["flags"]
    segments = {each["key"] for each in everything if each["key"].startswith("segment.")}
    assert "segment.new-visitor" in segments
    assert "segment.completed-buyer" not in segments
    hidden, absent = [
        await asked(site.http, f"{FLAGS}/segment.{name}", token(site), ASKED[FLAGS])
        for name in ("completed-buyer", "nowhere-at-all!")
    ]
    assert (hidden.status_code, hidden.json()["errorCode"]) == (absent.status_code, absent.json()["errorCode"])
    offer = next(each for each in everything if each["key"] == "offer")
    assert (offer["variant"], offer["metadata"]) == ("thanks", {"segue_reason": "targeting_match"})
    decided = told(await asked(site.http, "/v1/decide", token(site), {"slots": ["offer", "homepage-hero"]}))
    assert "segment" not in decided["offer"]
    assert decided["homepage-hero"]["segment"] == "new-visitor"


async def test_a_browser_gets_default_content_in_time_while_the_store_is_down(site: Site) -> None:
    async with site.instance(Answering(down)) as client:
        for address in ASKED:
            assert (await asked(client, address, token(site))).status_code == 200


# Strangers


FORGED = {"sub": "anonymous_id:ann", "aud": AUDIENCE, "exp": NOW // SECOND + 60}


def unsigned() -> str:
    parts = [{"alg": "none", "typ": "JWT"}, FORGED]
    return ".".join(urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts) + "."


def attacks(site: Site) -> Mapping[str, str]:
    """What somebody may try who has no token for Ann."""
    ours = token(site)
    head, body, _ = ours.split(".")
    return {
        "nothing": "",
        "the write key": "demo-write-key",
        "another deployment's": issued(b"the secret of another deployment", ANN, NOW, MINUTE).token,
        "an expired one": issued(site.settings.profile_secret, ANN, NOW - 2 * MINUTE, MINUTE).token,
        "without algorithm": unsigned(),
        "without signature": f"{head}.{body}.",
        "another signature": f"{head}.{body}.{token(site, BOB).split('.')[2]}",
        "an identity token": jwt.encode({**FORGED, "sub": "ann"}, "an identity secret of the site's", "HS256"),
        "cut off": ours[:-1],
        "twice": f"{ours}{ours}",
        "the profile's key": "0" * 32,
        "very long": "a" * 60_000,
        "no ASCII": "é.ü.ß",
    }  # fmt: skip


@pytest.mark.parametrize("address", ASKED)
async def test_whatever_a_stranger_tries_the_answer_is_the_same_and_tells_nothing(site: Site, address: str) -> None:
    await site.happens("ann", "Product Added")
    answers = {}
    for attack, key in attacks(site).items():
        answer = await asked(site.http, address, key)
        answers[attack] = (answer.status_code, answer.text, tuple(answer.headers.items()))
    assert {status for status, _, _ in answers.values()} == {401}
    assert len({*answers.values()}) == 1, answers


SERVERS_ONLY = (
    *(
        ("GET", f"/v1/profiles/anonymous_id:ann{part}")
        for part in ("", "/segments", "/segments/new-visitor/why", "/links")
    ),
    ("DELETE", "/v1/profiles/anonymous_id:ann"),
    ("GET", "/v1/segments"),
)


@pytest.mark.parametrize(("method", "address"), SERVERS_ONLY)
async def test_a_token_opens_nothing_of_what_servers_ask_for(site: Site, method: str, address: str) -> None:
    headers = {"authorization": f"Bearer {token(site)}"}
    assert (await site.http.request(method, address, headers=headers, auth=httpx.Auth())).status_code == 401


async def test_what_is_refused_is_counted(site: Site) -> None:
    before = NOTED.total(event="request_refused")
    for key, context in (("", {}), ("wrong", {}), (token(site), 1)):
        await asked(site.http, HERO, key, {"context": context})
    assert NOTED.total(event="request_refused") == before + 3


async def test_a_token_issues_no_token(site: Site) -> None:
    answer = await asked(site.http, "/v1/tokens", token(site), {"profile": {"anonymous_id": "ann"}})
    assert answer.status_code == 401


def evaluated(answer: httpx.Response) -> Any:
    """What is said of the visitor: all but the address that is the browser's own."""
    return {name: value for name, value in answer.json().items() if name != "eventStreams"}


@pytest.mark.parametrize("address", ASKED)
async def test_the_known_and_the_unknown_look_alike_to_a_browser(site: Site, address: str) -> None:
    """Ann is known, but in no variant's segment any more."""
    await site.happens("ann", "Page Viewed")
    site.clock.advance(2 * 24 * 60 * MINUTE)
    known, unknown = [await asked(site.http, address, token(site, visitor)) for visitor in (ANN, BOB)]
    assert (known.status_code, unknown.status_code) == (200, 200)
    assert {*known.headers} == {*unknown.headers}
    assert len(known.content) == len(unknown.content)
    assert evaluated(known) == evaluated(unknown)


async def test_an_enumeration_of_ids_without_tokens_is_answered_with_one_answer(site: Site) -> None:
    await site.happens("id-7", "Product Added")
    answers = set()
    for number in range(100):
        body = {"context": {"targetingKey": f"id-{number}"}}
        answer = await asked(site.http, HERO, token(site)[:-3], body)
        answers.add((answer.status_code, answer.text, tuple(answer.headers.items())))
    assert len(answers) == 1


# Floods


def refused(answers: Sequence[httpx.Response]) -> list[int]:
    """How many were answered before the first that was not, and the statuses of the rest."""
    statuses = [answer.status_code for answer in answers]
    answered = statuses.index(429) if 429 in statuses else len(statuses)
    assert {*statuses[:answered]} <= {200}
    return [answered, *statuses[answered:]]


async def test_a_visitor_who_floods_is_held_to_a_rate_and_nobody_else_is(site: Site) -> None:
    before = NOTED.total(event="request_throttled")
    ann, bob = token(site), token(site, BOB)
    flood = [await asked(site.http, HERO, ann) for _ in range(62)]
    assert refused(flood) == [60, 429, 429]
    assert flood[-1].headers["retry-after"] == "1"
    assert flood[-1].json()["errorCode"] == "GENERAL"
    assert (await asked(site.http, "/v1/decide", ann)).status_code == 429
    assert (await asked(site.http, HERO, bob)).status_code == 200
    assert {(await site.http.post(HERO, json=ASKED[HERO])).status_code for _ in range(70)} == {200}
    site.clock.advance(SECOND)
    assert refused([await asked(site.http, HERO, ann) for _ in range(11)]) == [10, 429]
    assert NOTED.total(event="request_throttled") - before == 4


async def test_an_address_is_held_to_a_rate_whoever_is_behind_it(site: Site) -> None:
    app = site.app()
    here, there = (
        httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://localhost")
        for address in ("2001:db8::1", "2001:db8:0:1::1")
    )
    tokens = [token(site, ProfileRef("anonymous_id", f"visitor-{number}")) for number in range(11)]
    assert refused([await asked(here, HERO, tokens[number % 11]) for number in range(502)]) == [500, 429, 429]
    assert (await asked(there, HERO, tokens[0])).status_code == 200


# Pages


NO_PAGES = (
    *("null", "", "*", "http://localhost", "https://localhost:8080", "http://localhost:8081"),
    *(
        "http://evil-localhost:8080",
        "http://localhost:8080.evil.com",
        "http://localhost:8080/",
        "HTTP://LOCALHOST:8080",
    ),
)


@pytest.mark.parametrize("address", ASKED)
async def test_a_page_of_a_source_may_ask_and_read(site: Site, address: str) -> None:
    preflight = await site.http.options(
        address,
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type, if-none-match, x-api-key",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert {"authorization", "if-none-match", "x-api-key"} <= {
        each.strip() for each in preflight.headers["access-control-allow-headers"].lower().split(",")
    }
    answer = await asked(site.http, address, token(site))
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("address", ASKED)
async def test_a_page_of_another_site_may_neither_ask_nor_read(site: Site, address: str) -> None:
    for origin in NO_PAGES:
        preflight = await site.http.options(
            address, headers={"origin": origin, "access-control-request-method": "POST"}
        )
        assert "access-control-allow-origin" not in preflight.headers, origin
        answer = await asked(site.http, address, token(site), origin=origin)
        assert answer.status_code == 401, origin
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_may_read_why_it_is_refused(site: Site) -> None:
    for key, status in ((token(site), 404), ("wrong", 401)):
        answer = await asked(site.http, f"{FLAGS}/nowhere", key, {"context": {}})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)


async def test_no_page_reads_what_only_servers_may_ask_for(site: Site) -> None:
    for address in ("/v1/segments", "/v1/profiles/anonymous_id:ann/segments"):
        answer = await site.http.get(address, headers={"origin": PAGE})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
    answer = await site.http.post("/v1/tokens", json={"profile": {"user_id": "1"}}, headers={"origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_server_that_passes_a_browsers_origin_on_is_answered(site: Site) -> None:
    answer = await asked(site.http, HERO, SECRET_KEY, origin="https://elsewhere.example.com")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
