"""A position changes with the visitor and the segments they are in, at the instants at which these change."""

import msgspec
import pytest

from segue.domain import hint, membership
from segue.domain.membership import Interval

SECRET, ANOTHER = b"the secret of this deployment", b"the secret of another deployment"

#  a   ──────10████████20──────30████████…
#  b   ███████████15─────────────────────
MEMBERSHIPS: dict[str, tuple[Interval, ...]] = {"a": ((10, 20), (30, None)), "b": ((0, 15),)}


@pytest.mark.parametrize(
    ("instant", "segments", "step"),
    [
        (-1, set(), 0),
        (0, {"b"}, 10),
        (9, {"b"}, 10),
        (10, {"a", "b"}, 15),
        (14, {"a", "b"}, 15),
        (15, {"a"}, 20),
        (20, set(), 30),
        (30, {"a"}, None),
        (10_000, {"a"}, None),
    ],
)
def test_segments_change_at_their_steps_and_at_no_other_instant(
    instant: int, segments: set[str], step: int | None
) -> None:
    assert membership.at(MEMBERSHIPS, instant) == segments
    assert membership.next_step(MEMBERSHIPS, instant) == step


def test_who_is_in_nothing_has_no_step_to_come() -> None:
    assert membership.next_step({}, 0) is None


def test_a_position_is_the_same_of_the_same_visitor_in_the_same_segments_alone() -> None:
    here = hint.position(SECRET, "a" * 32, ["buyers", "new"])
    assert here == hint.position(SECRET, "a" * 32, {"new", "buyers"})
    others = [
        hint.position(SECRET, "b" * 32, ["buyers", "new"]),
        hint.position(SECRET, "a" * 32, ["buyers"]),
        hint.position(SECRET, "a" * 32, ["buyersnew"]),
        hint.position(SECRET, "a" * 32, []),
        hint.position(ANOTHER, "a" * 32, ["buyers", "new"]),
        hint.UNKNOWN,
    ]
    assert len({here, *others}) == 1 + len(others)


def test_a_message_is_what_providers_understand() -> None:
    said = msgspec.json.decode(hint.message(hint.REFETCH, "0123456789abcdef"))
    assert said == {"type": "refetchEvaluation", "etag": "0123456789abcdef"}
