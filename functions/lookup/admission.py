"""Who may ask lookup: a site's own server about anybody, and a visitor's own browser about that visitor."""

import msgspec
from starlette.requests import Request

from segue.catalogs import Compiled
from segue.domain import visitor_token
from segue.domain.catalog import Rate
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Unauthorized
from segue.domain.profile import ProfileRef
from segue.domain.rate import Allowances
from segue.entrypoint import Serving, client_of

API_KEY = "x-api-key"


class Asker(msgspec.Struct, frozen=True):
    """Who asks: `visitor` is whose browser it is, None for a site's own server."""

    visitor: ProfileRef | None


SERVER = Asker(None)

OF_A_VISITOR = Rate(per_second=10, burst=60)
OF_AN_ADDRESS = Rate(per_second=100, burst=500)
"""How often browsers may ask an instance: far above what a page does, and an address may have many visitors."""


def admit(request: Request, compiled: Compiled) -> str:
    """The id of the source whose secret key it is. Raises Unauthorized for all else. A write key is public: who has
    only that can never read."""
    found = compiled.catalog.source_of_secret_key(key(request))
    if found is None:
        raise Unauthorized("expected the secret key of a source, as Bearer token or as Basic user name")
    return found[0]


class Admission:
    """Lets in servers and browsers, these no more often than they may ask."""

    def __init__(self, platform: Serving) -> None:
        self._secret = platform.settings.profile_secret
        self._clock = platform.ports.clock
        self._allowances = Allowances()

    def asker(self, request: Request, compiled: Compiled) -> Asker:
        """Who asks, by a secret key or a visitor's token. Raises Unauthorized, in the same words whatever is wrong: for
        a token, too, that comes from a page of another site. Raises Throttled for a browser that asks too often."""
        found, now = key(request), self._clock.now()
        if compiled.catalog.source_of_secret_key(found) is not None:
            return SERVER
        visitor = visitor_token.opened(self._secret, found, now)
        if visitor is None or request.headers.get("origin") not in {None, *compiled.catalog.origins}:
            raise Unauthorized("expected a secret key, or a visitor's token and a page of an origin of a source")
        self._take_allowances(visitor, client_of(request), now)
        return Asker(visitor)

    def _take_allowances(self, visitor: ProfileRef, client: str, now: int) -> None:
        """The visitor first: one who floods must not use up what others have behind the same address."""
        self._allowances.take(visitor, OF_A_VISITOR.per_second, OF_A_VISITOR.burst, now)
        self._allowances.take(client, OF_AN_ADDRESS.per_second, OF_AN_ADDRESS.burst, now)


def key(request: Request) -> str:
    """The Bearer token, the user name of Basic authentication (with or without a colon behind it), or X-API-Key; empty
    without any of them."""
    authorization = request.headers.get("authorization", "")
    return basic_user(authorization) or bearer_token(authorization) or request.headers.get(API_KEY, "")
