"""What a benchmark says: one figure, side by side with its reference, and the goal it is held to."""

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Column, Table

WIDTH = 160
"""Characters of the table, at least."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `ratio` compares it with `reference`, measured in the same run; `goal` is what DESIGN 5 asks for, as
    text. `note` says where the figure comes from or where the time goes."""

    bench: str
    value: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    goal: str | None = None
    note: str | None = None

    def line(self) -> str:
        """The measurement as one line of JSON; the note is for people and left out."""
        return json.dumps({name: getattr(self, name) for name in self.__struct_fields__ if name != "note"})


def in_turn(runs: int, *measured: Callable[[], float]) -> list[float]:
    """The median of each, measured in turn (A B A B …), so that a slow moment of the machine falls on all of them."""
    figures: list[list[float]] = [[] for _ in measured]
    for _ in range(runs):
        for measure, taken in zip(measured, figures, strict=True):
            taken.append(measure())
    return [statistics.median(taken) for taken in figures]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share) - 1)]


def table(measurements: Iterable[Measurement]) -> Table:
    """All measurements for a reader."""
    shown = Table(
        Column("bench", no_wrap=True), "value", "unit", "reference", "ratio", "goal", "note", title="Measured"
    )
    for measured in measurements:
        shown.add_row(
            measured.bench,
            _figure(measured.value),
            measured.unit,
            _figure(measured.reference),
            _figure(measured.ratio),
            measured.goal or "",
            measured.note or "",
        )
    return shown


def show(measurements: Iterable[Measurement]) -> None:
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table(measurements))


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
