"""Visitor tokens: what a site's server hands to a visitor's browser, which opens that visitor's own profile to it.

A JSON Web Token (RFC 7519), HS256, with a key that follows from the deployment's profile secret: `sub` is the profile
as `user_id:42`, `exp` at most 15 minutes ahead, `aud` is what no source can be called. So a visitor token passes for no
identity token, nor an identity token for a visitor token, whatever secrets a site has.
"""

import hmac
from functools import lru_cache

import jwt
import msgspec

from segue.domain import signed_token
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.profile import KINDS, ProfileRef
from segue.domain.time import MINUTE, SECOND

AUDIENCE = "segue:visitor"
LONGEST_LIFE = 15 * MINUTE


class Issued(msgspec.Struct, frozen=True):
    """A token, and the instant (epoch ms) from which on it opens nothing."""

    token: str
    expires_at: int


def issued(secret: bytes, profile: ProfileRef, now: int, lifetime: int) -> Issued:
    """A token for this visitor that is good for `lifetime` ms from `now` (epoch ms), in whole seconds.

    `secret` is the deployment's profile secret. Raises Invalid for a life of less than a second, or a longer one than
    `LONGEST_LIFE`.
    """
    if not SECOND <= lifetime <= LONGEST_LIFE:
        raise Invalid(f"expected a life of {SECOND} to {LONGEST_LIFE} ms, found {lifetime}")
    expires = (now + lifetime) // SECOND
    claims = {"sub": str(profile), "aud": AUDIENCE, "exp": expires}
    return Issued(jwt.encode(claims, _key(secret), signed_token.ALGORITHM), expires * SECOND)


class Visit(msgspec.Struct, frozen=True):
    """The visitor whose profile a token opens, and the instant (epoch ms) from which on it opens nothing."""

    profile: ProfileRef
    expires_at: int


def opened(secret: bytes, token: Json, now: int) -> ProfileRef | None:
    """The visitor whose profile a token opens at `now` (epoch ms); None if it is none, not ours, or no longer good.

    A clock that is a minute behind the one that issued it does no harm.
    """
    found = visit(secret, token, now)
    return found.profile if found else None


def visit(secret: bytes, token: Json, now: int) -> Visit | None:
    """As `opened`, with how long the token is good for."""
    claims = signed_token.claims(token, (_key(secret),))
    if claims is None or claims.get("aud") != AUDIENCE:
        return None
    if not signed_token.is_valid(claims, now, LONGEST_LIFE + MINUTE):
        return None
    kind, _, value = str(claims["sub"]).partition(":")
    return Visit(ProfileRef(KINDS[kind], value), int(claims["exp"] * SECOND)) if kind in KINDS else None


@lru_cache(maxsize=1)
def _key(secret: bytes) -> bytes:
    """Its own key for its own purpose: nothing else that is derived from the secret equals it."""
    return hmac.digest(secret, b"segue visitor token", "sha256")
