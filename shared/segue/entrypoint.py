"""How a request enters a function: a pushed CloudEvent in, an answer out, and the only map from errors to statuses."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from http import HTTPMethod, HTTPStatus
from ipaddress import IPv6Address, IPv6Network
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import msgspec
from cloudevents.exceptions import GenericException
from cloudevents.http import from_http
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from segue import failures, metrics, telemetry, tracing
from segue.catalogs import Catalogs
from segue.domain.enrichment import Locate
from segue.domain.errors import Invalid, NotFound, Rejected, SegueError, Throttled, TooLarge, Unauthorized, Unavailable
from segue.domain.time import SECOND, instant
from segue.ports import Message, Ports
from segue.settings import Settings

LARGEST_MESSAGE = 10_000_000
"""Bytes: what Pub/Sub itself carries at most."""

RETRY_AFTER_S = 1
"""When to come back after a 503: long enough for a restart or a changed leader, short enough for a waiting queue."""

HEALTH = "/health"
"""Where the cloud asks whether an instance has started, and whether it still answers; no function's path."""

REQUIRED_HEADERS = ("ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time")

METHODS = frozenset(HTTPMethod)

TRACE_HEADER = "ce-traceparent"
"""CloudEvents' extension Distributed Tracing. A server's own `traceparent` says nothing of the message."""

PUBLISH_TIME = "x-goog-pubsub-publish-time"

METADATA_HEADERS = {"ce-id": "x-goog-pubsub-message-id", "ce-time": PUBLISH_TIME}
"""Where the attribute is when the publisher cannot set it: Cloud Scheduler's are the same for every message."""

METRICS = "/metrics"
"""Where a function's process tells what it has counted."""

SAFE_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
]

STATUSES: Mapping[type[Exception], HTTPStatus] = {
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    NotFound: HTTPStatus.NOT_FOUND,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Rejected: HTTPStatus.BAD_REQUEST,
    Throttled: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The first entry that an error is an instance of decides."""

FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""Headers that say that a request came through somebody else."""

HANDSHAKES: Mapping[str, HTTPStatus] = {
    "websocket.accept": HTTPStatus.SWITCHING_PROTOCOLS,
    "websocket.close": HTTPStatus.FORBIDDEN,
}
"""What a server answers to a handshake, by what it is told first."""

Identity: TypeAlias = Callable[[str | None], Awaitable[None]]
"""Verifies an Authorization header (None: there is none), and raises Unauthorized."""

Handler: TypeAlias = Callable[[Message], Awaitable[None]]


class Wired(Protocol):
    """What an entry point needs of the platform."""

    @property
    def ports(self) -> Ports: ...

    @property
    def identity(self) -> Identity | None: ...


class Serving(Protocol):
    """What a function that answers over HTTP needs of the platform."""

    @property
    def settings(self) -> Settings: ...

    @property
    def locate(self) -> Locate: ...

    @property
    def ports(self) -> Ports: ...

    @property
    def catalogs(self) -> Catalogs: ...


async def healthy(_request: Request) -> Response:
    """GET `HEALTH`: 204 for as long as requests are taken, whatever state the store is in, which a new instance would
    find no better."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def counted(request: Request) -> Response:
    """GET `METRICS`: what this process has counted. Raises NotFound for whoever is not on this very machine."""
    expect_neighbour(request)
    return metrics_answer(metrics.text())


def metrics_answer(text: bytes) -> Response:
    """Metrics in Prometheus' text format, as they are told."""
    return Response(text, headers={"content-type": metrics.CONTENT_TYPE, "cache-control": "no-store"})


def expect_neighbour(request: Request) -> None:
    """Raises NotFound unless this very machine asks: a request that came through a load balancer is marked by it."""
    host = request.client.host if request.client else ""
    if host not in ("127.0.0.1", "::1") or not FORWARDED.isdisjoint(request.headers):
        raise NotFound("there is no such address")


BESIDE: Mapping[str, Callable[[Request], Awaitable[Response]]] = {HEALTH: healthy, METRICS: counted}
"""What every function answers, whatever else it does."""


def served(function: Callable[[Request], Awaitable[ASGIApp]]) -> Callable[[Request], Awaitable[ASGIApp]]:
    """What the server calls: `function`, and beside it the answers to whether it is healthy and to what it has counted.
    What is raised before the function's own answers exist is answered, too."""

    @wraps(function)
    async def answered(request: Request) -> ASGIApp:
        beside = BESIDE.get(request.scope["path"])
        try:
            if beside:
                return await beside(request)
            return await function(request)
        except SegueError as error:
            return await _answer_error(request, error)

    return answered


async def acknowledge(request: Request, platform: Wired, function: str, topic: str, handler: Handler) -> Response:
    """Let `handler` work on the CloudEvent that was pushed, and acknowledge it with 204.

    What can never succeed is recorded in `failed_events`, as given up by `function` and replayable through `topic`, and
    then acknowledged too. Whatever else is raised, by the recording as well, brings the message back. A caller who is
    not the configured one gets 403, which is counted, and nothing is recorded.
    """
    began = perf_counter()
    with metrics.OnBehalfOf(function):
        response, outcome = await _worked_on(request, platform, function, topic, handler)
        metrics.MESSAGE_SECONDS.observe(perf_counter() - began, outcome)
        published_at = instant(request.headers.get(PUBLISH_TIME))
        if published_at is not None and outcome in ("acknowledged", "recorded"):
            metrics.HOP_SECONDS.observe((platform.ports.clock.now() - published_at) / SECOND)
    return response


async def _worked_on(
    request: Request, platform: Wired, function: str, topic: str, handler: Handler
) -> tuple[Response, str]:
    """What a push is answered, and what came of it."""
    headers = request.headers
    try:
        if platform.identity:
            await platform.identity(headers.get("authorization"))
    except Unauthorized as error:
        telemetry.note("push_refused", "WARNING", function=function)
        return error_response(error, HTTPStatus.FORBIDDEN), "refused"
    except Exception as error:
        return _returned(error, headers, function), "returned"
    with tracing.call(
        function,
        "consumer",
        tracing.traceparent(headers.get(TRACE_HEADER, "")),
        function=function,
        trigger="pubsub",
        type=headers.get("ce-type", ""),
        message=headers.get("ce-id", ""),
    ):
        outcome = "acknowledged"
        try:
            body = await capped_body(request, LARGEST_MESSAGE)
            try:
                await handler(cloud_event(headers, body))
            except Rejected as error:
                tracing.tell(error=error)
                await failures.record(platform.ports, function, topic, _as_it_came(headers, body), str(error))
                outcome = "recorded"
        except Exception as error:
            tracing.tell(error=error)
            return _returned(error, headers, function), "returned"
        telemetry.note("message_acknowledged", "DEBUG", function=function)
        return Response(status_code=HTTPStatus.NO_CONTENT), outcome


def _returned(error: Exception, headers: Mapping[str, str], function: str) -> Response:
    """What a push is answered whose message is to come back."""
    telemetry.note(
        "message_not_acknowledged",
        "WARNING" if isinstance(error, Unavailable) else "ERROR",
        function=function,
        message=headers.get("ce-id", ""),
        error=type(error).__name__,
        where=telemetry.where(error),
    )
    return error_response(error)


async def capped_body(request: Request, largest: int) -> bytes:
    """The request's body, read no further than one byte beyond the largest."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk[: largest + 1 - len(body)]
        if len(body) > largest:
            break
    return bytes(body)


def client_of(request: Request) -> str:
    """The address that a request came from; of IPv6 the network, since a client has a whole one (a /64)."""
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    address = IPv6Address(host)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))


def cloud_event(headers: Mapping[str, str], body: bytes) -> Message:
    """The message of a binary-mode CloudEvent, its data not yet decoded. Raises Invalid, or TooLarge."""
    if len(body) > LARGEST_MESSAGE:
        raise TooLarge(f"expected a message of at most {LARGEST_MESSAGE} bytes")
    headers = _with_metadata(headers)
    for name in REQUIRED_HEADERS:
        if not headers.get(name):
            raise Invalid("is missing or empty", path=name)
    try:
        event = from_http(headers, body, data_unmarshaller=lambda data: data)
    except GenericException as error:
        raise Invalid(f"expected a CloudEvent: {error}") from None
    time = instant(event["time"])
    if time is None:
        raise Invalid(f"expected an instant, found {event['time']!r:.40}", path="ce-time")
    trace = tracing.traceparent(headers.get(TRACE_HEADER, ""))
    return Message(id=event["id"], type=event["type"], source=event["source"], time=time, data=body, trace=trace)


def error_response(error: Exception, status: int | None = None) -> Response:
    """What a caller is told of an error. A bug's message stays inside, for it may show what a visitor sent."""
    status = HTTPStatus(status or next(status for kind, status in STATUSES.items() if isinstance(error, kind)))
    message = status.phrase if status == HTTPStatus.INTERNAL_SERVER_ERROR else str(error)
    body = {"success": False, "code": status.name.lower(), "message": message}
    return Response(msgspec.json.encode(body), status, _retry_after(error), media_type="application/json")


def _retry_after(error: Exception) -> Mapping[str, str]:
    if isinstance(error, Throttled):
        return {"retry-after": str(error.retry_after), "x-ratelimit-reset": str(error.retry_after)}
    return {"retry-after": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else {}


def count_error(error: Exception) -> None:
    """Count an error that a request is answered with, and log it where it is ours."""
    if isinstance(error, Throttled):
        telemetry.note("request_throttled", "DEBUG")
    elif isinstance(error, Rejected):
        telemetry.note("request_refused", "DEBUG", error=type(error).__name__)
    else:
        tracing.tell(error=error)
        telemetry.note("request_failed", "ERROR", error=type(error).__name__, where=telemetry.where(error))


async def _answer_error(_request: HTTPConnection, error: Exception) -> Response:
    count_error(error)
    return error_response(error)


async def _answer_refused_route(_request: Request, error: Exception) -> Response:
    response = error_response(error, getattr(error, "status_code", HTTPStatus.NOT_FOUND))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


exception_handlers: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: _answer_refused_route,
    SegueError: _answer_error,
}
"""For the Starlette app of an HTTP function, with `BugsAnswered` as its innermost middleware."""


class BugsAnswered:
    """Answers whatever else is raised, too. Starlette's own handler of `Exception` would raise a bug again once it is
    answered, and the server would log its message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            await (await _answer_error(HTTPConnection(scope), error))(scope, receive, send)


class Observed:
    """Measures what an app answers on behalf of a function: of each request how long it took to begin with an answer,
    its status and how large both were; of a WebSocket, until it was accepted (101) or refused (403). What every
    function answers beside is nobody's request."""

    def __init__(self, app: ASGIApp, function: str) -> None:
        self._app = app
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in BESIDE:
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        answered = False

        async def receive_observed() -> ASGIMessage:
            message = await receive()
            if body := message.get("body"):
                metrics.REQUEST_BYTES.add("received", by=len(body))
            return message

        async def send_observed(message: ASGIMessage) -> None:
            nonlocal answered
            if body := message.get("body"):
                metrics.REQUEST_BYTES.add("answered", by=len(body))
            if not answered:
                answered = True
                status = message.get("status") or HANDSHAKES.get(message["type"])
                if status:
                    metrics.REQUEST_SECONDS.observe(perf_counter() - began, str(status))
            await send(message)

        with metrics.OnBehalfOf(self._function):
            await self._app(scope, receive_observed, send_observed)


class Traced:
    """Begins a trace with each request that an app answers on behalf of a function. What the request says of traces is
    a stranger's, and nothing is made of it."""

    def __init__(self, app: ASGIApp, function: str) -> None:
        self._app = app
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not tracing.is_on():
            await self._app(scope, receive, send)
            return

        async def send_traced(message: ASGIMessage) -> None:
            if message["type"] == "http.response.start":
                tracing.tell(status=message["status"])
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        with tracing.call(method, "server", function=self._function, trigger="http", method=method):
            await self._app(scope, receive, send_traced)
            if route := _route(scope):
                tracing.tell(f"{method} {route}", route=route)


def _route(scope: Scope) -> str:
    """The address as its app has it, with names in the place of what is different each time; empty if it has none."""
    routes = scope["app"].router.routes if "app" in scope else ()
    return next((route.path for route in routes if route.matches(scope)[0] != Match.NONE), "")


def safely(send: Send, caching: bytes) -> Send:
    """Sends answers, errors too, that no page may show or take for anything but what they say they are; `caching` is
    who may keep them."""

    async def send_safely(message: ASGIMessage) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"cache-control", caching), *SAFE_HEADERS]
        await send(message)

    return send_safely


def _with_metadata(headers: Mapping[str, str]) -> Mapping[str, str]:
    found = {name: headers[metadata] for name, metadata in METADATA_HEADERS.items() if metadata in headers}
    return found | dict(headers)


def _as_it_came(headers: Mapping[str, str], body: bytes) -> Message:
    """The message of a request that may be none: where an id is missing, equal bodies are one message."""
    headers = _with_metadata(headers)
    return Message(
        id=headers.get("ce-id") or hashlib.sha256(body).hexdigest(),
        type=headers.get("ce-type", ""),
        source=headers.get("ce-source", ""),
        time=0,
        data=body,
    )
