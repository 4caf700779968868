"""Visitor tokens are issued to who has the secret key, for any visitor alike, and for no longer than is said."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from segue.domain.profile import ProfileRef
from segue.domain.time import MINUTE
from segue.domain.visitor_token import opened
from tests.functions.looking_up import NOW, Site, looking_up


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


async def asked(site: Site, **fields: Any) -> httpx.Response:
    body = {"profile": {"anonymous_id": "ann"}} | fields
    return await site.http.post("/v1/tokens", json={name: value for name, value in body.items() if value is not ...})


async def test_a_token_opens_the_profile_that_was_asked_for_until_it_says(site: Site) -> None:
    for kind, value in {"anonymous_id": "ann", "user_id": "a:b/é"}.items():
        issued = (await asked(site, profile={kind: value}, lifetime_s=60)).json()
        assert issued["expires_at"] == NOW + MINUTE
        visitor = opened(site.settings.profile_secret, issued["token"], NOW)
        assert visitor is not None
        assert str(visitor) == f"{kind}:{value}"


async def test_a_token_is_good_for_a_quarter_of_an_hour_unless_less_was_asked_for(site: Site) -> None:
    assert (await asked(site)).json()["expires_at"] == NOW + 15 * MINUTE


async def test_ids_are_brought_into_the_form_that_profiles_are_known_by(site: Site) -> None:
    token = (await asked(site, profile={"user_id": "e\u0301"})).json()["token"]
    assert opened(site.settings.profile_secret, token, NOW) == ProfileRef("user_id", "é")


async def test_the_known_and_the_unknown_are_issued_tokens_alike(site: Site) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    known, unknown = [await asked(site, profile={"anonymous_id": id_}) for id_ in ("ann", "bob")]
    assert (known.status_code, {*known.headers}, {*known.json()}) == (200, {*unknown.headers}, {*unknown.json()})
    assert len(known.content) == len(unknown.content)


async def test_no_cache_may_keep_a_token(site: Site) -> None:
    assert (await asked(site)).headers["cache-control"] == "private, no-store"


NO_WISHES: list[dict[str, Any]] = [
    *(
        {"profile": profile}
        for profile in (..., {}, None, "ann", {"email": "a@b.c"}, {"anonymous_id": "a", "user_id": 1})
    ),
    *({"profile": {"anonymous_id": id_}} for id_ in ("", " ", None, True, [1], {"a": 1}, "i" * 1_501)),
    *({"lifetime_s": lifetime} for lifetime in (0, -1, 901, 2**63 - 1, "60", 1.5, True, None)),
    {"aud": "segue:visitor"},
    {"__proto__": {}},
]


async def test_a_wish_that_is_none_is_refused_and_the_next_one_granted(site: Site) -> None:
    for fields in NO_WISHES:
        answer = await asked(site, **fields)
        assert (answer.status_code, answer.json()["success"]) == (400, False), (fields, answer.text)
        assert (await asked(site)).status_code == 200
