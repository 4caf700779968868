"""The membership log's normal form depends on what happened, not on how it was announced."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from emulator.membership_log import Direction, Line, encoded, normalised

LINES = st.builds(
    Line,
    st.sampled_from(["user_id:1", "user_id:2"]),
    st.sampled_from(["buyer", "browser"]),
    st.sampled_from(["entered", "exited"]),
    st.integers(0, 3),
)


def entry(at: int, transition: Direction, profile: str = "user_id:1", segment: str = "buyer") -> Line:
    return Line(profile, segment, transition, at)


def test_lines_are_sorted_by_instant_then_profile_then_segment() -> None:
    log = [entry(2, "exited"), entry(1, "entered", "user_id:2"), entry(1, "entered", segment="z"), entry(1, "entered")]
    assert normalised(log) == [log[3], log[2], log[1], log[0]]


def test_what_entered_and_exited_at_one_instant_never_was() -> None:
    log = [entry(1, "entered"), entry(5, "entered"), entry(5, "exited"), entry(9, "exited")]
    assert normalised(log) == [entry(1, "entered"), entry(9, "exited")]


def test_other_profiles_segments_and_instants_do_not_cancel() -> None:
    log = [entry(5, "entered"), entry(5, "exited", "user_id:2"), entry(5, "exited", segment="z"), entry(6, "exited")]
    assert len(normalised(log)) == 4


@given(st.lists(LINES), st.randoms(use_true_random=False))
def test_the_order_in_which_lines_arrive_does_not_matter(log: list[Line], order: Random) -> None:
    shuffled = list(log)
    order.shuffle(shuffled)
    assert normalised(shuffled) == normalised(log)


@given(st.lists(LINES))
def test_the_normal_form_of_a_normal_form_is_itself(log: list[Line]) -> None:
    assert normalised(normalised(log)) == normalised(log)


def test_a_line_is_json_with_the_four_names() -> None:
    assert list(encoded([entry(1, "entered")])) == [
        b'{"profile":"user_id:1","segment":"buyer","transition":"entered","at":1}\n'
    ]
