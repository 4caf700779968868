"""What a leaf finds at an instant: a figure against what is asked for, and the entries that count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from segue.domain.event import Json
from segue.domain.rules.evidence import Entry, Window
from segue.domain.rules.operators import is_number, operation

NOTHING: Final = 1.0
"""The distance of a leaf of which nothing is true yet, or nothing can be said by degrees."""

HALF: Final = 0.5
"""The distance of a leaf that is on its way, where nothing more exact can be said."""


@dataclass(frozen=True)
class Finding:
    """`says` is what is asked, `found` what there is, `lacks` what is missing to it, all in words.

    `figure` and `wanted` are the two as JSON. `distance` is between 0 (nothing is lacking) and 1. What is lacking has
    to come before `before` (epoch ms; None: at any time), when some of what counts now no longer does. `counted` are
    the entries that count, by the key of their measurement.
    """

    says: str
    found: str = ""
    figure: Json = None
    wanted: Json = None
    lacks: str | None = None
    distance: float = NOTHING
    before: int | None = None
    counted: Mapping[str, Sequence[Entry]] = field(default_factory=dict)


def counting(entries: Iterable[Entry], window: Window, at: int) -> list[Entry]:
    """The entries in the window at an instant."""
    return [entry for entry in entries for begins, ends in [window.active(entry)] if begins <= at < ends]


def first_to_leave(entries: Iterable[Entry], window: Window) -> int | None:
    """When the first of these leaves the window."""
    return min((window.active(entry)[1] for entry in entries), default=None) if window.far is not None else None


def lacking(test: Mapping[str, Any], figure: Json, *, whole: bool = False) -> int | float | None:
    """How much more is needed to pass a comparison, None if more does not help. `whole`: it grows by ones."""
    name, operand = operation(test)
    least = operand[0] if name == "between" else operand
    if name not in ("ge", "gt", "eq", "between") or not (is_number(least) and is_number(figure)):
        return None
    if whole:
        needed = (least // 1 + 1 if name == "gt" or least % 1 else least) - figure
        return int(needed) if needed > 0 else None
    return least - figure if least > figure or (least == figure and name == "gt") else None


def share(lack: int | float | None, figure: Json) -> float:
    """How far something is from passing: the part that is lacking of what is needed."""
    if lack is None or not is_number(figure) or figure <= 0:
        return NOTHING
    return float(lack / (lack + figure)) if lack > 0 else 0.0
