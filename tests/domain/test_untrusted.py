"""JSON from anybody is read as a strict reader of the standard library would read it, or refused."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain.errors import Invalid
from segue.domain.untrusted import LARGEST_DEPTH, LARGEST_INTEGER, SMALLEST_INTEGER, USUAL_DEPTH, decode
from tests.functions.bad_input import JSON, UNREADABLE, Body, Case


def written(text: str, escaped: str) -> str:
    """A JSON string in which the characters of `escaped` are written as escapes."""
    return '"' + "".join(f"\\u{ord(c):04x}" if c in escaped else json.dumps(c)[1:-1] for c in text) + '"'


texts = st.builds(written, st.text(alphabet=':"\\u03aAb{}[],é☃\n', max_size=6), st.sampled_from(["", ":", '"\\', "aé"]))
numbers = st.sampled_from(
    ["0", "-0", "1.50", "1E5", "-1e-400", "1e308", "12345678901234567890", "-9223372036854775809"]
)
scalars = texts | numbers | st.sampled_from(["null", "true", "false"]) | st.integers(-(2**64), 2**64).map(str)
blanks = st.sampled_from(["", " ", "\n\t"])


def array(items: Sequence[str], blank: str) -> str:
    return "[" + f",{blank}".join(items) + f"{blank}]"


def members(pairs: Sequence[tuple[str, str]], blank: str) -> str:
    return "{" + f"{blank},".join(f"{name}{blank}:{value}" for name, value in pairs) + "}"


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(members, st.lists(st.tuples(texts, values), max_size=4), blanks)


documents = objects(
    st.recursive(scalars, lambda inner: objects(inner) | st.builds(array, st.lists(inner, max_size=4), blanks))
)


def strictly(text: str) -> Any:
    """What the standard library reads, with the refusals spelled out. Raises ValueError."""

    def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    def of_64_bits(digits: str) -> int:
        if not SMALLEST_INTEGER <= int(digits) <= LARGEST_INTEGER:
            raise ValueError("beyond 64 bits")
        return int(digits)

    return json.loads(text, object_pairs_hook=each_name_once, parse_int=of_64_bits)


def outcome(read: Any, data: Any) -> object:
    try:
        return read(data)
    except ValueError:
        return Invalid
    except Invalid:
        return Invalid


@given(documents)
def test_a_document_is_read_or_refused_as_by_the_standard_library_made_strict(text: str) -> None:
    assert outcome(decode, text.encode()) == outcome(strictly, text)


@given(st.binary())
def test_bytes_are_an_object_or_invalid(data: bytes) -> None:
    assert isinstance(outcome(decode, data), dict | type)


@pytest.mark.parametrize("body", [body for body in UNREADABLE if body.status == 400], ids=lambda body: body.name)
def test_what_no_address_may_accept_is_refused(body: Body) -> None:
    with pytest.raises(Invalid):
        decode(b"".join(body.chunks()))


@pytest.mark.parametrize("case", JSON, ids=lambda case: case.name)
def test_what_is_unusual_but_right_keeps_its_value(case: Case) -> None:
    text = b"".join(case.chunks()).decode()
    assert repr(decode(text.encode())) == repr(strictly(text))


@pytest.mark.parametrize("depth", [1, USUAL_DEPTH, USUAL_DEPTH + 1, LARGEST_DEPTH])
def test_so_many_levels_are_read_and_counted_from_the_outermost(depth: int) -> None:
    text = '{"a":' * depth + "1" + "}" * depth
    assert decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ['{"a":' * 21 + "1" + "}" * 21, '{"a":' + "[" * 20 + "]" * 20 + "}"])
def test_one_level_more_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="at most 20 levels"):
        decode(text.encode())


@pytest.mark.parametrize("depth", [1, USUAL_DEPTH + 3])
def test_the_bounds_hold_at_every_depth(depth: int) -> None:
    def at_depth(value: Any) -> bytes:
        for _ in range(depth - 1):
            value = {"a": value}
        return json.dumps(value).encode()

    for fits in ({"n" * 256: 1}, {"a": 2**63 - 1}, {str(n): n for n in range(1_000)}):
        assert decode(at_depth(fits))
    for excessive in ({"n" * 257: 1}, {"a": 2**63}, {str(n): n for n in range(1_001)}):
        with pytest.raises(Invalid, match="at most"):
            decode(at_depth(excessive))


def test_a_refusal_names_the_place_and_not_the_value() -> None:
    with pytest.raises(Invalid, match=r"^a\[1\]\.b: expected an integer of at most 64 bits$"):
        decode(b'{"a":[0,{"b":9223372036854775808}]}')
