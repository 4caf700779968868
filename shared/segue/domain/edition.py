"""What one version of the catalogue is as published: its definitions, and how the states of profiles come to them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from segue.domain.errors import Invalid
from segue.domain.event import Json


class Edition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The definitions of a version.

    `over` is the edition before it, whose definitions answer where this one's measurements are still to be filled from
    the archive; None: all of this one's do. `filled` is the newest version under which that was done: a state that this
    one or an older one folded has to be succeeded by what was prepared for it then.
    """

    definitions: Mapping[str, Json]
    over: "Edition | None" = None
    filled: int = 0


def read(data: bytes) -> Edition:
    """The edition that was published as these bytes; definitions alone are one, too. Raises Invalid if it is none."""
    try:
        found: Any = msgspec.json.decode(data)
        if isinstance(found, dict) and "definitions" in found:
            return msgspec.convert(found, Edition)
        return msgspec.convert({"definitions": found}, Edition)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"expected a published catalogue: {error}") from error


def written(edition: Edition) -> bytes:
    """The bytes to publish."""
    return msgspec.json.encode(edition)
