"""Whether an experiment's arms were seen by as many visitors as they should: if not, the experiment is broken.

Visitors who are lost in one arm alone (a page that fails, a redirect, a bot that is counted) leave two groups that
cannot be compared, whatever else is measured of them.
"""

import math
from collections.abc import Sequence

SUSPICIOUS = 0.001
"""A smaller p-value is hardly chance: one fair experiment in a thousand has it."""

LEAST_EXPECTED = 5
"""Visitors that each arm should have before the chi-squared distribution is near enough (Cochran 1954)."""


def p_value(observed: Sequence[int], shares: Sequence[float]) -> float | None:
    """How likely chance alone gives numbers as far from these shares: Pearson's chi-squared test. The shares are 1
    together. None while too few visitors are there to tell."""
    expected = [share * sum(observed) for share in shares]
    if min(expected, default=0.0) < LEAST_EXPECTED:
        return None
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in zip(observed, expected, strict=True))
    return upper_tail(statistic, len(observed) - 1)


def upper_tail(statistic: float, freedom: int) -> float:
    """The probability that chi-squared with so many whole degrees of freedom is larger.

    A finite sum, after erfc where their number is odd: Abramowitz and Stegun, Handbook of Mathematical Functions,
    26.4.4 and 26.4.5.
    """
    is_odd = freedom % 2
    tail = math.erfc(math.sqrt(statistic / 2)) if is_odd else 0.0
    term = math.exp(-statistic / 2) * (math.sqrt(2 * statistic / math.pi) if is_odd else 1.0)
    for degree in range(2 + is_odd, freedom + 1, 2):
        tail += term
        term *= statistic / degree
    return tail
