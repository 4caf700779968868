"""Identity tokens: what a site's backend signs of its visitor, whose browser could claim to be anybody.

A JSON Web Token (RFC 7519), HS256, with one of the source's secrets: `sub` is the user id, `exp` at most a day ahead,
`aud` (if any) the source's id, `anonymous_id` (if any) the only anonymous visitor that the user may turn out to be.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
import msgspec
from jwt.types import Options

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.identity import identifier, is_number
from segue.domain.time import DAY, SECOND

FIELD = "identityToken"
"""Where `context` has it, a call's or that of all."""

ALGORITHM = "HS256"
LONGEST_TOKEN = 4_096
LONGEST_LIFE = DAY
REMEMBERED_TOKENS = 1_024

OPTIONS: Options = {
    "require": ["sub", "exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
}
"""The library knows only its own clock: what depends on time or on the source is looked at here."""


class Proven(msgspec.Struct, frozen=True):
    """Whom a token proves the visitor to be, and perhaps which anonymous visitor they are."""

    user_id: str
    anonymous_id: str | None


def proven(token: Json, secrets: tuple[str, ...], source: str, now: int) -> Proven | None:
    """What a token proves at `now` (epoch ms) to this source; None if it is none, not ours, or not valid then."""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        return None
    claims = _signed(token, secrets)
    if claims is None or not _is_for(claims, source) or not _is_valid(claims, now):
        return None
    try:
        user_id = identifier(claims.get("sub"), "sub")
        anonymous_id = identifier(claims.get("anonymous_id"), "anonymous_id")
    except Invalid:
        return None
    return Proven(user_id, anonymous_id) if user_id else None


def without_token(call: Json) -> tuple[Json, Json]:
    """A call, or what calls have in common, without its token; and the token, None if there is none."""
    context = call.get("context") if isinstance(call, dict) else None
    if not isinstance(context, dict) or FIELD not in context:
        return call, None
    rest = {name: value for name, value in context.items() if name != FIELD}
    return {**call, "context": rest}, context[FIELD]


@lru_cache(maxsize=REMEMBERED_TOKENS)
def _signed(token: str, secrets: tuple[str, ...]) -> Mapping[str, Any] | None:
    for secret in secrets:
        try:
            return jwt.decode(token, secret, algorithms=[ALGORITHM], options=OPTIONS)
        except (jwt.PyJWTError, ValueError, RecursionError):
            continue
    return None


def _is_for(claims: Mapping[str, Any], source: str) -> bool:
    audience = claims.get("aud", source)
    return source in audience if isinstance(audience, list) else source == audience


def _is_valid(claims: Mapping[str, Any], now: int) -> bool:
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    if not is_number(ends) or not is_number(begins):
        return False
    return begins * SECOND <= now < ends * SECOND <= now + LONGEST_LIFE
