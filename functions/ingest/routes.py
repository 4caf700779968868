"""The addresses of ingest: what each of them does, how often it may be asked, and how it is answered."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import get_args

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from functions.ingest.body import read_body
from functions.ingest.ingest import Accepted, Address, ingest
from functions.ingest.messages import withdrawal
from functions.ingest.sdks import rudderstack_source, segment_settings
from functions.ingest.senders import (
    WriteKey,
    authorization,
    key_in_address,
    key_of_call,
    owner,
    refuse_long_query,
    sender,
)
from functions.ingest.tracker import beside_scripts
from segue import entrypoint, metrics, telemetry, tracing
from segue.browsers import Answers
from segue.domain.call import CallType, Reception
from segue.domain.catalog import Catalog, Source
from segue.domain.credential import basic_user
from segue.domain.enrichment import Circumstances, circumstances
from segue.domain.errors import NotFound, Unauthorized
from segue.domain.event import Json
from segue.domain.message import EVENTS
from segue.domain.profile import profile_key
from segue.domain.rate import Allowances
from segue.domain.untrusted import decode

ADDRESSES: Mapping[str, Address] = {
    **{call: call for call in get_args(CallType)},
    **{call[0]: call for call in get_args(CallType)},
    "batch": "batch",
    "b": "batch",
}
"""What follows `/v1/`: the name of a call, or its first letter, as analytics.js has it."""

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
                Route(f"/v1/{name}", partial(endpoint.collect, address, key_of_call), methods=["POST"])
                for name, address in ADDRESSES.items()
            ),
            Route("/beacon/v1/batch", partial(endpoint.collect, "batch", key_in_address), methods=["POST"]),
            Route("/v1/import", endpoint.import_, methods=["POST"]),
            Route("/v1/links", endpoint.withdraw, methods=["DELETE"]),
            *(Route(path, endpoint.metrics, methods=["POST"]) for path in ("/v1/m", "/rsaMetrics")),
            Route("/v1/projects/{write_key}/settings", endpoint.settings, methods=["GET"]),
            *(Route(path, endpoint.source_config, methods=["GET"]) for path in ("/sourceConfig", "/sourceConfig/")),
        ],
        middleware=[Middleware(Answers, platform.catalogs, CACHING), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )
    answering.router.redirect_slashes = False  # it would name the address by the request's own Host
    return entrypoint.Observed(entrypoint.Traced(beside_scripts(answering), "ingest"), "ingest")


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
        id_, source = sender(catalog, request, write_key(request, body))
        self._take_allowances(request, id_, source, now)
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
        id_, source = owner(catalog, request)
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
        refuse_long_query(request)
        owner((await self._platform.catalogs.current()).catalog, request)
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
        write_key = basic_user(authorization(request)) or key_in_address(request, {})
        found = (await self._platform.catalogs.current()).catalog.source_of_write_key(write_key)
        if found is None:
            raise Unauthorized("expected the write key of a source, as Basic user name or as writeKey in the address")
        return JSONResponse(rudderstack_source(found[0], found[1].name, write_key))

    def _take_allowances(self, request: Request, id_: str, source: Source, now: int) -> None:
        """The client first: one that floods must not use up what the source has for everybody. Raises Throttled."""
        if source.client_rate:
            client = (id_, entrypoint.client_of(request))
            self._allowances.take(client, source.client_rate.per_second, source.client_rate.burst, now)
        if source.rate:
            self._allowances.take(id_, source.rate.per_second, source.rate.burst, now)

    def _identity_secrets(self, source: Source) -> tuple[str, ...]:
        known = self._platform.settings.identity_secrets
        return tuple(known[name] for name in source.identity_secrets if name in known)

    async def _received(self, request: Request) -> tuple[Mapping[str, Json], Catalog, int]:
        refuse_long_query(request)
        compiled = await self._platform.catalogs.current()
        body = decode(await read_body(request))
        return body, compiled.catalog, self._platform.ports.clock.now()

    def _circumstances(self, request: Request) -> Circumstances:
        address = request.client.host if request.client else ""
        return circumstances(request.headers, address, self._platform.settings.geo_headers, self._platform.locate)

    async def _published(self, accepted: Accepted, source: str) -> Response:
        tracing.tell(events=accepted.message_ids)
        await self._platform.ports.bus.publish(EVENTS, accepted.messages)
        _count(accepted)
        if accepted.refused:
            telemetry.note("events_refused", "WARNING", source=source, count=accepted.refused)
        if accepted.withheld:
            telemetry.note("events_withheld", source=source, count=accepted.withheld)
        for warning, count in accepted.warnings.items():
            telemetry.note("event_warning", "DEBUG", source=source, type=warning, count=count)
        return SUCCESS


def _count(accepted: Accepted) -> None:
    outcomes = {
        "accepted": accepted.accepted,
        "bot": accepted.of_bots,
        "withheld": accepted.withheld,
        "refused": accepted.refused,
    }
    metrics.REQUEST_EVENTS.observe(sum(outcomes.values()))
    for outcome, count in outcomes.items():
        if count:
            metrics.EVENTS.add(outcome, by=count)
