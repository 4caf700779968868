"""JSON from anybody: bounded, and read so that no two readers could read it differently."""

from typing import Annotated, Any, TypeAlias

import msgspec

from segue.domain.errors import Invalid
from segue.domain.event import Json

LARGEST_DEPTH = 20
"""Objects and arrays inside each other, the outermost included."""

LARGEST_OBJECT = 1_000
"""Names in one object."""

LONGEST_NAME = 256
"""Characters of a name in an object."""

USUAL_DEPTH = 8
"""What the fast decoder knows by its type; a deeper value is looked at once more, level by level."""

SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1

_Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
_Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=SMALLEST_INTEGER, le=LARGEST_INTEGER)]


def _object_of(depth: int) -> Any:
    """The type of an object within all bounds, `depth` levels deep."""
    value: Any = None | bool | _Integer | float | str
    for _ in range(depth - 1):
        members = Annotated[dict[_Name, value], msgspec.Meta(max_length=LARGEST_OBJECT)]
        value = None | bool | _Integer | float | str | list[value] | members
    return Annotated[dict[_Name, value], msgspec.Meta(max_length=LARGEST_OBJECT)]


_usual = msgspec.json.Decoder(_object_of(USUAL_DEPTH))
_any = msgspec.json.Decoder()


def decode(data: bytes) -> dict[str, Json]:
    """The object that `data` is: RFC 8259 in UTF-8 without a byte order mark, and nothing before or behind it.

    Raises Invalid. Beyond the grammar it refuses what readers disagree on or what cannot be kept: a name twice in one
    object, integers beyond 64 bits, numbers beyond a double, lone surrogates, NUL, and more than the bounds above.
    """
    value = _decoded(data)
    if _holds_nul(data):
        raise Invalid("expected text without NUL characters")
    if _colons(data) != msgspec.json.encode(value).count(b":"):
        raise Invalid("expected each name once in an object, found one twice")
    return value


def _decoded(data: bytes) -> dict[str, Json]:
    try:
        return _usual.decode(data)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return _decoded_level_by_level(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"expected JSON: {_plainly(error)}") from None


def _decoded_level_by_level(data: bytes) -> dict[str, Json]:
    try:
        value = _any.decode(data)
    except RecursionError:
        raise Invalid(f"expected at most {LARGEST_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"expected JSON: {_plainly(error)}") from None
    if not isinstance(value, dict):
        raise Invalid(f"expected a JSON object, found {kind_of(value)}")
    _refuse_unbounded(value, "", LARGEST_DEPTH)
    return value


def kind_of(value: Json) -> str:
    """What a JSON value is, in words for messages that must not repeat the value itself."""
    return _KINDS[type(value)]


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _refuse_unbounded(value: Json, path: str, depth: int) -> None:
    if isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise Invalid("expected an integer of at most 64 bits", path)
    if not isinstance(value, dict | list):
        return
    if depth == 0:
        raise Invalid(f"expected at most {LARGEST_DEPTH} levels")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_unbounded(item, f"{path}[{index}]", depth - 1)
        return
    if len(value) > LARGEST_OBJECT:
        raise Invalid(f"expected at most {LARGEST_OBJECT} names in an object, found {len(value)}", path)
    for name, member in value.items():
        if len(name) > LONGEST_NAME:
            raise Invalid(f"expected names of at most {LONGEST_NAME} characters, found {len(name)}", path)
        _refuse_unbounded(member, f"{path}.{name}" if path else name, depth - 1)


def _holds_nul(data: bytes) -> bool:
    return b"\\" in data and b"\\u0000" in data.replace(b"\\\\", b"")


def _colons(data: bytes) -> int:
    """The colons of a JSON text, escaped ones included.

    Each name brings one, so a name that was lost in decoding (its namesake came later) took at least one with it.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b"\\u003a", b":").replace(b"\\u003A", b":")
    return data.count(b":")


def _plainly(error: Exception) -> str:
    """The parser's complaint, which names positions and no content; bytes that are no UTF-8 are only called that."""
    return "the bytes are no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
