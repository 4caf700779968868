"""A planted imbalance between arms is found, chance is not taken for one, and the probabilities are those of tables."""

import random
from collections import Counter

import pytest

from segue.domain.sample_ratio import SUSPICIOUS, p_value, upper_tail


@pytest.mark.parametrize(
    ("freedom", "statistic", "probability"),
    [
        (1, 3.841459, 0.05),
        (1, 10.827566, 0.001),
        (2, 5.991465, 0.05),
        (2, 13.815511, 0.001),
        (3, 7.814728, 0.05),
        (3, 16.266236, 0.001),
        (4, 9.487729, 0.05),
        (5, 11.070498, 0.05),
        (5, 1.145476, 0.95),
        (10, 18.307038, 0.05),
        (19, 30.143527, 0.05),
        (20, 37.566235, 0.01),
    ],
)
def test_the_tail_is_that_of_the_tables(freedom: int, statistic: float, probability: float) -> None:
    assert upper_tail(statistic, freedom) == pytest.approx(probability, rel=1e-6)


@pytest.mark.parametrize("freedom", range(1, 12))
def test_the_tail_is_one_at_nothing_and_nothing_far_out(freedom: int) -> None:
    assert upper_tail(0.0, freedom) == 1.0
    assert upper_tail(5_000.0, freedom) == 0.0


def test_numbers_that_are_as_they_should_be_are_no_surprise() -> None:
    assert p_value([500, 500], [0.5, 0.5]) == 1.0
    assert p_value([100, 200, 700], [0.1, 0.2, 0.7]) == pytest.approx(1.0)


def test_a_published_mismatch_is_found() -> None:
    p = p_value([821_588, 815_482], [0.5, 0.5])
    assert p is not None
    assert p == pytest.approx(1.8e-6, rel=0.05)
    assert p < SUSPICIOUS


def test_too_few_tell_nothing() -> None:
    assert p_value([], []) is None
    assert p_value([0, 0], [0.5, 0.5]) is None
    assert p_value([9, 0], [0.5, 0.5]) is None
    assert p_value([30, 3], [0.9, 0.1]) is None
    assert p_value([10, 0], [0.5, 0.5]) is not None


def drawn(seed: int, lost: float) -> list[int]:
    """How many of 20,000 visitors each of three arms has when the last one loses some of its own."""
    chance = random.Random(seed)
    arms = Counter(
        arm for arm in chance.choices("abc", [0.5, 0.3, 0.2], k=20_000) if arm != "c" or chance.random() >= lost
    )
    return [arms[arm] for arm in "abc"]


def test_an_arm_that_loses_visitors_is_found_and_a_fair_experiment_passes() -> None:
    fair = [p_value(drawn(seed, 0.0), [0.5, 0.3, 0.2]) or 0.0 for seed in range(20)]
    losing = [p_value(drawn(seed, 0.1), [0.5, 0.3, 0.2]) or 0.0 for seed in range(5)]
    assert min(fair) > SUSPICIOUS > max(losing)
    assert 0.2 < sum(p < 0.5 for p in fair) / len(fair) < 0.8
