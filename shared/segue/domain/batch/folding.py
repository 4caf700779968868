"""The engine over a profile's whole history: the memberships it had, for the conditions that SQL does not say."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.membership import Interval


def folded(program: rules.Program, events: Iterable[Event], until: int) -> Mapping[str, list[Interval]]:
    """When the profile was in each segment, and from `until` on is going to be with no further event.

    `events` come in the order in which they were received; those received after `until` are left out. What entered and
    left at the same instant never was.
    """
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
