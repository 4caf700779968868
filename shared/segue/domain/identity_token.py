"""Identity tokens: what a site's backend signs of its visitor, whose browser could claim to be anybody.

A JSON Web Token (RFC 7519), HS256, with one of the source's secrets: `sub` is the user id, `exp` at most a day ahead,
`aud` (if any) the source's id, `anonymous_id` (if any) the only anonymous visitor that the user may turn out to be.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from segue.domain import signed_token
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.identity import identifier
from segue.domain.time import DAY

FIELD = "identityToken"
"""Where `context` has it, a call's or that of all."""

LONGEST_LIFE = DAY


class Proven(msgspec.Struct, frozen=True):
    """Whom a token proves the visitor to be, and perhaps which anonymous visitor they are."""

    user_id: str
    anonymous_id: str | None


def proven(token: Json, secrets: tuple[str, ...], source: str, now: int) -> Proven | None:
    """What a token proves at `now` (epoch ms) to this source; None if it is none, not ours, or not valid then."""
    claims = signed_token.claims(token, secrets)
    if claims is None or not _is_for(claims, source) or not signed_token.is_valid(claims, now, LONGEST_LIFE):
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


def _is_for(claims: Mapping[str, Any], source: str) -> bool:
    audience = claims.get("aud", source)
    return source in audience if isinstance(audience, list) else source == audience
