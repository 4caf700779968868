"""What a visitor can allow the shop to do, in the words it is asked in, and the visitor's choice."""

from collections.abc import Iterable
from typing import NamedTuple

VERSION = "2026-05"
"""Of the words below; a choice is recorded with it."""


class Purpose(NamedTuple):
    """What data is used for, by the name the catalogue has for it."""

    id: str
    name: str
    words: str


PURPOSES = (
    Purpose("analytics", "Remember my visit", "What you look at, watch and put into your cart, under a random number."),
    Purpose("personalization", "Make the shop mine", "Show me what fits what I have been doing, and reminders."),
    Purpose("advertising", "Advertise to me elsewhere", "Tell our advertising partners which groups I belong to."),
)

_NOTHING = "nothing"


def written(allowed: Iterable[str]) -> str:
    """The choice as a cookie's value."""
    known = [purpose.id for purpose in PURPOSES if purpose.id in set(allowed)]
    return ".".join(known) or _NOTHING


def read(cookie: str | None) -> frozenset[str] | None:
    """The purposes that were allowed; None before there was a choice."""
    if cookie is None:
        return None
    named = set(cookie.split("."))
    return frozenset(purpose.id for purpose in PURPOSES if purpose.id in named)
