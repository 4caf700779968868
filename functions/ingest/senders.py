"""Who sends: the source whose key a request carries, and the address that it comes from."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request

from segue.domain.catalog import Catalog, Source
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Unauthorized
from segue.domain.event import Json

LONGEST_QUERY = 8_192

WriteKey: TypeAlias = Callable[[Request, Mapping[str, Json]], str]
"""Finds the write key in a request and its body; empty if there is none."""


def sender(catalog: Catalog, request: Request, key: str) -> tuple[str, Source]:
    """The source that a write key belongs to, if the page that sends, if any, is one of its own.

    The answer to a key that is missing, wrong or revoked is the same. Raises Unauthorized.
    """
    found = catalog.source_of_write_key(key)
    if found is None:
        raise Unauthorized("expected the write key of a source, as Basic user name or as writeKey")
    origin = request.headers.get("origin")
    if origin is not None and origin not in found[1].origins:
        raise Unauthorized("expected a page of an origin that this write key allows")
    return found


def owner(catalog: Catalog, request: Request) -> tuple[str, Source]:
    """The source that the secret key belongs to. The body is no place for a secret: it is kept."""
    credentials = authorization(request)
    found = catalog.source_of_secret_key(basic_user(credentials) or bearer_token(credentials))
    if found is None:
        raise Unauthorized("expected the secret key of a source, as Basic user name or as Bearer token")
    return found


def key_of_call(request: Request, body: Mapping[str, Json]) -> str:
    """The Basic user name, or else the body's `writeKey`."""
    return basic_user(authorization(request)) or str(body.get("writeKey", ""))


def key_in_address(request: Request, _body: Mapping[str, Json]) -> str:
    """The `writeKey` of the address: RudderStack's beacon can set no header and leaves it out of the body."""
    refuse_long_query(request)
    return request.query_params.get("writeKey", "")


def refuse_long_query(request: Request) -> None:
    if len(request.scope["query_string"]) > LONGEST_QUERY:
        raise HTTPException(414)


def authorization(request: Request) -> str:
    return request.headers.get("authorization", "")
