"""Who a call says the visitor is: ids as profiles are known by them."""

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeGuard

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.profile import IdentifierKind, ProfileRef
from segue.domain.untrusted import kind_of

LONGEST_ID = 256

ILLEGAL_IDS = frozenset(
    [
        *("0", "-1", "[]", "{}", "[object object]", "anonymous", "distinct_id", "distinctid", "email", "false"),
        *("guest", "id", "nan", "nil", "none", "not_authenticated", "null", "true", "undefined", "unknown", "user"),
        *("user_id",),
    ]
)
"""What broken integrations send as everybody's id, in lower case: taken as no id, or strangers would be one profile."""


def identifier(value: Json, path: str) -> str | None:
    """An id as profiles are known by it, or None for what clients send where they have none: null and blank text.

    Text is brought into NFC, a number becomes text as JavaScript would write it. Raises Invalid.
    """
    if value is None:
        return None
    text = normal(value if isinstance(value, str) else _number_as_text(value, path))
    if not text or text.isspace():
        return None
    if len(text) > LONGEST_ID:
        raise Invalid(f"expected at most {LONGEST_ID} characters, found {len(text)}", path)
    return text


def normal(text: str) -> str:
    """Text in NFC, so that what looks equal is equal."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def profile_of(user_id: str | None, anonymous_id: str | None, believed: bool) -> ProfileRef:
    """Whose the event is: the user's if the source's user ids are believed, else the anonymous visitor's.

    Raises Invalid if no id is left that may be one.
    """
    if user_id and believed:
        return ProfileRef("user_id", user_id)
    if anonymous_id:
        return ProfileRef("anonymous_id", anonymous_id)
    unproven = user_id and not believed
    expected = "an anonymousId (nothing proves the userId)" if unproven else "a userId or an anonymousId"
    raise Invalid(f"expected {expected}, found none that can be an id")


def named(call: Json) -> Sequence[ProfileRef]:
    """Everybody whom a call names, however wrong the rest of it is."""
    kinds: Sequence[tuple[str, IdentifierKind]] = (("userId", "user_id"), ("anonymousId", "anonymous_id"))
    found = []
    for field, kind in kinds if isinstance(call, dict) else ():
        with suppress(Invalid):
            value = identifier(call.get(field), field)
            found += [ProfileRef(kind, value)] if value else []
    return found


def is_illegal(found: str) -> bool:
    """Whether this is no id but what an integration sends where it forgot to fill one in."""
    return found.lower() in ILLEGAL_IDS


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number_as_text(value: Json, path: str) -> str:
    if not is_number(value):
        raise Invalid(f"expected text or a number, found {kind_of(value)}", path)
    return str(int(value) if value == value // 1 else value)
