"""Where a visitor is, as coarsely as conditions ask: country, region and city."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from segue.domain.event import Json

Place: TypeAlias = Mapping[str, Json]
"""`context.location`: `country` (ISO 3166-1, two letters), `region` (ISO 3166-2 without the country), `city` by its
English name, and its `latitude` and `longitude` in degrees, to a tenth (about 11 km). What is not known is left out."""

Locate: TypeAlias = Callable[[str], Place]
"""The place of an IP address; empty for one that nobody knows, and for what is none."""

GeoHeaders: TypeAlias = Literal["client-geo", "appengine"]

LONGEST: Final = 100
"""Characters kept of a name."""

HEADERS: Final[Mapping[GeoHeaders, Mapping[str, str]]] = {
    "client-geo": {
        "country": "x-client-geo-country",
        "region": "x-client-geo-region",
        "city": "x-client-geo-city",
        "coordinates": "x-client-geo-citylatlong",
    },
    "appengine": {
        "country": "x-appengine-country",
        "region": "x-appengine-region",
        "city": "x-appengine-city",
        "coordinates": "x-appengine-citylatlong",
    },
}
"""What a load balancer in front says of the visitor. Only what it overwrites on every request is true of anybody."""

UNKNOWN: Final = ("", "ZZ", "?")


def nowhere(_address: str) -> Place:
    return {}


def place_by_headers(headers: Mapping[str, str], family: GeoHeaders) -> Place:
    """The place that a load balancer's headers name."""
    said = {part: _text(headers.get(header, "")) for part, header in HEADERS[family].items()}
    latitude, _, longitude = said["coordinates"].partition(",")
    return placed(said["country"], said["region"], said["city"], _number(latitude), _number(longitude))


def placed(
    country: str, region: str, city: str, latitude: float | None = None, longitude: float | None = None
) -> Place:
    """A place as it is kept."""
    country = country.upper()
    region = region.upper().removeprefix(country).removeprefix("-") if country not in UNKNOWN else ""
    names = {"country": country, "region": region, "city": city}
    found: dict[str, Json] = {part: name[:LONGEST] for part, name in names.items() if name not in UNKNOWN}
    if latitude is not None and longitude is not None and -90 <= latitude <= 90 and -180 <= longitude <= 180:
        found |= {"latitude": round(latitude, 1), "longitude": round(longitude, 1)}
    return found


def _text(value: str) -> str:
    """A header's bytes are UTF-8 where they are not ASCII, and come to us as Latin-1."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace").strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
