"""Scores: the points that events have earned, fading with a half-life or gone with a window."""

from collections.abc import Iterator, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import floor, inf, log2
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.operators import passes
from tests.oracle.values import Number, duration, elements, is_number, micros
from tests.oracle.view import Condition, View, in_window, selects

PRECISE: Final = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)
NONE: Final = Decimal(2) ** -64
"""Of what all points weigh, a difference of less than that is none."""


def score(condition: Condition, view: View) -> bool:
    """Whether the score compares."""
    return compares(condition["is"], *worth(view.terms.scores[condition["score"]], view))


def worth(definition: Condition, view: View) -> tuple[Decimal, Decimal]:
    """What the points are worth, within the bounds, and what they would be worth if no points were negative."""
    inside = in_window(definition, view.at)
    earned = [
        PRECISE.multiply(Decimal(micros(one["points"])).scaleb(-6), left(definition, view.at - event.occurred_at))
        for event in view.events
        for one in definition["events"]
        if inside(event) and selects(one, event)
    ]
    total, gross = summed(earned), summed([each.copy_abs() for each in earned])
    if "bounds" in definition:
        low, high = (Decimal(repr(bound)) for bound in definition["bounds"])
        tolerance = PRECISE.multiply(gross, NONE)
        if PRECISE.subtract(total, low) <= tolerance:
            return low, Decimal(0)
        if PRECISE.subtract(high, total) <= tolerance:
            return high, Decimal(0)
    return total, gross


def summed(numbers: Sequence[Decimal]) -> Decimal:
    """The sum, to sixty digits."""
    total = Decimal(0)
    for number in numbers:
        total = PRECISE.add(total, number)
    return total


def left(definition: Condition, age: int) -> Decimal:
    """What is left of a point after so long."""
    return halved(age, duration(definition["half_life"])) if "half_life" in definition else Decimal(1)


@cache
def halved(age: int, half_life: int) -> Decimal:
    """A half to the power of the half-lives that have passed."""
    return PRECISE.power(2, PRECISE.divide(-age, half_life))


def compares(test: Any, value: Decimal, gross: Decimal) -> bool:
    """Whether a value passes a test that can tell only how it stands to the numbers in it."""
    numbers = sorted(literals(test))
    exact = [Fraction(Decimal(repr(number))) for number in numbers]
    places = [PRECISE.subtract(value, Decimal(repr(number))) for number in numbers]
    tolerance = PRECISE.multiply(gross, NONE)
    for number, place in zip(exact, places, strict=True):
        if place.copy_abs() <= tolerance:
            return passes(test, number, {})
    below = sum(place > 0 for place in places)
    ends = [exact[0] - 2, *exact, exact[-1] + 2] if exact else [Fraction(0), Fraction(0)]
    return passes(test, (ends[below] + ends[below + 1]) / 2, {})


def literals(test: Any) -> set[Number]:
    """The numbers that a test compares with."""
    if not isinstance(test, dict):
        test = {"eq": test}
    operands = [operand for name, operand in test.items() if name != "ignore_case"]
    return {number for operand in operands for number in elements(operand) if is_number(number)}


def score_steps(definition: Condition, test: Any, history: Sequence[Event]) -> Iterator[int]:
    """Every instant at which the comparison can change, beside those at which an event begins to count.

    What counts is always some first part of the history, as it was received.
    """
    if "within" in definition:
        yield from (event.occurred_at + duration(definition["within"]) for event in history)
        return
    for known in range(1, len(history) + 1):
        yield from fadings(definition, literals(test), history[:known])


def fadings(definition: Condition, numbers: set[Number], events: Sequence[Event]) -> Iterator[int]:
    """Where a sum that only fades passes one of the numbers, and the milliseconds beside."""
    half_life = duration(definition["half_life"])
    earned = [
        (event.occurred_at, micros(one["points"]) / 1_000_000)
        for event in events
        for one in definition["events"]
        if selects(one, event)
    ]
    instants = sorted({at for at, _ in earned})
    for begins, ends in pairwise([*instants, inf]):
        value = sum(points * 2.0 ** ((at - begins) / half_life) for at, points in earned if at <= begins)
        for number in numbers:
            if value * number > 0:
                passed = floor(begins + half_life * log2(value / number))
                yield from (near for near in range(passed - 1, passed + 3) if begins < near <= ends)
