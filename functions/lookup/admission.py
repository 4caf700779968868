"""Who may ask lookup: a site's own server about anybody, and a visitor's own browser about that visitor."""

import msgspec
from starlette.requests import Request

from segue.catalogs import Compiled
from segue.domain import visitor_token
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Unauthorized
from segue.domain.profile import ProfileRef
from segue.entrypoint import Serving

API_KEY = "x-api-key"


class Asker(msgspec.Struct, frozen=True):
    """Who asks: `visitor` is whose browser it is, None for a site's own server."""

    visitor: ProfileRef | None


SERVER = Asker(None)


def admit(request: Request, compiled: Compiled) -> str:
    """The id of the source whose secret key it is. Raises Unauthorized for all else. A write key is public: who has
    only that can never read."""
    found = compiled.catalog.source_of_secret_key(key(request))
    if found is None:
        raise Unauthorized("expected the secret key of a source, as Bearer token or as Basic user name")
    return found[0]


def asker(request: Request, compiled: Compiled, platform: Serving) -> Asker:
    """Who asks, by a secret key or a visitor's token. Raises Unauthorized, in the same words whatever is wrong: for a
    token, too, that comes from a page of another site."""
    found = key(request)
    if compiled.catalog.source_of_secret_key(found) is not None:
        return SERVER
    visitor = visitor_token.opened(platform.settings.profile_secret, found, platform.ports.clock.now())
    if visitor is None or request.headers.get("origin") not in {None, *compiled.catalog.origins}:
        raise Unauthorized("expected a secret key, or a visitor's token and a page of an origin of a source")
    return Asker(visitor)


def key(request: Request) -> str:
    """The Bearer token, the user name of Basic authentication (with or without a colon behind it), or X-API-Key; empty
    without any of them."""
    authorization = request.headers.get("authorization", "")
    return basic_user(authorization) or bearer_token(authorization) or request.headers.get(API_KEY, "")
