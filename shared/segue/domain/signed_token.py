"""JSON Web Tokens (RFC 7519) signed with HS256: what they say, if one of our secrets signed them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
from jwt.types import Options

from segue.domain.event import Json
from segue.domain.identity import is_number
from segue.domain.time import SECOND

ALGORITHM = "HS256"
LONGEST_TOKEN = 8_192
"""Characters. The longest id there may be, of the longest characters, fits."""

REMEMBERED_TOKENS = 1_024

OPTIONS: Options = {
    "require": ["sub", "exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
}
"""The library knows only its own clock: what depends on time or on who is asked is looked at by the caller."""


def claims(token: Json, secrets: tuple[str | bytes, ...]) -> Mapping[str, Any] | None:
    """What a token claims; None if it is none, or none of the secrets signed it."""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        return None
    return _claims(token, secrets)


def is_valid(claims: Mapping[str, Any], now: int, longest_life: int) -> bool:
    """Whether `now` (epoch ms) is from `nbf` on and before `exp`, and that at most `longest_life` (ms) ahead."""
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    if not is_number(ends) or not is_number(begins):
        return False
    return begins * SECOND <= now < ends * SECOND <= now + longest_life


@lru_cache(maxsize=REMEMBERED_TOKENS)
def _claims(token: str, secrets: tuple[str | bytes, ...]) -> Mapping[str, Any] | None:
    for secret in secrets:
        try:
            return jwt.decode(token, secret, algorithms=[ALGORITHM], options=OPTIONS)
        except (jwt.PyJWTError, ValueError, RecursionError):
            continue
    return None
