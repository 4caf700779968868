"""What editors choose from: the segments and the slots that Segue has."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import httpx
from django.core.cache import cache, caches

from emulator.cms.calls import call
from emulator.cms.settings import CATALOG_TRUSTED_S

A_STRANGER = {"context": {"targetingKey": "nobody"}}

Choices: TypeAlias = Sequence[tuple[str, str]]
"""Each id, and how an editor reads it."""


def segments() -> Choices:
    """Every segment, by its name."""
    return _latest("segments", _segments)


def slots() -> Choices:
    """Every slot: of all flags those that have an object."""
    return _latest("slots", _slots)


def _segments() -> Choices:
    return [(each["id"], each["name"]) for each in call("GET", "/v1/segments")["segments"]]


def _slots() -> Choices:
    flags = call("POST", "/ofrep/v1/evaluate/flags", A_STRANGER)["flags"]
    return [(flag["key"], flag["key"]) for flag in flags if isinstance(flag.get("value"), dict)]


def _latest(name: str, read: Callable[[], Choices]) -> Choices:
    """What Segue says, or said last if it does not answer: editors go on, and no choice of theirs is lost."""
    found: Choices | None = cache.get(name)
    if found is None:
        try:
            found = read()
            caches["catalog"].set(name, found)
        except httpx.HTTPError:
            found = caches["catalog"].get(name, [])
        cache.set(name, found, CATALOG_TRUSTED_S)
    return found
