"""The addresses of one visitor: their segments and why, who they are, all that is held, and that it be forgotten."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from functions.lookup import asked
from functions.lookup.admission import admit
from functions.lookup.answers import answered
from functions.lookup.export import exported
from functions.lookup.lookup import Answer, Lookup
from segue import entrypoint
from segue.domain import rules
from segue.domain.links import Entry
from segue.domain.message import ERASURES, PROFILE_ERASED, ProfileErased
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Message

MESSAGE_SOURCE = "//segue/lookup"


class OfProfile(Route):
    """An address that ends with the profile. A slash in an id is sent as %2F: nothing further is taken for a part."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_whole = scope["type"] == "http" and scope["raw_path"].count(b"/") == self.path.count("/")
        return super().matches(scope) if is_whole else (Match.NONE, {})


class Profiles:
    """Each address, by what it tells. All want the secret key; `new_id` gives each receipt its id."""

    def __init__(self, platform: entrypoint.Serving, lookup: Lookup, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._key_of = partial(profile_key, platform.settings.profile_secret)
        self._ports = platform.ports
        self._catalogs = platform.catalogs
        self._lookup = lookup

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/v1/profiles/{profile:path}/segments", self.segments, methods=["GET"]),
            Route("/v1/profiles/{profile:path}/segments/{segment}/why", self.why, methods=["GET"]),
            Route("/v1/profiles/{profile:path}/links", self.links, methods=["GET"]),
            OfProfile("/v1/profiles/{profile:path}", self.export, methods=["GET"]),
            OfProfile("/v1/profiles/{profile:path}", self.erase, methods=["DELETE"]),
        ]

    async def segments(self, request: Request) -> Response:
        """GET /v1/profiles/{user_id|anonymous_id}:{value}/segments: those a visitor is in, now or `?at=` an instant."""
        compiled = await self._catalogs.current()
        admit(request, compiled)
        profile = asked.profile_in_address(request)
        answer = await self._lookup.answer(self._key_of(profile), compiled, asked.at(request))
        return answered(_shown(profile, answer))

    async def why(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}/segments/{id}/why: what each condition finds, as values and in words."""
        compiled = await self._catalogs.current()
        admit(request, compiled)
        profile = asked.profile_in_address(request)
        segment = request.path_params["segment"]
        explanation = await self._lookup.explanation(self._key_of(profile), compiled, segment, asked.at(request))
        return answered({
            "profile": str(profile),
            **msgspec.structs.asdict(explanation),
            "words": rules.words(explanation),
        })  # fmt: skip

    async def links(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}/links: which visitors were said to be the user, and what came of it.

        Asked of an anonymous visitor who is linked, it tells of the user.
        """
        compiled = await self._catalogs.current()
        admit(request, compiled)
        profile = asked.profile_in_address(request)
        found = await self._lookup.links(self._key_of(profile))
        return answered({
            "profile": str(found.profile if found else profile),
            "links": [_without_key(entry) for entry in found.entries] if found else [],
            "refused": found.refused if found else 0,
        })  # fmt: skip

    async def export(self, request: Request) -> Response:
        """GET /v1/profiles/{kind}:{value}: all that is held about a visitor, to be shown to them."""
        admit(request, await self._catalogs.current())
        profile = asked.profile_in_address(request)
        return answered(await exported(self._ports, self._catalogs, profile, self._key_of(profile)))

    async def erase(self, request: Request) -> Response:
        """DELETE /v1/profiles/{kind}:{value}: forget a visitor; 202 with a receipt, whether they are known or not.

        What is received from now on begins a new profile.
        """
        admit(request, await self._catalogs.current())
        profile, receipt, now = asked.profile_in_address(request), self._new_id(), self._ports.clock.now()
        erased = ProfileErased(key=self._key_of(profile), at=now)
        message = Message(
            id=receipt, type=PROFILE_ERASED, source=MESSAGE_SOURCE, time=now, data=msgspec.json.encode(erased)
        )
        await self._ports.bus.publish(ERASURES, [message])
        return answered({"profile": str(profile), "receipt": receipt, "erased_at": now}, HTTPStatus.ACCEPTED)


def _without_key(entry: Entry) -> Mapping[str, object]:
    return {name: value for name, value in msgspec.to_builtins(entry).items() if name != "key"}


def _shown(profile: ProfileRef, answer: Answer) -> Mapping[str, object]:
    segments = [
        {"id": id_, "since": since, "until": until} | ({"approximate": True} if id_ in answer.approximate else {})
        for id_, (since, until) in sorted(answer.segments.items())
    ]
    return {"profile": str(profile), "known": answer.known, "as_of": answer.as_of, "segments": segments}
