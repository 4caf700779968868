"""The engine over a profile's whole history: the memberships it had, for the conditions that SQL does not say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final, TypeAlias

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.membership import Interval

Memberships: TypeAlias = Mapping[str, list[Interval]]

END_OF_TIME: Final = 1 << 47
"""The year 6429, in epoch ms: so far time is carried on where a truth changes only so often; no window is as long."""


def folding(program: rules.Program, until: int) -> Callable[[Sequence[Event]], Memberships]:
    """What tells when a profile was in each segment, and from `until` on is going to be with no further event.

    It is given the profile's events; those received after `until` are left out. What entered and left at the same
    instant never was. Where some truth changes for ever, what is going to be is told as far as the timeline is.
    """
    if any(segment.recurs for segment in program.order):
        return lambda events: folded(program, events, until)
    replay = rules.Replay(program)

    def at_once(events: Sequence[Event]) -> Memberships:
        found: dict[str, list[Interval]] = {}
        entered: dict[str, int] = {}
        flips, _ = replay.transitions([event for event in events if event.received_at <= until], END_OF_TIME)
        for at, segment, enters in flips:
            if enters:
                entered[segment] = at
            else:
                found.setdefault(segment, []).append((entered.pop(segment), at))
        for segment, since in entered.items():
            found.setdefault(segment, []).append((since, None))
        return found

    return at_once


def folded(program: rules.Program, events: Iterable[Event], until: int) -> Memberships:
    """The same message by message; `events` come in the order in which they were received."""
    state = rules.empty()
    for received_at, together in groupby(events, attrgetter("received_at")):
        if received_at > until:
            break
        state = rules.fold(program, state, tuple(together))
    state = rules.fold(program, state, (), at=until)
    found: dict[str, list[Interval]] = {}
    entered: dict[str, int] = {}
    for transition in state.pending:
        if transition.transition == "entered":
            entered[transition.segment] = transition.at
        else:
            _add(found.setdefault(transition.segment, []), (entered.pop(transition.segment), transition.at))
    for segment, intervals in rules.timeline(program, state, until).memberships.items():
        for since, ends in intervals:
            _add(found.setdefault(segment, []), (entered.pop(segment, since), ends))
    return found


def _add(intervals: list[Interval], interval: Interval) -> None:
    """Intervals that touch are one, and an empty one is none."""
    since, until = interval
    if since == until:
        return
    if intervals and intervals[-1][1] == since:
        since = intervals.pop()[0]
    intervals.append((since, until))
