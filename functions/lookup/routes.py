"""The addresses of lookup: who may ask, and how it is answered."""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.lookup import asked
from functions.lookup.decide import decide
from functions.lookup.export import exported
from functions.lookup.lookup import Answer, Lookup
from segue import entrypoint
from segue.catalogs import Compiled
from segue.domain import rules
from segue.domain.errors import Unauthorized
from segue.domain.links import Entry
from segue.domain.message import ERASURES, PROFILE_ERASED, ProfileErased
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Message

IN_TIME = 0.9
"""The part of the deadline after which a decision is made, so that it has arrived by the deadline."""

FOR_A_NEWER_CATALOG = 0.3
"""The part of the deadline that a stale catalogue may take to be read again; the first may take all of it."""

MESSAGE_SOURCE = "//segue/lookup"

CACHING = b"private, no-store"
"""An answer is one visitor's, for no cache to keep."""


@lru_cache(maxsize=1)
def application(platform: entrypoint.Serving, new_id: Callable[[], str]) -> ASGIApp:
    """The app for this platform; `new_id` gives each receipt its id."""
    endpoint = Endpoint(platform, new_id)
    return Starlette(
        routes=[
            Route("/v1/profiles/{profile:path}/segments", endpoint.segments_of_profile, methods=["GET"]),
            Route("/v1/profiles/{profile:path}/segments/{segment}/why", endpoint.why, methods=["GET"]),
            Route("/v1/profiles/{profile:path}/links", endpoint.links, methods=["GET"]),
            OfProfile("/v1/profiles/{profile:path}", endpoint.export, methods=["GET"]),
            OfProfile("/v1/profiles/{profile:path}", endpoint.erase, methods=["DELETE"]),
            Route("/v1/segments", endpoint.segments, methods=["GET"]),
            Route("/v1/decide", endpoint.decide, methods=["POST"]),
        ],
        middleware=[Middleware(Answers), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )


class OfProfile(Route):
    """An address that ends with the profile. A slash in an id is sent as %2F: nothing further is taken for a part."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_whole = scope["type"] == "http" and scope["raw_path"].count(b"/") == self.path.count("/")
        return super().matches(scope) if is_whole else (Match.NONE, {})


class Endpoint:
    """Each address of lookup, by what it tells. All want the secret key of a source, from the CMS's own server: a write
    key is public, and who has only that can never read."""

    def __init__(self, platform: entrypoint.Serving, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._settings = platform.settings
        self._ports = platform.ports
        self._catalogs = platform.catalogs
        self._lookup = Lookup(platform.ports, platform.catalogs)

    async def segments_of_profile(self, request: Request) -> Response:
        """GET /v1/profiles/{user_id|anonymous_id}:{value}/segments: those a visitor is in, now or `?at=` an instant."""
        compiled = await self._catalogs.current()
        _admit(request, compiled)
        profile = _profile(request)
        answer = await self._lookup.answer(self._key(profile), compiled, asked.at(request))
        return _json(_shown(profile, answer))

    async def why(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}/segments/{id}/why: what each condition finds, as values and in words."""
        compiled = await self._catalogs.current()
        _admit(request, compiled)
        profile = _profile(request)
        segment = request.path_params["segment"]
        explanation = await self._lookup.explanation(self._key(profile), compiled, segment, asked.at(request))
        return _json({
            "profile": str(profile),
            **msgspec.structs.asdict(explanation),
            "words": rules.words(explanation),
        })  # fmt: skip

    async def links(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}/links: which visitors were said to be the user, and what came of it.

        Asked of an anonymous visitor who is linked, it tells of the user.
        """
        compiled = await self._catalogs.current()
        _admit(request, compiled)
        profile = _profile(request)
        found = await self._lookup.links(self._key(profile))
        return _json({
            "profile": str(found.profile if found else profile),
            "links": [_without_key(entry) for entry in found.entries] if found else [],
            "refused": found.refused if found else 0,
        })  # fmt: skip

    async def export(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}: all that is held about a visitor, to be shown to them."""
        _admit(request, await self._catalogs.current())
        profile = _profile(request)
        return _json(await exported(self._ports, self._catalogs, profile, self._key(profile)))

    async def erase(self, request: Request) -> Response:
        """DELETE /v1/profiles/{kind}:{value}: forget a visitor; 202 with a receipt, whether they are known or not.

        What is received from now on begins a new profile.
        """
        _admit(request, await self._catalogs.current())
        profile, receipt, now = _profile(request), self._new_id(), self._ports.clock.now()
        erased = ProfileErased(key=self._key(profile), at=now)
        message = Message(
            id=receipt, type=PROFILE_ERASED, source=MESSAGE_SOURCE, time=now, data=msgspec.json.encode(erased)
        )
        await self._ports.bus.publish(ERASURES, [message])
        return _json({"profile": str(profile), "receipt": receipt, "erased_at": now}, HTTPStatus.ACCEPTED)

    async def segments(self, request: Request) -> Response:
        """GET /v1/segments: every segment with its size and its last change, now or `?at=` an instant.

        `status` is `live`, or `filling` while a segment still answers as it was defined before: its past is looked
        through for what is newly measured, and `filled` is the share of the profiles for which that is done.
        """
        compiled = await self._catalogs.current()
        _admit(request, compiled)
        at = asked.at(request)
        at = self._ports.clock.now() if at is None else at
        sizes = await self._ports.archive.sizes(at)
        filled = await self._lookup.filled(compiled)
        listed = [
            {
                "id": id_,
                "name": segment["name"],
                "description": segment.get("description", ""),
                "members": sizes[id_].members if id_ in sizes else 0,
                "last_change": sizes[id_].last_change if id_ in sizes else None,
                **({"status": "filling", "filled": filled} if id_ in compiled.waiting else {"status": "live"}),
            }
            for id_, segment in compiled.catalog.segments.items()
        ]
        return _json({"as_of": at, "catalog": compiled.version, "segments": listed})

    async def decide(self, request: Request) -> Response:
        """POST /v1/decide: what fills each slot. The deadline counts from when the question has arrived."""
        question = await asked.question(request)
        seconds = question.deadline_ms / 1_000
        deadline = asyncio.get_running_loop().time() + seconds * IN_TIME
        patience_s = seconds * (FOR_A_NEWER_CATALOG if self._catalogs.held else IN_TIME)
        compiled = await self._catalogs.current(patience_s)
        _admit(request, compiled)
        ((kind, value),) = question.profile.items()
        profile = asked.profile(kind, value)
        return _json(await decide(question, self._key(profile), compiled, self._lookup, deadline))

    def _key(self, profile: ProfileRef) -> str:
        return profile_key(self._settings.profile_secret, profile)


class Answers:
    """Makes every answer safe to send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, entrypoint.safely(send, CACHING))


def _admit(request: Request, compiled: Compiled) -> None:
    if compiled.catalog.source_of_secret_key(asked.key(request)) is None:
        raise Unauthorized("expected the secret key of a source, as Bearer token or as Basic user name")


def _profile(request: Request) -> ProfileRef:
    kind, _, value = request.path_params["profile"].partition(":")
    return asked.profile(kind, value)


def _without_key(entry: Entry) -> Mapping[str, object]:
    return {name: value for name, value in msgspec.to_builtins(entry).items() if name != "key"}


def _shown(profile: ProfileRef, answer: Answer) -> Mapping[str, object]:
    segments = [
        {"id": id_, "since": since, "until": until} | ({"approximate": True} if id_ in answer.approximate else {})
        for id_, (since, until) in sorted(answer.segments.items())
    ]
    return {"profile": str(profile), "known": answer.known, "as_of": answer.as_of, "segments": segments}


def _json(value: object, status: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
