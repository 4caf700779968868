"""Behind a real HTTP cache that everybody shares, two visitors never see each other's content."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hishel import AsyncSqliteStorage, CacheOptions
from hishel.asgi import ASGICacheMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from segue.domain.profile import ProfileRef
from segue.domain.time import MINUTE
from segue.domain.visitor_token import issued
from tests.functions.looking_up import SECRET_KEY, Site, looking_up

HERO = {"slots": ["homepage-hero"], "deadline_ms": 10_000}
PATIENT = {"segue_deadline_ms": 10_000}
"""No slow machine misses these deadlines."""

ORIGIN = {"origin": "http://localhost:8080"}


class Asked(NamedTuple):
    """A request that is the same for two visitors but for who is meant: by the body, by the key, or by the address."""

    method: str
    address: str
    body: Any = None
    by_token: bool = False


ASKED = (
    Asked("POST", "/v1/decide", HERO | {"profile": {"anonymous_id": "{visitor}"}}),
    Asked("POST", "/v1/decide", HERO, by_token=True),
    Asked("POST", "/ofrep/v1/evaluate/flags", {"context": PATIENT | {"targetingKey": "{visitor}"}}),
    Asked("POST", "/ofrep/v1/evaluate/flags", {"context": PATIENT | {"targetingKey": "page"}}, by_token=True),
    Asked(
        "POST", "/ofrep/v1/evaluate/flags/segment.completed-buyer", {"context": PATIENT | {"targetingKey": "{visitor}"}}
    ),
    Asked("POST", "/v1/tokens", {"profile": {"anonymous_id": "{visitor}"}}),
    Asked("GET", "/v1/profiles/anonymous_id:{visitor}/segments"),
    Asked("GET", "/v1/profiles/anonymous_id:{visitor}"),
    Asked("GET", "/v1/spaces/shop/collections/users/profiles/anonymous_id:{visitor}/traits?class=audience"),
)


class Origin:
    """What stands behind the cache, and how many requests have reached it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        await self._app(scope, receive, send)


class Cached(NamedTuple):
    client: httpx.AsyncClient
    origin: Origin


async def cached(app: ASGIApp, folder: Path) -> AsyncIterator[Cached]:
    """A client behind a shared cache that would keep answers to POST, too, and stale ones."""
    options = CacheOptions(shared=True, supported_methods=["GET", "HEAD", "POST"], allow_stale=True)
    origin = Origin(app)
    cache = ASGICacheMiddleware(origin, AsyncSqliteStorage(database_path=folder / "cache.db"), options)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(cache), base_url="http://localhost") as client:
        yield Cached(client, origin)
    await cache.aclose()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


@pytest.fixture
async def behind_a_cache(site: Site, tmp_path: Path) -> AsyncIterator[Cached]:
    async for found in cached(site.app(recent_ms=250), tmp_path):
        yield found


async def test_the_cache_gives_everybody_what_it_may_keep(tmp_path: Path) -> None:
    """Else nothing that follows would show anything."""

    async def greet(request: Request) -> Response:
        return PlainTextResponse(f"Hello {request.headers['visitor']}", headers={"cache-control": "public, max-age=60"})

    async for client, origin in cached(Starlette(routes=[Route("/", greet)]), tmp_path):
        greetings = [(await client.get("/", headers={"visitor": visitor})).text for visitor in ("ann", "bob")]
        assert (greetings, origin.requests) == (["Hello ann", "Hello ann"], 1)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.method} {asked.address[:60]} {asked.by_token}")
async def test_each_visitor_gets_their_own(site: Site, behind_a_cache: Cached, asked: Asked) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    await site.happens("bob", "Product Added")
    client, origin = behind_a_cache
    for visitor in ("ann", "bob", "ann", "bob"):
        answer = await client.send(_request(site, client, asked, visitor))
        async with site.instance() as direct:
            own = await direct.send(_request(site, direct, asked, visitor), auth=httpx.Auth())
        assert (answer.status_code, answer.content) == (own.status_code, own.content)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "private, no-store"
    assert origin.requests == 4


async def test_what_the_right_key_was_told_is_told_to_nobody_without_it(site: Site, behind_a_cache: Cached) -> None:
    await site.happens("ann", "Order Completed", revenue=1)
    client, _ = behind_a_cache
    for asked in ASKED:
        request = _request(site, client, asked, "ann")
        assert (await client.send(request)).status_code == 200
        for headers in ({}, {"authorization": "Bearer wrong"}):
            again = client.build_request(asked.method, request.url, content=request.content, headers=headers)
            assert (await client.send(again)).status_code == 401


def _request(site: Site, client: httpx.AsyncClient, asked: Asked, visitor: str) -> httpx.Request:
    profile = ProfileRef("anonymous_id", visitor)
    token = issued(site.settings.profile_secret, profile, site.clock.now(), 10 * MINUTE).token
    headers = {"authorization": f"Bearer {token if asked.by_token else SECRET_KEY}"} | (
        ORIGIN if asked.by_token else {}
    )
    address = asked.address.replace("{visitor}", visitor)
    return client.build_request(asked.method, address, json=_named(asked.body, visitor), headers=headers)


def _named(body: Any, visitor: str) -> Any:
    if isinstance(body, Mapping):
        return {name: _named(value, visitor) for name, value in body.items()}
    return visitor if body == "{visitor}" else body
