"""How often a sender may come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.domain.errors import Throttled
from segue.domain.rate import Allowances


def taken(allowances: Allowances, sender: str, now: int, per_second: int = 2, burst: int = 3) -> bool:
    try:
        allowances.take(sender, per_second, burst, now)
    except Throttled:
        return False
    return True


def test_a_burst_at_once_and_then_the_average() -> None:
    """Two a second, three at once: |||. and then one every 500 ms, on the instant and not before."""
    allowances = Allowances()
    assert [taken(allowances, "a", 1_000) for _ in range(4)] == [True, True, True, False]
    assert [taken(allowances, "a", now) for now in (1_499, 1_500, 1_500, 1_999, 2_000)] == [
        *(False, True, False, False, True)
    ]


def test_quiet_time_restores_the_burst_and_no_more() -> None:
    allowances = Allowances()
    assert [taken(allowances, "a", 0) for _ in range(3)] == [True, True, True]
    assert [taken(allowances, "a", 60_000) for _ in range(4)] == [True, True, True, False]


def test_a_sender_does_not_use_up_another_ones_allowance() -> None:
    allowances = Allowances()
    assert [taken(allowances, "a", 0) for _ in range(9)].count(True) == 3
    assert taken(allowances, "b", 0)


@pytest.mark.parametrize(("per_second", "seconds"), [(1, 1), (2, 1), (1_000, 1)])
def test_the_wait_is_told_in_whole_seconds(per_second: int, seconds: int) -> None:
    allowances = Allowances()
    allowances.take("a", per_second, 1, 0)
    with pytest.raises(Throttled) as refused:
        allowances.take("a", per_second, 1, 0)
    assert refused.value.retry_after == seconds


def test_a_clock_that_goes_back_costs_no_more_than_a_burst() -> None:
    allowances = Allowances()
    assert [taken(allowances, "a", 100_000) for _ in range(3)] == [True, True, True]
    assert [taken(allowances, "a", now) for now in (0, 499, 500, 1_000)] == [False, False, True, True]


def test_the_table_is_bounded_and_forgets_who_was_quiet_longest() -> None:
    allowances = Allowances(most_senders=2)
    for sender in ("a", "b", "a", "c"):
        assert taken(allowances, sender, 0, burst=2)
    assert not taken(allowances, "a", 0, burst=2), "came again after b, and is remembered"
    assert taken(allowances, "b", 0, burst=2), "is forgotten, and so may come as often as a stranger"
    assert taken(allowances, "b", 0, burst=2)


@given(
    per_second=st.integers(1, 1_000),
    burst=st.integers(1, 50),
    gaps=st.lists(st.integers(0, 2_000), max_size=60),
)
def test_in_any_span_no_more_pass_than_the_burst_and_the_average(per_second: int, burst: int, gaps: list[int]) -> None:
    allowances, now, passed = Allowances(), 0, []
    for gap in gaps:
        now += gap
        if taken(allowances, "a", now, per_second, burst):
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) * per_second / 1_000 + 1e-6
