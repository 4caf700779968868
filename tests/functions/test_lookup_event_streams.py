"""A browser's provider is told where it hears of changes, from the very answer on that it was given."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest_asyncio

from segue.domain import hint
from segue.domain.document import decode_profile, profile_path
from segue.domain.membership import at
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE, SECOND
from segue.domain.visitor_token import issued
from tests.functions.looking_up import SECRET_KEY, Site, looking_up
from tests.functions.test_lookup import Answering, down

ANN = ProfileRef("anonymous_id", "ann")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


def token(site: Site) -> str:
    return issued(site.settings.profile_secret, ANN, site.clock.now(), MINUTE).token


async def flags(site: Site, bearer: str, etag: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {bearer}", "if-none-match": etag}
    body = {"context": {"targetingKey": ANN.value, "segue_deadline_ms": 10_000}}
    return await site.http.post("/ofrep/v1/evaluate/flags", json=body, headers=headers, auth=httpx.Auth())


def stream(answer: httpx.Response) -> dict[str, Any]:
    (found,) = answer.json()["eventStreams"]
    assert (found["type"], urlsplit(found["endpoint"]["requestUri"]).path) == ("sse", "/v1/stream")
    return {name: value for name, (value,) in parse_qs(urlsplit(found["endpoint"]["requestUri"]).query).items()}


async def stands(site: Site) -> str:
    """Where a stream would say that Ann stands."""
    key = profile_key(site.settings.profile_secret, ANN)
    found = await site.embedded.store.get(profile_path(key))
    memberships = decode_profile(found.data).memberships if found else {}
    return hint.position(site.settings.profile_secret, key, at(memberships, site.clock.now()))


async def test_a_browser_hears_of_changes_with_its_own_token_from_what_it_was_answered_on(site: Site) -> None:
    mine = token(site)
    assert stream(await flags(site, mine)) == {"token": mine, "lastEventID": await stands(site)}
    await site.happens(ANN.value, "Order Completed", revenue=250)
    site.clock.advance(SECOND)
    assert stream(await flags(site, mine)) == {"token": mine, "lastEventID": await stands(site)}


async def test_an_answer_that_is_older_than_what_has_happened_says_so(site: Site) -> None:
    before = await stands(site)
    await site.happens(ANN.value, "Order Completed", updated=False, revenue=250)
    ahead = stream(await flags(site, token(site)))["lastEventID"]
    assert ahead != before
    await site.update()
    assert ahead == await stands(site)


async def test_a_new_token_is_a_new_answer_and_the_old_one_is_not(site: Site) -> None:
    old = token(site)
    etag = (await flags(site, old)).headers["etag"]
    assert (await flags(site, old, etag)).status_code == 304
    site.clock.advance(SECOND)
    answer = await flags(site, token(site), etag)
    assert (answer.status_code, stream(answer)["token"] != old) == (200, True)


async def test_a_server_is_told_of_no_stream(site: Site) -> None:
    assert "eventStreams" not in (await flags(site, SECRET_KEY)).json()


async def test_who_could_be_told_nothing_in_time_is_told_by_the_stream_at_once(site: Site) -> None:
    async with site.instance(Answering(down)) as site.http:
        assert stream(await flags(site, token(site)))["lastEventID"] == hint.UNKNOWN
