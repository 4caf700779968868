"""Decay: what is left of events that lose half of their weight in each half-life, in closed form.

An event at an instant o weighs `2 ** (o / half_life)`, and at t it is worth that over the weight of an event at t. So
sums of weights never change: time is in the divisor alone. A weight is `(mantissa, epoch)`, which is
`mantissa * 2 ** epoch`; whole numbers add up to the same in any order.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeAlias

from segue.domain.rules.courses import Number, exact
from segue.domain.rules.evidence import Entry
from segue.domain.rules.measurements import Totals

Weight: TypeAlias = tuple[int, int]

NOTHING: Final[Weight] = (0, 0)

MANTISSA_BITS: Final = 96
FLOAT_BITS: Final = 52
ROUGH_BITS: Final = 40
"""A difference of more than 2 ** -40 of what all events weigh is told by a float."""

KEPT_BITS: Final = 192
"""How many bits of a sum are kept: what was lost is less than 2 ** -190 of it."""

EQUAL_BITS: Final = 64
"""A difference of less than 2 ** -64 of what all events weigh is none."""

BEYOND_BITS: Final = 4_096
"""So many halvings bring every sum below every number there is."""

MILLION: Final = 1_000_000


LN_2: Final = 0x2C5C85FDF473DE6AF278ECE600FCBDA
"""The natural logarithm of 2, in units of 2 ** -122."""

LN_2_BITS: Final = 122


def weight(instant: int, half_life: int) -> Weight:
    """The weight of one event."""
    epoch, rest = divmod(instant, half_life)
    return _power_of_two(rest, half_life), epoch


def rough_weight(instant: int, half_life: int) -> Weight:
    """The same to 52 bits, at a fortieth of the cost."""
    epoch, rest = divmod(instant, half_life)
    return int(math.ldexp(2.0 ** (rest / half_life), FLOAT_BITS)) << MANTISSA_BITS - FLOAT_BITS, epoch


@lru_cache(maxsize=4_096)
def _power_of_two(rest: int, half_life: int) -> int:
    """2 ** (rest / half_life) in units of 2 ** -96, by the series of the exponential function."""
    exponent = LN_2 * rest // half_life
    term, total, number = 1 << LN_2_BITS, 0, 0
    while term:
        total += term
        number += 1
        term = (term * exponent >> LN_2_BITS) // number
    return total >> LN_2_BITS - MANTISSA_BITS


def added(weights: Iterable[Weight]) -> Weight:
    """Their sum."""
    some = [one for one in weights if one[0]]
    if not some:
        return NOTHING
    epoch = _common_epoch(some)
    return sum(aligned(one, epoch) for one in some), epoch


def aligned(one: Weight, epoch: int) -> int:
    """The mantissa of a weight at another epoch."""
    shift = one[1] - epoch
    return one[0] << shift if shift >= 0 else one[0] >> -shift


def settle(totals: dict[str, Totals], entries: Iterable[Entry], half_life: int) -> None:
    """Add entries that every later answer counts to `[newest instant, mantissa as text, epoch]`."""
    for entry in entries:
        newest, mantissa, epoch = totals.get("", (entry[0], "0", 0))
        mantissa, epoch = added([(int(mantissa), epoch), weight(entry[0], half_life)])
        totals[""] = [max(newest, entry[0]), str(mantissa), epoch]


def are_decayed(totals: Mapping[str, Totals]) -> bool:
    """Whether they are totals of what decays."""
    return len(totals.get("", ())) == len(("newest", "mantissa", "epoch"))


def joined_totals(ours: Mapping[str, Totals], theirs: Mapping[str, Totals]) -> dict[str, Totals]:
    """The totals over the entries of both."""
    parts = [each[""] for each in (ours, theirs) if each]
    mantissa, epoch = added([settled(part) for part in parts])
    return {"": [max(part[0] for part in parts), str(mantissa), epoch]}


def settled(totals: Totals | None) -> Weight:
    """The sum that was settled."""
    return NOTHING if totals is None else (int(totals[1]), totals[2])


@dataclass(frozen=True)
class Decaying:
    """A sum of points that decays, kept within bounds as it is read.

    `worth` and `gross` are in millionths of a point, at `epoch`: the sum, and what it would be if no points were
    negative. `newest` is the instant of the newest event.
    """

    half_life: int
    worth: int
    gross: int
    epoch: int
    newest: int
    bounds: tuple[Number, Number] | None

    @classmethod
    def of(
        cls, parts: Iterable[tuple[int, Weight]], half_life: int, newest: int, bounds: tuple[Number, Number] | None
    ) -> "Decaying":
        """`parts` are the millionths of a point that each of so many events gives."""
        some = [(points, one) for points, one in parts if one[0]]
        epoch = _common_epoch([one for _, one in some])
        worths = [points * aligned(one, epoch) for points, one in some]
        return cls(half_life, sum(worths), sum(map(abs, worths)), epoch, newest, bounds)

    def at(self, instant: int, beside: Sequence[Number] = ()) -> Number:
        """The nearest number there is; with numbers to compare it with, some number that stands to each of them as it
        does.

        What was settled is looked at before its newest event only by a memory that came later: it is as it was then.
        """
        instant = max(instant, self.newest)
        if self.bounds is not None and not self._all_within(beside):
            low, high = self.bounds
            if self._against(low, instant) <= 0:
                return low
            if self._against(high, instant) >= 0:
                return high
        if not beside:
            return self._nearest(instant)
        below: list[Number] = []
        above: list[Number] = []
        for number in beside:
            side = self._against(number, instant)
            if side == 0:
                return number
            (below if side > 0 else above).append(number)
        return math.nextafter(max(below), math.inf) if below else math.nextafter(min(above), -math.inf)

    def _all_within(self, beside: Sequence[Number]) -> bool:
        """Whether its bounds make no difference to how it stands to these numbers: there are some, all inside."""
        low, high = self.bounds or (-math.inf, math.inf)
        return bool(beside) and all(low < number < high for number in beside)

    def crossings(self, number: Number) -> Iterable[int]:
        """The instants next to the one at which it passes a number, if it does."""
        level = exact(number)
        if level * self.worth <= 0:
            return ()
        halvings = math.log2(abs(self.worth)) - MANTISSA_BITS - math.log2(MILLION)
        halvings -= math.log2(abs(level.numerator)) - math.log2(level.denominator)
        passed = self.epoch * self.half_life + math.floor(halvings * self.half_life)
        return range(passed - 1, passed + 3)

    def _against(self, number: Number, instant: int) -> int:
        """-1, 0 or 1: below, at or above a number."""
        level = exact(number)
        difference, gross = self._difference(level, rough_weight(instant, self.half_life))
        if abs(difference) <= gross >> ROUGH_BITS:
            difference, gross = self._difference(level, weight(instant, self.half_life))
            if abs(difference) <= gross >> EQUAL_BITS:
                return 0
        return 1 if difference > 0 else -1

    def _difference(self, level: Fraction, now: Weight) -> Weight:
        """How much more it is worth than so many points would be now, and what all events weigh."""
        mantissa, epoch = now
        shift = epoch - self.epoch
        if shift > BEYOND_BITS and level:
            return -level.numerator, 0
        unit = mantissa << max(0, shift) if level else 0
        ours = level.denominator << max(0, -shift)
        return self.worth * ours - level.numerator * MILLION * unit, self.gross * ours

    def _nearest(self, instant: int) -> float:
        mantissa, epoch = weight(instant, self.half_life)
        shift = self.epoch - epoch
        if shift < -BEYOND_BITS or self.worth == 0:
            return 0.0
        return float(Fraction(self.worth << max(0, shift), (mantissa << max(0, -shift)) * MILLION))


def _common_epoch(weights: list[Weight]) -> int:
    """The oldest epoch, or where the sum would be too long with it a later one."""
    if not weights:
        return 0
    top = max(mantissa.bit_length() + epoch for mantissa, epoch in weights)
    return max(min(epoch for _, epoch in weights), top - KEPT_BITS)
