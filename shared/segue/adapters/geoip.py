"""The places of IP addresses, by a file in MaxMind's format that whoever runs Segue brings along."""

from pathlib import Path
from typing import Any, Final

import maxminddb

from segue.domain.enrichment import Locate, Place, placed
from segue.domain.errors import Invalid

MAPPED: Final = "::ffff:"
"""Before an IPv4 address that came in through an IPv6 socket."""


def located_by(file: Path) -> Locate:
    """Finds addresses in this file, which is mapped into memory and read where it is asked. Raises Invalid."""
    try:
        database = maxminddb.open_database(file)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise Invalid(f"expected a MaxMind file, found {error}", path="SEGUE_GEOIP") from None

    def locate(address: str) -> Place:
        try:
            return _place(database.get(address.removeprefix(MAPPED)))
        except (ValueError, maxminddb.InvalidDatabaseError):  # what is no address, or of IPv6 in a file of IPv4
            return {}

    return locate


def _place(record: Any) -> Place:
    """The place of a record of a City or a Country file; what is missing, or is something else in this file, is not
    known."""
    latitude, longitude = _at(record, "location", "latitude"), _at(record, "location", "longitude")
    return placed(
        country=_text(_at(record, "country", "iso_code")),
        region=_text(_at(record, "subdivisions", 0, "iso_code")),
        city=_text(_at(record, "city", "names", "en")),
        latitude=latitude if isinstance(latitude, float) else None,
        longitude=longitude if isinstance(longitude, float) else None,
    )


def _at(record: Any, *path: str | int) -> Any:
    for part in path:
        try:
            record = record[part]
        except (KeyError, IndexError, TypeError):
            return None
    return record


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
