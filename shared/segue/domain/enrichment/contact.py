"""E-mail addresses and telephone numbers in what is sent, which are kept as hashes."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from segue.domain.event import Json
from segue.domain.identity import is_number
from segue.domain.untrusted import LARGEST_DEPTH


def _email(text: str) -> str:
    return text.lower()


def _phone(text: str) -> str:
    """Its digits, with a + in front where the country's code begins it; what has no digits stays as it is."""
    digits = "".join(filter(str.isdigit, text))
    return f"+{digits.removeprefix('00')}" if digits and text.startswith(("+", "00")) else digits or text.lower()


EMAILS: Final = ("email", "Email", "e-mail", "emailAddress", "email_address")
"""The fields that hold an e-mail address."""

NORMAL: Final[Mapping[str, Callable[[str], str]]] = {
    **dict.fromkeys(EMAILS, _email),
    **dict.fromkeys(("phone", "Phone", "phoneNumber", "phone_number", "mobilePhone", "mobile_phone"), _phone),
}
"""The fields that are hashed, and how what is the same becomes equal first."""

CONTAINERS: Final = (dict, list)

_HASH: Final = re.compile("[0-9a-f]{64}")
_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]+\.[^\s@]+")


def looks_like_email(text: str) -> bool:
    return "@" in text and _EMAIL.fullmatch(text) is not None


def without_contact_details(value: Json, depth: int = LARGEST_DEPTH) -> Json:
    """A value with hashes for what the objects in it tell of how to reach somebody; the very same one if nothing.

    It is looked at as deep as anything is accepted.
    """
    if depth == 0:
        return value
    if isinstance(value, dict):
        if _is_plain(value):
            return value
        members = {name: new for name, member in value.items() if (new := _member(name, member, depth)) is not member}
        return {**value, **members} if members else value
    if isinstance(value, list):
        items = {
            index: new
            for index, item in enumerate(value)
            if (new := without_contact_details(item, depth - 1)) is not item
        }
        return [items.get(*each) for each in enumerate(value)] if items else value
    return value


def contact_hash(name: str, text: str) -> str:
    """The SHA-256 of a field's text in NFKC, trimmed and normal, in hex; a blank text and a hash stay as they are."""
    text = unicodedata.normalize("NFKC", text).strip()
    return text if not text or _HASH.fullmatch(text) else hashlib.sha256(NORMAL[name](text).encode()).hexdigest()


def _is_plain(value: Mapping[str, Json]) -> bool:
    """Whether nothing in an object has to be looked at, as is so with nearly all: told at a third of the cost."""
    for name, member in value.items():  # noqa: SIM110  # a generator costs as much as looking
        if name in NORMAL or isinstance(member, CONTAINERS):
            return False
    return True


def _member(name: str, value: Json, depth: int) -> Json:
    if name in NORMAL:
        return _hashed(name, value, depth)
    return without_contact_details(value, depth - 1) if isinstance(value, CONTAINERS) else value


def _hashed(name: str, value: Json, depth: int) -> Json:
    """A contact detail hashed, wherever in a field's value it stands; null, which removes a trait, stays."""
    if depth == 0:
        return None
    if isinstance(value, list):
        return [_hashed(name, item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {inner: _hashed(name, member, depth - 1) for inner, member in value.items()}
    return contact_hash(name, str(value)) if isinstance(value, str) or is_number(value) else value
