"""The person: where they are, what they consent to, which lists they are on, and whether they are in a sample."""

from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt
from typing import Any, Final

from tests.oracle.operators import passes
from tests.oracle.values import elements, is_number, look_up, written
from tests.oracle.view import Condition, View

EARTH_RADIUS_KM: Final = 6371.0088
CONSENT_UPDATED: Final = "Segment Consent Preference Updated"


def geo(condition: Condition, view: View) -> bool:
    """The place of the newest event that has one is such a place, in every respect that is named."""
    places = [place for event in view.events if isinstance(place := look_up(event.context, "location"), dict)]
    if not places:
        return False
    place = places[-1]
    spec = condition["geo"]
    named = all(
        passes({"in": elements(spec[respect])}, look_up(place, respect), place)
        for respect in ("country", "region", "city")
        if respect in spec
    )
    return named and ("near" not in spec or is_near(spec["near"], place))


def is_near(near: Mapping[str, Any], place: Mapping[str, Any]) -> bool:
    """Whether the place has coordinates that are at most so many kilometres away."""
    latitude, longitude = look_up(place, "latitude"), look_up(place, "longitude")
    if not (is_number(latitude) and is_number(longitude)):
        return False
    return bool(distance_km(near["lat"], near["lon"], float(latitude), float(longitude)) <= near["km"])


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance by the haversine formula."""
    north, other_north = radians(latitude), radians(other_latitude)
    east = radians(other_longitude - longitude)
    haversine = sin((other_north - north) / 2) ** 2 + cos(north) * cos(other_north) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(haversine)))


def consents(purpose: str, view: View) -> bool:
    """Whether the newest change that says something of the purpose grants it; an empty one refuses all of them."""
    for event in reversed(view.events):
        preferences = look_up(event.context, "consent.categoryPreferences")
        if event.name == CONSENT_UPDATED and isinstance(preferences, dict) and purpose in (preferences or [purpose]):
            return preferences.get(purpose) is True
    return purpose in view.granted_unsaid


def sample(condition: Condition, view: View) -> bool:
    """The bucketing id, the first anonymous id or else the first user id, falls into the share."""
    ids = [event.anonymous_id for event in view.events] + [event.user_id for event in view.events]
    bucketing_id = next((each for each in ids if each is not None), None)
    spec = condition["sample"]
    return bucketing_id is not None and bucket(spec["seed"], bucketing_id) < written(spec["percent"]) * 100


def bucket(seed: str, value: str) -> int:
    """The bucket of ten thousand that version 2 of GrowthBook's hash puts the value in."""
    return fnv_1a(str(fnv_1a(seed + value))) % 10_000


def fnv_1a(text: str) -> int:
    """The 32-bit FNV-1a hash of the text's UTF-16 code units, as JavaScript has them."""
    units = text.encode("utf-16-le", "surrogatepass")
    hashed = 0x811C9DC5
    for unit in (int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2)):
        hashed = (hashed ^ unit) * 0x01000193 % 2**32
    return hashed
