"""What the two documents of a profile hold survives the store, and what they cannot be is told apart."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain.document import SCHEMA, PublicProfile, StateDocument, decode_profile, decode_state, encode
from segue.domain.errors import Invalid, Unavailable
from segue.domain.membership import Transition
from segue.domain.message import MembershipChanged
from segue.domain.profile import ProfileRef

ADA = ProfileRef("anonymous_id", "ada")

ENTERED = Transition(
    segment="viewer", transition="entered", at=5, seq=1, definition="d", reason="event", message_id="m"
)

STATE = StateDocument(
    profile=ADA,
    state=b"\x00\xff",
    catalog=3,
    rev=7,
    imported=True,
    outbox=(
        MembershipChanged(
            key="a" * 32,
            profile=ADA,
            seq=2,
            catalog=3,
            at=5,
            known_until=None,
            memberships={"viewer": ((5, 9), (12, None))},
            transitions=(ENTERED,),
        ),
    ),
)
PUBLIC = PublicProfile(profile=ADA, seq=2, catalog=3, at=5, known_until=9, memberships={"viewer": ((5, None),)})


def test_a_document_survives_the_store() -> None:
    assert decode_state(encode(STATE)) == STATE
    assert decode_profile(encode(PUBLIC)) == PUBLIC


def test_fields_of_newer_code_of_the_same_schema_are_ignored() -> None:
    newer = msgspec.to_builtins(PUBLIC) | {"score": 5}
    assert decode_profile(msgspec.msgpack.encode(newer)) == PUBLIC


def test_a_newer_schema_is_left_to_newer_code() -> None:
    newer = msgspec.msgpack.encode({"schema": SCHEMA + 1, "shape": "unknown"})
    with pytest.raises(Unavailable):
        decode_state(newer)
    with pytest.raises(Unavailable):
        decode_profile(newer)


@pytest.mark.parametrize("cut", range(len(encode(PUBLIC))))
def test_a_document_cut_off_anywhere_is_corrupt(cut: int) -> None:
    with pytest.raises(Invalid, match="corrupt"):
        decode_profile(encode(PUBLIC)[:cut])


@given(st.binary())
def test_any_bytes_are_a_document_or_corrupt(data: bytes) -> None:
    try:
        decode_state(data)
    except (Invalid, Unavailable):
        return


def test_one_kind_of_document_is_not_the_other() -> None:
    with pytest.raises(Invalid, match="corrupt"):
        decode_state(encode(PUBLIC))
