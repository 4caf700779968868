"""What a request asks of lookup, read from its parts: who asks, about whom, for which instant, which question."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from functions.lookup.decide import Question
from segue.domain import untrusted
from segue.domain.credential import basic_user, bearer_token
from segue.domain.errors import Invalid, TooLarge
from segue.domain.event import Json
from segue.domain.identity import identifier
from segue.domain.profile import IdentifierKind, ProfileRef
from segue.domain.time import instant
from segue.entrypoint import capped_body

LARGEST_BODY = 16_384
LONGEST_READ_S = 10.0
LONGEST_QUERY = 8_192

KINDS: Mapping[str, IdentifierKind] = {"user_id": "user_id", "anonymous_id": "anonymous_id"}


def key(request: Request) -> str:
    """The Bearer token, or the user name of Basic authentication, with or without a colon behind it; empty without."""
    authorization = request.headers.get("authorization", "")
    return basic_user(authorization) or bearer_token(authorization)


def profile(kind: str, value: Json) -> ProfileRef:
    """The profile that ingest knows by this identifier, in the same normal form. Raises Invalid."""
    known, found = KINDS.get(kind), identifier(value, f"profile.{kind}")
    if known is None or found is None:
        raise Invalid("expected user_id or anonymous_id, and a value that is not blank", path="profile")
    return ProfileRef(known, found)


def at(request: Request) -> int | None:
    """The instant of `?at=`, epoch milliseconds or ISO 8601; None without. Raises Invalid."""
    if len(request.scope["query_string"]) > LONGEST_QUERY:
        raise HTTPException(414)
    asked = request.query_params.get("at")
    if asked is None:
        return None
    found = instant(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 20 else asked)
    if found is None:
        raise Invalid(f"expected epoch milliseconds or an ISO 8601 instant, found {asked!r:.40}", path="at")
    return found


async def question(request: Request) -> Question:
    """The body's question. Raises Invalid or TooLarge."""
    try:
        found = msgspec.convert(untrusted.decode(await _body(request)), Question)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
    if len(found.profile) != 1:
        raise Invalid("expected either user_id or anonymous_id", path="profile")
    return msgspec.structs.replace(found, after=identifier(found.after, "after"))


async def _body(request: Request) -> bytes:
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
