"""A message is decoded if every reader would read the same in it, and refused if not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain.errors import Invalid
from segue.domain.strict import decode, decode_one_of


class Note(msgspec.Struct, frozen=True):
    """A message of the tests."""

    text: str
    properties: dict[str, Any] = {}


def test_a_message_is_decoded() -> None:
    assert decode(b'{"text": "a", "properties": {"n": 1.5}}', Note) == Note("a", {"n": 1.5})


def test_fields_of_newer_code_are_ignored() -> None:
    assert decode(b'{"text": "a", "since": {"version": 2}}', Note) == Note("a")


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**53 + 1, 10**18])
def test_integers_of_64_bits_are_kept_exact(number: int) -> None:
    assert decode(b'{"text": "a", "properties": {"n": %d}}' % number, Note).properties == {"n": number}


def test_a_long_text_of_digits_is_no_number() -> None:
    assert decode(b'{"text": "%s"}' % (b"9" * 40), Note) == Note("9" * 40)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "a", "text": "b"}',
        b'{"text": "a", "properties": {"n": 1, "n": 1}}',
        b'{"text": "a", "properties": {"n": [{"m": 1, "m": 2}]}}',
        b'{"text": "a", "unknown": {"n": 1, "n": 2}}',
        b'{"text": "a", "properties": {"\\u006e": 1, "n": 2}}',
        b'{"text": "a", "properties": {"n": 9223372036854775808}}',
        b'{"text": "a", "properties": {"n": -9223372036854775809}}',
        b'{"text": "a", "properties": {"n": %s}}' % (b"9" * 5_000),
        b'{"text": "a", "properties": {"n": NaN}}',
        b'{"text": "a", "properties": {"n": 1e400}}',
        b'{"text": "a", "unknown": %s}' % (b"[" * 2_000 + b"]" * 2_000),
        b'{"text": "\xff"}',
        b'{"text": 5}',
        b'{"text": "a"} {"text": "b"}',
        b"",
    ],
    ids=lambda body: body[:60].decode("latin-1"),
)
def test_what_readers_could_differ_on_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode(body, Note)


@given(st.dictionaries(st.text(), st.recursive(st.integers(-(2**63), 2**63 - 1) | st.text() | st.none(), st.lists)))
def test_whatever_our_own_publishers_write_is_read(properties: dict[str, Any]) -> None:
    note = Note("a", properties)
    assert decode(msgspec.json.encode(note), Note) == note


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        decode(body, Note)
    except Invalid:
        return


def test_a_type_that_is_not_expected_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match=r"'segue\.other'"):
        decode_one_of("segue.other", b"{}", {"segue.note": Note})
