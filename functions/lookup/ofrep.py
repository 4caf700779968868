"""The addresses of OFREP, the OpenFeature Remote Evaluation Protocol (version 0.3): one flag, or all of them."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions.lookup import asked
from functions.lookup.admission import Admission, Asker, key
from functions.lookup.answers import answered
from functions.lookup.deadline import Deadline
from functions.lookup.decide import Inquiry, Known, known_by
from functions.lookup.flags import Refused, context_of, flag, flags
from functions.lookup.lookup import Lookup
from segue import entrypoint
from segue.catalogs import Compiled
from segue.domain import hint
from segue.domain.errors import NotFound
from segue.domain.profile import profile_key

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]

PREFIX = "/ofrep/"
FLAGS = f"{PREFIX}v1/evaluate/flags"

REFETCHING = frozenset({"flagConfigEtag", "flagConfigLastModified"})
"""What the address of a provider names that was told of a change: the answer has to be newer than what told it."""


class UnknownFlag(NotFound):
    """Neither a slot nor a segment that the asker may read."""


class Evaluated(msgspec.Struct, frozen=True):
    """Who asks, by which version of the catalogue they are answered, and what is known of the visitor."""

    who: Asker
    compiled: Compiled
    known: Known


class Evaluations:
    """Evaluates flags for sites' servers, and for visitors' browsers."""

    def __init__(self, platform: entrypoint.Serving, admission: Admission, lookup: Lookup) -> None:
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._platform = platform
        self._admission = admission
        self._lookup = lookup

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(FLAGS, self.all, methods=["POST"]),
            Route(f"{FLAGS}/{{key:path}}", self.one, methods=["POST"]),
        ]

    async def one(self, request: Request) -> Response:
        """POST /ofrep/v1/evaluate/flags/{key}: one flag for the context's visitor. Raises `UnknownFlag`."""
        wanted = request.path_params["key"]
        evaluated = await self._evaluated(request, [wanted])
        found = flag(wanted, evaluated.compiled, evaluated.known, public=evaluated.who.visitor is not None)
        if found is None:
            raise UnknownFlag(f"expected a slot's id or segment.<id>, found {wanted!r:.80}")
        return answered(found)

    async def all(self, request: Request) -> Response:
        """POST /ofrep/v1/evaluate/flags: every flag for the context's visitor; 304 if the asker has this answer.

        A browser is told where it hears of changes, too, with its token: a new one makes the answer another one.
        """
        evaluated = await self._evaluated(request)
        token = key(request) if evaluated.who.visitor else ""
        found = flags(evaluated.compiled, evaluated.known, public=evaluated.who.visitor is not None)
        encoded = msgspec.json.encode(list(found))
        etag = f'"{hashlib.sha256(encoded + token.encode()).hexdigest()[:32]}"'
        if etag in _named(request.headers.get("if-none-match", "")):
            response = Response(status_code=304)
        else:
            answer = {"flags": msgspec.Raw(encoded), "metadata": {"catalog": evaluated.compiled.version}}
            response = answered(answer | ({"eventStreams": [self._stream(evaluated.known, token)]} if token else {}))
        response.headers["etag"] = etag
        return response

    def _stream(self, known: Known, token: str) -> Mapping[str, Any]:
        """Where changes are heard of, from this answer on: what has come since is told at once."""
        told = hint.UNKNOWN
        if known.answer:
            key = self._key_of(known.answer.profile or known.inquiry.names.profiles[0])
            segments = known.answer.segments.keys() | known.answer.unnamed
            told = hint.position(self._platform.settings.profile_secret, key, segments)
        return {"type": "sse", "endpoint": {"requestUri": f"/v1/stream?token={token}&lastEventID={told}"}}

    async def _evaluated(self, request: Request, slots: Collection[str] | None = None) -> Evaluated:
        """What is known for these slots, for all without any. The deadline counts from when the context has arrived. A
        browser's visitor is whom its token names, whatever the context says."""
        asked.refuse_long_query(request)
        context = context_of(await asked.read_body(request))
        deadline = Deadline(context.deadline_ms)
        compiled = await deadline.catalog(self._platform.catalogs)
        who = self._admission.asker(request, compiled)
        names = context.names(who.visitor)
        inquiry = Inquiry(
            names=names,
            keys=tuple(map(self._key_of, names.profiles)),
            slots=compiled.slots.keys() if slots is None else slots,
            after=context.after,
            newest=not REFETCHING.isdisjoint(request.query_params),
            recent=who.visitor is None,
        )
        return Evaluated(who, compiled, await known_by(deadline.at, inquiry, compiled, self._lookup))


def _named(if_none_match: str) -> frozenset[str]:
    return frozenset(etag.strip().removeprefix("W/") for etag in if_none_match.split(","))


def in_its_words(handler: Handler) -> Handler:
    """An error as every function answers it, said as OFREP says it to who asks by OFREP."""

    async def answer(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        if not request.url.path.startswith(PREFIX):
            return response
        key = {"key": request.path_params["key"]} if "key" in request.path_params else {}
        details = msgspec.json.decode(response.body)["message"]
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        body = msgspec.json.encode({**key, "errorCode": _code(error), "errorDetails": details})
        return Response(body, response.status_code, headers)

    return answer


def _code(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.code
    return "FLAG_NOT_FOUND" if isinstance(error, UnknownFlag) else "GENERAL"
