"""The addresses of ingest: who may send, from which pages, how often, and how it is answered."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from ipaddress import IPv6Address, IPv6Network
from typing import get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.ingest.body import read_body
from functions.ingest.ingest import Accepted, Address, ingest
from segue import entrypoint, telemetry
from segue.catalogs import Catalogs
from segue.domain.call import CallType, Reception
from segue.domain.catalog import Catalog, Source
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import SegueError, Unauthorized
from segue.domain.event import Json
from segue.domain.message import EVENTS
from segue.domain.profile import profile_key
from segue.domain.rate import Allowances
from segue.domain.untrusted import decode

LONGEST_QUERY = 8_192

PREFLIGHT_KEPT_S = 7_200
"""How long a browser may remember a preflight's answer: as long as Chromium does at most."""

READABLE_HEADERS = ("ETag", "Retry-After")
"""What a browser's SDK may see of an answer, besides what any page may."""

SUCCESS = Response(b'{"success":true}', media_type="application/json")

CACHING = b"no-store"
"""An answer is nobody's to keep."""


@lru_cache(maxsize=1)
def application(platform: entrypoint.Serving, new_id: Callable[[], str]) -> ASGIApp:
    """The app for this platform; `new_id` gives each message its id."""
    endpoint = Endpoint(platform, new_id)
    calls: tuple[Address, ...] = (*get_args(CallType), "batch")
    return Starlette(
        routes=[
            *(Route(f"/v1/{call}", partial(endpoint.collect, call), methods=["POST"]) for call in calls),
            Route("/v1/import", endpoint.import_, methods=["POST"]),
        ],
        middleware=[Middleware(Answers, catalogs=platform.catalogs), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )


class Endpoint:
    """Each address of ingest, by what it does. An answer of 200 means that every event is durable in its topic."""

    def __init__(self, platform: entrypoint.Serving, new_id: Callable[[], str]) -> None:
        self._platform = platform
        self._new_id = new_id
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._allowances = Allowances()

    async def collect(self, address: Address, request: Request) -> Response:
        """POST /v1/track, /v1/identify, /v1/page or /v1/batch, with a source's write key."""
        body, catalog, now = await self._received(request)
        id_, source = _sender(catalog, request, body)
        # The client first: one that floods must not use up what the source has for everybody.
        if source.client_rate:
            client = (id_, _client(request))
            self._allowances.take(client, source.client_rate.per_second, source.client_rate.burst, now)
        if source.rate:
            self._allowances.take(id_, source.rate.per_second, source.rate.burst, now)
        reception = Reception(
            source=id_,
            trusted=source.trusts_user_id,
            imported=False,
            received_at=now,
            max_age=catalog.settings.max_age,
            sent_at=request.headers.get("sentat"),
            consent=catalog.consent,
            gpc=request.headers.get("sec-gpc") == "1",
        )
        return await self._published(ingest(body, address, reception, self._key_of, self._new_id), id_)

    async def import_(self, request: Request) -> Response:
        """POST /v1/import, with a source's secret key: it back-dates, and its user ids are the owner's own."""
        body, catalog, now = await self._received(request)
        id_ = _owner(catalog, request)
        reception = Reception(
            source=id_,
            trusted=True,
            imported=True,
            received_at=now,
            max_age=catalog.settings.max_age,
            consent=catalog.consent,
        )
        return await self._published(ingest(body, "import", reception, self._key_of, self._new_id), id_)

    async def _received(self, request: Request) -> tuple[Mapping[str, Json], Catalog, int]:
        if len(request.scope["query_string"]) > LONGEST_QUERY:
            raise HTTPException(414)
        compiled = await self._platform.catalogs.current()
        body = decode(await read_body(request))
        return body, compiled.catalog, self._platform.ports.clock.now()

    async def _published(self, accepted: Accepted, source: str) -> Response:
        await self._platform.ports.bus.publish(EVENTS, accepted.messages)
        if accepted.refused:
            telemetry.note("events_refused", "WARNING", source=source, count=accepted.refused)
        if accepted.withheld:
            telemetry.note("events_withheld", source=source, count=accepted.withheld)
        for warning, count in accepted.warnings.items():
            telemetry.note("event_warning", "DEBUG", source=source, type=warning, count=count)
        return SUCCESS


class Answers(CORSMiddleware):
    """Every answer's headers, errors' and preflights' too: which pages may read it, and nothing that could be misused.

    A preflight names no source, so that an origin passes it if any source has it; the call itself is held to its own
    source's (see `_sender`). Cookies are never allowed: nothing here needs them.
    """

    def __init__(self, app: ASGIApp, catalogs: Catalogs) -> None:
        super().__init__(
            app,
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=READABLE_HEADERS,
            max_age=PREFLIGHT_KEPT_S,
        )
        self._catalogs = catalogs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = entrypoint.safely(send, CACHING)
        if not any(name == b"origin" for name, _ in scope["headers"]):
            await self.app(scope, receive, send)
            return
        try:
            catalog = (await self._catalogs.current()).catalog
        except SegueError as error:
            await entrypoint.error_response(error)(scope, receive, send)
            return
        self.allow_origins = {origin for source in catalog.sources.values() for origin in source.origins}
        await super().__call__(scope, receive, send)


def _sender(catalog: Catalog, request: Request, body: Mapping[str, Json]) -> tuple[str, Source]:
    """The source that a write key belongs to: the Basic user name, or else the body's `writeKey`.

    The answer to a key that is missing, wrong or revoked is the same. Raises Unauthorized.
    """
    found = catalog.source_of_write_key(basic_user(_authorization(request)) or str(body.get("writeKey", "")))
    if found is None:
        raise Unauthorized("expected the write key of a source, as Basic user name or as writeKey")
    origin = request.headers.get("origin")
    if origin is not None and origin not in found[1].origins:
        raise Unauthorized("expected a page of an origin that this write key allows")
    return found


def _owner(catalog: Catalog, request: Request) -> str:
    """The id of the source that the secret key belongs to. The body is no place for a secret: it is kept."""
    authorization = _authorization(request)
    found = catalog.source_of_secret_key(basic_user(authorization) or bearer_token(authorization))
    if found is None:
        raise Unauthorized("expected the secret key of a source, as Basic user name or as Bearer token")
    return found[0]


def _authorization(request: Request) -> str:
    return request.headers.get("authorization", "")


def _client(request: Request) -> str:
    """The address that a request came from; of IPv6 the network, since a client has a whole one (a /64)."""
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
