"""The places of IP addresses, by a file in MaxMind's format that whoever runs Segue brings along."""

from pathlib import Path
from typing import Any

import maxminddb

from segue.domain.enrichment import Locate, Place, placed
from segue.domain.errors import Invalid


def located_by(file: Path) -> Locate:
    """Finds addresses in this file, which is mapped into memory and read where it is asked. Raises Invalid."""
    try:
        database = maxminddb.open_database(file)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise Invalid(f"expected a MaxMind file, found {error}", path="SEGUE_GEOIP") from None

    def locate(address: str) -> Place:
        try:
            found = database.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return {}
        return _place(found) if isinstance(found, dict) else {}

    return locate


def _place(record: dict[str, Any]) -> Place:
    """The place of a record of a City or a Country file; any part of it may be missing."""
    regions = record.get("subdivisions") or [{}]
    point = record.get("location") or {}
    return placed(
        country=record.get("country", {}).get("iso_code", ""),
        region=regions[0].get("iso_code", ""),
        city=record.get("city", {}).get("names", {}).get("en", ""),
        latitude=point.get("latitude"),
        longitude=point.get("longitude"),
    )
