"""What editors choose from: the segments and the slots that Segue has."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import httpx
from django.conf import settings
from django.core.cache import cache, caches

from emulator.cms.settings import CATALOG_TRUSTED_S

ANSWERS_WITHIN_S = 2.0
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
    return [(each["id"], each["name"]) for each in _asked("GET", "/v1/segments")["segments"]]


def _slots() -> Choices:
    flags = _asked("POST", "/ofrep/v1/evaluate/flags", A_STRANGER)["flags"]
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


def _asked(method: str, path: str, body: object = None) -> dict[str, list[dict[str, str]]]:
    site = settings.SITE
    headers = {"authorization": f"Bearer {site.secret_key}"}
    with httpx.Client(base_url=site.segue, headers=headers, timeout=ANSWERS_WITHIN_S, trust_env=False) as http:
        answer = http.request(method, path, json=body)
        answer.raise_for_status()
        found: dict[str, list[dict[str, str]]] = answer.json()
        return found
