"""The addresses of ingest: who may send, from which pages, how often, and how it is answered."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from ipaddress import IPv6Address, IPv6Network
from typing import TypeAlias, get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.ingest.body import read_body
from functions.ingest.ingest import Accepted, Address, ingest, withdrawal
from functions.ingest.sdks import rudderstack_source, segment_settings
from functions.ingest.tracker import beside_scripts
from segue import entrypoint, telemetry
from segue.catalogs import Catalogs
from segue.domain.call import CallType, Reception
from segue.domain.catalog import Catalog, Source
from segue.domain.credential import basic_user, bearer_token
from segue.domain.enrichment import Circumstances, circumstances
from segue.domain.errors import NotFound, SegueError, Unauthorized
from segue.domain.event import Json
from segue.domain.message import EVENTS
from segue.domain.profile import profile_key
from segue.domain.rate import Allowances
from segue.domain.untrusted import decode

LONGEST_QUERY = 8_192

PREFLIGHT_KEPT_S = 7_200
"""How long a browser may remember a preflight's answer: as long as Chromium does at most."""

READABLE_HEADERS = ("ETag", "Retry-After", "X-RateLimit-Reset")
"""What a browser's SDK may see of an answer, besides what any page may."""

ADDRESSES: Mapping[str, Address] = {
    **{call: call for call in get_args(CallType)},
    **{call[0]: call for call in get_args(CallType)},
    "batch": "batch",
    "b": "batch",
}
"""What follows `/v1/`: the name of a call, or its first letter, as analytics.js has it."""

WriteKey: TypeAlias = Callable[[Request, Mapping[str, Json]], str]
"""Finds the write key in a request and its body; empty if there is none."""

SUCCESS = Response(b'{"success":true}', media_type="application/json")

IDENTITY_HEADER = "x-segue-identity"
"""Where an identity token may be, for senders that cannot put it into the context."""

CACHING = b"no-store"
"""An answer is nobody's to keep."""


@lru_cache(maxsize=1)
def application(platform: entrypoint.Serving, new_id: Callable[[], str]) -> ASGIApp:
    """The app for this platform; `new_id` gives each message its id."""
    endpoint = Endpoint(platform, new_id)
    answering = Starlette(
        routes=[
            *(
                Route(f"/v1/{name}", partial(endpoint.collect, address, _key_of_call), methods=["POST"])
                for name, address in ADDRESSES.items()
            ),
            Route("/beacon/v1/batch", partial(endpoint.collect, "batch", _key_in_address), methods=["POST"]),
            Route("/v1/import", endpoint.import_, methods=["POST"]),
            Route("/v1/links", endpoint.withdraw, methods=["DELETE"]),
            *(Route(path, endpoint.metrics, methods=["POST"]) for path in ("/v1/m", "/rsaMetrics")),
            Route("/v1/projects/{write_key}/settings", endpoint.settings, methods=["GET"]),
            *(Route(path, endpoint.source_config, methods=["GET"]) for path in ("/sourceConfig", "/sourceConfig/")),
        ],
        middleware=[Middleware(Answers, catalogs=platform.catalogs), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )
    return beside_scripts(answering)


class Endpoint:
    """Each address of ingest, by what it does. An answer of 200 means that every event is durable in its topic."""

    def __init__(self, platform: entrypoint.Serving, new_id: Callable[[], str]) -> None:
        self._platform = platform
        self._new_id = new_id
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._allowances = Allowances()

    async def collect(self, address: Address, write_key: WriteKey, request: Request) -> Response:
        """POST to one of ADDRESSES or to /beacon/v1/batch, with a source's write key."""
        body, catalog, now = await self._received(request)
        id_, source = _sender(catalog, request, write_key(request, body))
        # The client first: one that floods must not use up what the source has for everybody.
        if source.client_rate:
            client = (id_, _client(request))
            self._allowances.take(client, source.client_rate.per_second, source.client_rate.burst, now)
        if source.rate:
            self._allowances.take(id_, source.rate.per_second, source.rate.burst, now)
        reception = Reception(
            source=id_,
            trusted=source.identity == "trusted",
            imported=False,
            received_at=now,
            max_age=catalog.settings.max_age,
            keeps_contact_details=source.keeps_contact_details,
            keeps_bots=source.bots == "keep",
            circumstances=self._circumstances(request),
            sent_at=request.headers.get("sentat"),
            consent=catalog.consent,
            gpc=request.headers.get("sec-gpc") == "1",
            identity_secrets=self._identity_secrets(source),
            identity_token=request.headers.get(IDENTITY_HEADER),
        )
        return await self._published(ingest(body, address, reception, self._key_of, self._new_id), id_)

    async def import_(self, request: Request) -> Response:
        """POST /v1/import, with a source's secret key: it back-dates, and its user ids are the owner's own."""
        body, catalog, now = await self._received(request)
        id_, source = _owner(catalog, request)
        reception = Reception(
            source=id_,
            trusted=True,
            imported=True,
            received_at=now,
            max_age=catalog.settings.max_age,
            consent=catalog.consent,
            keeps_contact_details=source.keeps_contact_details,
            keeps_bots=source.bots == "keep",
            circumstances=Circumstances(locate=self._platform.locate),
        )
        return await self._published(ingest(body, "import", reception, self._key_of, self._new_id), id_)

    async def withdraw(self, request: Request) -> Response:
        """DELETE /v1/links?anonymous_id=…&user_id=…, with a source's secret key: the visitor was not the user."""
        _refuse_long_query(request)
        _owner((await self._platform.catalogs.current()).catalog, request)
        message = withdrawal(request.query_params, self._platform.ports.clock.now(), self._key_of, self._new_id)
        await self._platform.ports.bus.publish(EVENTS, [message])
        return SUCCESS

    async def metrics(self, request: Request) -> Response:
        """POST /v1/m or /rsaMetrics: what SDKs measure of themselves. It is counted, and dropped."""
        await read_body(request)
        telemetry.note("sdk_metrics_dropped", "DEBUG")
        return SUCCESS

    async def settings(self, request: Request) -> Response:
        """GET /v1/projects/{write_key}/settings, which analytics.js asks of its `cdnURL`. Raises NotFound."""
        write_key = request.path_params["write_key"]
        if (await self._platform.catalogs.current()).catalog.source_of_write_key(write_key) is None:
            raise NotFound("expected the write key of a source in the address")
        return JSONResponse(segment_settings(write_key, request))

    async def source_config(self, request: Request) -> Response:
        """GET /sourceConfig?writeKey=…, which RudderStack's SDKs ask of their `configUrl`; the key may be Basic too."""
        write_key = basic_user(_authorization(request)) or _key_in_address(request, {})
        found = (await self._platform.catalogs.current()).catalog.source_of_write_key(write_key)
        if found is None:
            raise Unauthorized("expected the write key of a source, as Basic user name or as writeKey in the address")
        return JSONResponse(rudderstack_source(found[0], found[1].name, write_key))

    def _identity_secrets(self, source: Source) -> tuple[str, ...]:
        known = self._platform.settings.identity_secrets
        return tuple(known[name] for name in source.identity_secrets if name in known)

    async def _received(self, request: Request) -> tuple[Mapping[str, Json], Catalog, int]:
        _refuse_long_query(request)
        compiled = await self._platform.catalogs.current()
        body = decode(await read_body(request))
        return body, compiled.catalog, self._platform.ports.clock.now()

    def _circumstances(self, request: Request) -> Circumstances:
        address = request.client.host if request.client else ""
        return circumstances(request.headers, address, self._platform.settings.geo_headers, self._platform.locate)

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
            allow_methods=["GET", "POST"],
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


def _sender(catalog: Catalog, request: Request, key: str) -> tuple[str, Source]:
    """The source that a write key belongs to, if the page that sends, if any, is one of its own.

    The answer to a key that is missing, wrong or revoked is the same. Raises Unauthorized.
    """
    found = catalog.source_of_write_key(key)
    if found is None:
        raise Unauthorized("expected the write key of a source, as Basic user name or as writeKey")
    origin = request.headers.get("origin")
    if origin is not None and origin not in found[1].origins:
        raise Unauthorized("expected a page of an origin that this write key allows")
    return found


def _owner(catalog: Catalog, request: Request) -> tuple[str, Source]:
    """The source that the secret key belongs to. The body is no place for a secret: it is kept."""
    authorization = _authorization(request)
    found = catalog.source_of_secret_key(basic_user(authorization) or bearer_token(authorization))
    if found is None:
        raise Unauthorized("expected the secret key of a source, as Basic user name or as Bearer token")
    return found


def _key_of_call(request: Request, body: Mapping[str, Json]) -> str:
    """The Basic user name, or else the body's `writeKey`."""
    return basic_user(_authorization(request)) or str(body.get("writeKey", ""))


def _key_in_address(request: Request, _body: Mapping[str, Json]) -> str:
    """The `writeKey` of the address: RudderStack's beacon can set no header and leaves it out of the body."""
    _refuse_long_query(request)
    return request.query_params.get("writeKey", "")


def _refuse_long_query(request: Request) -> None:
    if len(request.scope["query_string"]) > LONGEST_QUERY:
        raise HTTPException(414)


def _authorization(request: Request) -> str:
    return request.headers.get("authorization", "")


def _client(request: Request) -> str:
    """The address that a request came from; of IPv6 the network, since a client has a whole one (a /64)."""
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
