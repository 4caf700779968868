"""A profile's whole history at once: what a log or an archive says was entered and left, and when.

The same transitions as folding message by message and announcing (RULES.md section 5, L6), without the states: for
replays, previews and back-tests. Definitions that the generated code can say are folded by it, the others by the
readable engine; so is a history that the generated code leaves alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from segue.domain.event import Event
from segue.domain.rules import state as states
from segue.domain.rules.fold import fold
from segue.domain.rules.generated import Flip, generate, sayable
from segue.domain.rules.program import Program
from segue.domain.rules.state import Counts
from segue.domain.rules.stretches import Unfit


class Replay:
    """A program's named segments made ready for histories. `generated` are those that the generated code answers."""

    def __init__(self, program: Program) -> None:
        program = program.named()
        self.generated = frozenset(sayable(program))
        self._run = generate(program, sorted(self.generated)) if self.generated else None
        self._program = program
        rest = program.segments.keys() - self.generated
        self._rest_names = frozenset(rest)
        self._rest = program.limited_to(rest) if rest or not self.generated else None

    def transitions(self, history: Iterable[Event], end: int) -> tuple[list[Flip], Counts]:
        """What is entered (True) and left (False) as `(at, segment, entered)`, in order of instant and segment.

        `history` are the events of one profile in any order; `end` (epoch ms): time comes to it, or to the newest
        event. What was entered and left at the same instant never was.
        """
        events = sorted(history, key=attrgetter("received_at"))
        flips: list[Flip] = []
        if self._run is not None:
            try:
                counts = self._run(events, end, flips)
            except Unfit:
                return _folded(self._program, events, end)
        if self._rest is not None:
            others, counts = _folded(self._rest, events, end)
            flips += (flip for flip in others if flip[1] in self._rest_names)
        flips.sort()
        if flips and len({event.received_at for event in events}) < len(events):
            flips = _netted(flips)
        return flips, counts


def _folded(program: Program, events: Sequence[Event], end: int) -> tuple[list[Flip], Counts]:
    state = states.empty()
    for received in _received_together(events):
        state = fold(program, state, received)
    state = fold(program, state, (), at=end)
    flips = sorted((each.at, each.segment, each.transition == "entered") for each in state.pending)
    return _netted(flips), state.counts


def _received_together(events: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    for _, together in groupby(events, attrgetter("received_at")):
        yield tuple(together)


def _netted(flips: list[Flip]) -> list[Flip]:
    """Without the pairs of one segment and instant that cancel out."""
    if len({flip[:2] for flip in flips}) == len(flips):
        return flips
    found: list[Flip] = []
    for (at, segment), together in groupby(flips, lambda flip: flip[:2]):
        surplus = sum(1 if entered else -1 for _, _, entered in together)
        found += [(at, segment, surplus > 0)] * abs(surplus)
    return found
