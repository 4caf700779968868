"""What a profile's scores and computed traits are at an instant, as values."""

from collections.abc import Mapping

from segue.domain.event import Json
from segue.domain.rules.courses import value_at_start
from segue.domain.rules.measurements import Reading, View
from segue.domain.rules.operators import MISSING
from segue.domain.rules.program import Program
from segue.domain.rules.state import State


def scores(program: Program, state: State, t: int) -> Mapping[str, int | float]:
    """Each score at t, with no further event; t before `state.instant` is taken as that instant."""
    return _read(program.scores, state, t)


def computed(program: Program, state: State, t: int) -> Mapping[str, Json]:
    """Each computed trait at t, with no further event, the missing ones left out; t as `scores` takes it.

    A time since the last event is in milliseconds.
    """
    return _read(program.computed, state, t)


def told(program: Program, state: State, t: int) -> Mapping[str, Json]:
    """Each trait at t of those that the program was asked for, the missing ones left out; t as `scores` takes it."""
    return _read(program.told, state, t)


def _read(readings: Mapping[str, Reading], state: State, t: int) -> Mapping[str, Json]:
    view = View(max(t, state.instant), max(t, state.instant), True, state.streams, state.totals, {})
    values = {name: value_at_start(one.course(view)) for name, one in readings.items()}
    return {name: value for name, value in values.items() if value is not MISSING}
