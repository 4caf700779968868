"""The address of visitor tokens, which a site's server asks for and hands to its visitors' browsers."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from functions.lookup import asked
from functions.lookup.admission import admit
from functions.lookup.answers import answered
from segue import entrypoint
from segue.domain.event import Json
from segue.domain.profile import IdentifierKind
from segue.domain.time import SECOND
from segue.domain.visitor_token import LONGEST_LIFE, issued

LONGEST_LIFE_S = LONGEST_LIFE // SECOND


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token for which visitor, and how many seconds it is to be good for."""

    profile: dict[IdentifierKind, Json]
    lifetime_s: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFE_S)] = LONGEST_LIFE_S


class Tokens:
    """Issues tokens to who has the secret key. A token says nothing of whether its visitor is known."""

    def __init__(self, platform: entrypoint.Serving) -> None:
        self._secret = platform.settings.profile_secret
        self._clock = platform.ports.clock
        self._catalogs = platform.catalogs

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v1/tokens", self.issue, methods=["POST"])]

    async def issue(self, request: Request) -> Response:
        """POST /v1/tokens: `token`, which opens this profile alone until `expires_at` (epoch ms)."""
        admit(request, await self._catalogs.current())
        wanted = await asked.body(request, Wanted)
        profile = asked.one_profile(wanted.profile)
        return answered(issued(self._secret, profile, self._clock.now(), wanted.lifetime_s * SECOND))
