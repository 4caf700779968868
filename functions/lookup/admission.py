"""Who may ask lookup: a site's own server, with a secret key of its source."""

from starlette.requests import Request

from segue.catalogs import Compiled
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Unauthorized


def admit(request: Request, compiled: Compiled) -> None:
    """Raises Unauthorized for all but a secret key. A write key is public: who has only that can never read."""
    if compiled.catalog.source_of_secret_key(key(request)) is None:
        raise Unauthorized("expected the secret key of a source, as Bearer token or as Basic user name")


def key(request: Request) -> str:
    """The Bearer token, or the user name of Basic authentication, with or without a colon behind it; empty without."""
    authorization = request.headers.get("authorization", "")
    return basic_user(authorization) or bearer_token(authorization)
