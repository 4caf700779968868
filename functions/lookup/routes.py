"""The addresses of lookup: who may ask, how it is asked, and how it is answered."""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.lookup.decide import Question, decide
from functions.lookup.lookup import Answer, Lookup
from segue import entrypoint
from segue.catalogs import Catalogs, Compiled
from segue.domain import untrusted
from segue.domain.errors import Invalid, TooLarge, Unauthorized
from segue.domain.event import Json
from segue.domain.identity import identifier
from segue.domain.profile import IdentifierKind, ProfileRef, profile_key
from segue.domain.time import instant
from segue.ports import Ports
from segue.settings import Settings

LARGEST_BODY = 16_384

KINDS: Mapping[str, IdentifierKind] = {"user_id": "user_id", "anonymous_id": "anonymous_id"}

IN_TIME = 0.9
"""The part of the deadline after which the answer is given, so that it has arrived by the deadline."""


FOR_THE_CATALOG = 0.3
"""The part of the deadline that a stale catalogue may take to be read again."""


class Wired(Protocol):
    """What lookup needs of the platform."""

    @property
    def settings(self) -> Settings: ...

    @property
    def ports(self) -> Ports: ...

    @property
    def catalogs(self) -> Catalogs: ...


class Endpoints:
    """Each address of lookup, by the name of what it answers. All want the secret key of a source: the write key is
    public, and who only has that can never read."""

    def __init__(self, platform: Wired) -> None:
        self._platform = platform
        self._lookup = Lookup(platform.ports, platform.catalogs)

    async def profile_segments(self, request: Request) -> Response:
        """GET /v1/profiles/{user_id|anonymous_id}:{value}/segments, `?at=` for another instant than now."""
        compiled = await self._platform.catalogs.current()
        _admit(request, compiled)
        profile = _profile(*request.path_params["profile"].partition(":")[::2])
        answer = await self._lookup.answer(self._key(profile), compiled, _at(request))
        return _json(_shown(profile, answer))

    async def segments(self, request: Request) -> Response:
        """GET /v1/segments: every segment with its size and its last change, `?at=` for another instant than now."""
        compiled = await self._platform.catalogs.current()
        _admit(request, compiled)
        asked = _at(request)
        at = self._platform.ports.clock.now() if asked is None else asked
        sizes = await self._platform.ports.archive.sizes(at)
        listed = [
            {
                "id": id_,
                "name": segment["name"],
                "description": segment.get("description", ""),
                "members": sizes[id_].members if id_ in sizes else 0,
                "last_change": sizes[id_].last_change if id_ in sizes else None,
            }
            for id_, segment in compiled.catalog.segments.items()
        ]
        return _json({"as_of": at, "segments": listed})

    async def decide(self, request: Request) -> Response:
        """POST /v1/decide. The deadline holds from the moment the question has arrived."""
        question = _question(untrusted.decode(await _body(request)))
        seconds = question.deadline_ms / 1_000
        deadline = asyncio.get_running_loop().time() + seconds * IN_TIME
        compiled = await self._platform.catalogs.current(seconds * FOR_THE_CATALOG)
        _admit(request, compiled)
        profile = _asked_profile(question)
        decisions = await decide(question, self._key(profile), compiled, self._lookup, deadline)
        return _json({"profile": str(profile), **msgspec.to_builtins(decisions)})

    def _key(self, profile: ProfileRef) -> str:
        return profile_key(self._platform.settings.profile_secret, profile)


@lru_cache(maxsize=1)
def application(platform: Wired) -> ASGIApp:
    """The app for this platform."""
    endpoints = Endpoints(platform)
    return Starlette(
        routes=[
            Route("/v1/profiles/{profile:path}/segments", endpoints.profile_segments, methods=["GET"]),
            Route("/v1/segments", endpoints.segments, methods=["GET"]),
            Route("/v1/decide", endpoints.decide, methods=["POST"]),
        ],
        middleware=[Middleware(NeverCached), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )


class NeverCached:
    """Says of every answer, errors too, that no cache may keep it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["cache-control"] = "private, no-store"
            await send(message)

        await self._app(scope, receive, send_private)


def _admit(request: Request, compiled: Compiled) -> None:
    key = _credential(request.headers.get("authorization", ""))
    if compiled.catalog.source_of_secret_key(key) is None:
        raise Unauthorized("expected the secret key of a source, as Bearer token or as Basic user name")


def _credential(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return value if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _body(request: Request) -> bytes:
    body = await entrypoint.capped_body(request, LARGEST_BODY)
    if len(body) > LARGEST_BODY:
        raise TooLarge(f"expected a body of at most {LARGEST_BODY} bytes")
    return body


def _question(body: Mapping[str, Json]) -> Question:
    try:
        question = msgspec.convert(body, Question)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
    return msgspec.structs.replace(question, after=identifier(question.after, "after"))


def _asked_profile(question: Question) -> ProfileRef:
    if len(question.profile) != 1:
        raise Invalid("expected either user_id or anonymous_id", path="profile")
    return _profile(*next(iter(question.profile.items())))


def _profile(kind: str, value: Json) -> ProfileRef:
    """The profile that ingest knows by this identifier, written in the same normal form."""
    known, found = KINDS.get(kind), identifier(value, f"profile.{kind}")
    if known is None or found is None:
        raise Invalid("expected user_id or anonymous_id, and a value that is not blank", path="profile")
    return ProfileRef(known, found)


def _at(request: Request) -> int | None:
    asked = request.query_params.get("at")
    if asked is None:
        return None
    found = instant(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 20 else asked)
    if found is None:
        raise Invalid(f"expected epoch milliseconds or an ISO 8601 instant, found {asked!r:.40}", path="at")
    return found


def _shown(profile: ProfileRef, answer: Answer) -> Mapping[str, object]:
    segments = [
        {"id": id_, "since": since, "until": until} | ({"approximate": True} if id_ in answer.approximate else {})
        for id_, (since, until) in sorted(answer.segments.items())
    ]
    return {"profile": str(profile), "known": answer.known, "as_of": answer.as_of, "segments": segments}


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
