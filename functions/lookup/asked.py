"""What a request asks of lookup, read from its parts: about whom, for which instant, which question."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from functions.lookup.names import Names, names
from segue.domain import untrusted
from segue.domain.errors import Invalid, TooLarge
from segue.domain.event import Json
from segue.domain.identity import identifier
from segue.domain.profile import KINDS, IdentifierKind, ProfileRef
from segue.domain.time import instant
from segue.entrypoint import capped_body

Asked = TypeVar("Asked")

LARGEST_BODY = 16_384
LONGEST_READ_S = 10.0
LONGEST_QUERY = 8_192


def profile(kind: str, value: Json) -> ProfileRef:
    """The profile that ingest knows by this identifier, in the same normal form. Raises Invalid."""
    known, found = KINDS.get(kind), identifier(value, f"profile.{kind}")
    if known is None or found is None:
        raise Invalid("expected user_id or anonymous_id, and a value that is not blank", path="profile")
    return ProfileRef(known, found)


def profile_in_address(request: Request) -> ProfileRef:
    """The profile of `{kind}:{value}` in the address. Raises Invalid."""
    kind, _, value = request.path_params["profile"].partition(":")
    return profile(kind, value)


def one_profile(said: Mapping[IdentifierKind, Json]) -> ProfileRef:
    """The profile that a body names by one identifier. Raises Invalid."""
    if len(said) != 1:
        raise Invalid("expected either user_id or anonymous_id", path="profile")
    ((kind, value),) = said.items()
    return profile(kind, value)


def visitor(said: Mapping[IdentifierKind, Json], own: ProfileRef | None) -> Names:
    """Whom a body asks about; of a browser `own` is its visitor. Raises Invalid."""
    user_id, anonymous_id = (identifier(said.get(kind), f"profile.{kind}") for kind in KINDS.values())
    found = names(user_id, anonymous_id, own)
    if found is None:
        raise Invalid("expected a user_id, an anonymous_id or both, found none that is not blank", path="profile")
    return found


def refuse_long_query(request: Request) -> None:
    """Raises HTTPException."""
    if len(request.scope["query_string"]) > LONGEST_QUERY:
        raise HTTPException(414)


def at(request: Request) -> int | None:
    """The instant of `?at=`, epoch milliseconds or ISO 8601; None without. Raises Invalid."""
    refuse_long_query(request)
    asked = request.query_params.get("at")
    if asked is None:
        return None
    found = instant(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 20 else asked)
    if found is None:
        raise Invalid(f"expected epoch milliseconds or an ISO 8601 instant, found {asked!r:.40}", path="at")
    return found


async def body(request: Request, kind: type[Asked]) -> Asked:
    """What the JSON body asks, as a value of this kind. Raises Invalid or TooLarge."""
    try:
        return msgspec.convert(untrusted.decode(await read_body(request)), kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None


async def read_body(request: Request) -> bytes:
    """The whole body. Raises Invalid or TooLarge; or HTTPException, if it does not come in time."""
    try:
        async with asyncio.timeout(LONGEST_READ_S):
            body = await capped_body(request, LARGEST_BODY)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise Invalid("expected a whole body, found a part") from None
    if len(body) > LARGEST_BODY:
        raise TooLarge(f"expected a body of at most {LARGEST_BODY} bytes")
    return body
