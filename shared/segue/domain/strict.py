"""JSON read so that no two readers could read it differently: no copies of a key, no NaN, no number beyond 64 bits."""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import msgspec

from segue.domain.errors import Invalid

Value = TypeVar("Value")

_PERHAPS_BEYOND_64_BITS = re.compile(rb"[0-9]{19}")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def decode(data: bytes, kind: type[Value]) -> Value:
    """A value of this type from JSON. Fields the type does not know are ignored. Raises Invalid.

    What comes back to the same bytes when encoded was written by our own publishers and needs no second look.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"expected JSON: {error}") from None
    except RecursionError:
        raise Invalid("expected JSON of sensible depth, found too many levels") from None
    if msgspec.json.encode(value) != data or _PERHAPS_BEYOND_64_BITS.search(data):
        _refuse_ambiguous(data)
    return value


def decode_one_of(name: str, data: bytes, kinds: Mapping[str, type[Value]]) -> Value:
    """A value of the type that goes by this name. Raises Invalid, for an unknown name too."""
    if name not in kinds:
        raise Invalid(f"expected a message of type {' or '.join(kinds)}, found {name!r:.80}")
    return decode(data, kinds[name])


def _refuse_ambiguous(data: bytes) -> None:
    try:
        json.loads(data, object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
    except RecursionError:
        raise Invalid("expected JSON of sensible depth, found too many levels") from None
    except ValueError as error:
        raise Invalid(f"expected JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise Invalid("expected each key once in an object, found a copy")


def _integer(digits: str) -> None:
    if len(digits) > 20 or not _SMALLEST <= int(digits) <= _LARGEST:
        raise Invalid("expected an integer of at most 64 bits")


def _constant(name: str) -> NoReturn:
    raise Invalid(f"expected JSON, found {name}")
