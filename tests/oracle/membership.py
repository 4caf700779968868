"""Membership: who is in a segment at an instant, with the memory of `stays` and `until`, and when that can change."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.conditions import Condition, View, holds, order
from tests.oracle.values import duration, instant

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR


@dataclass(frozen=True)
class Oracle:
    """Answers for the segments of a catalogue: `{id: {"name", "when", "stays"?, "until"?}}`, spans in milliseconds."""

    catalog: Mapping[str, Mapping[str, Any]]
    lateness: int = HOUR
    max_age: int = 30 * DAY

    @cached_property
    def reaches(self) -> "Mapping[str, Reach]":
        """What the conditions of each segment can depend on."""
        return {segment: reach(definition) for segment, definition in self.catalog.items()}

    def visitor(self, events: Iterable[Event]) -> "Visitor":
        """One visitor's history, to be asked about many instants."""
        return Visitor(self, tuple(events))

    def member(self, events: Iterable[Event], segment: str, at: int) -> bool:
        """Whether the visitor with these events is in the segment at the instant; later events are not yet known."""
        return self.visitor(events).member(segment, at)

    def breakpoints(self, events: Iterable[Event], segment: str) -> set[int]:
        """Every instant at which membership can change: between two of them, and before and after all, it does not."""
        return self.visitor(events).breakpoints(segment)


@dataclass(frozen=True)
class Visitor:
    """A visitor's whole history under one catalogue."""

    oracle: Oracle
    log: tuple[Event, ...]
    answers: dict[tuple[str, str, int, int], bool] = field(default_factory=dict)

    @cached_property
    def history(self) -> Sequence[Event]:
        """The events that are ever part of the history, each copied one as it was received first, by `received_at`."""
        first: dict[str, Event] = {}
        for event in sorted(self.log, key=lambda event: event.received_at, reverse=True):
            first[event.message_id] = event
        kept = [event for event in first.values() if event.received_at - event.occurred_at <= self.oracle.max_age]
        return sorted(kept, key=lambda event: event.received_at)

    def member(self, segment: str, at: int) -> bool:
        """Whether the visitor is in the segment at the instant, knowing what was received by then."""
        return self.member_knowing(segment, at, known=at)

    def member_knowing(self, segment: str, at: int, known: int) -> bool:
        """Whether the visitor was in the segment at an instant, seen with what was received up to `known`."""
        definition = self.oracle.catalog[segment]
        past = at - duration(definition["stays"]) if "stays" in definition else at
        for looked in sorted({past, *self.steps_between(segment, past, at)}, reverse=True):
            if "until" in definition and self.holds(segment, "until", looked, known):
                return False
            if self.holds(segment, "when", looked, known):
                return True
        return False

    def steps_between(self, segment: str, after: int, upto: int) -> Sequence[int]:
        """The instants in (after, upto] at which, looking back, a condition of the segment can change."""
        steps = self.steps[segment]
        return steps[bisect_right(steps, after) : bisect_right(steps, upto)]

    def holds(self, segment: str, part: str, at: int, known: int) -> bool:
        """Whether a condition of the segment is true at an instant of the past; nothing is before the first event."""
        known = min(known, at + self.oracle.lateness)
        heard = bisect_right(self.received, known)
        key = (segment, part, at, heard)
        if key not in self.answers:
            events = sorted((event for event in self.history[:heard] if event.occurred_at <= at), key=order)
            view = View(at, events, lambda other: self.member_knowing(other, at, known))
            self.answers[key] = bool(events) and holds(self.oracle.catalog[segment][part], view)
        return self.answers[key]

    @cached_property
    def received(self) -> Sequence[int]:
        """When each event of the history was received."""
        return [event.received_at for event in self.history]

    @cached_property
    def steps(self) -> Mapping[str, Sequence[int]]:
        """Per segment, every instant at which its conditions can change as one looks along the past."""
        return {segment: sorted(self.condition_steps(segment)) for segment in self.oracle.catalog}

    def condition_steps(self, segment: str) -> set[int]:
        """Where an event occurs, begins to count, enters or leaves a window, or another segment changes."""
        reach = self.oracle.reaches[segment]
        steps = {event.received_at - self.oracle.lateness for event in self.history} | reach.instants
        steps |= {event.occurred_at + span for event in self.history for span in reach.spans}
        return steps.union(*(self.membership_steps(other) for other in reach.segments))

    def membership_steps(self, segment: str) -> set[int]:
        """The steps of the conditions, and what `stays` makes of them."""
        steps = self.condition_steps(segment)
        definition = self.oracle.catalog[segment]
        return steps | {step + duration(definition["stays"]) for step in steps} if "stays" in definition else steps

    def breakpoints(self, segment: str) -> set[int]:
        """Every instant at which membership can change."""
        return {*self.membership_steps(segment), *self.received}


@dataclass(frozen=True)
class Reach:
    """What the truth of some conditions can depend on beside the events."""

    spans: frozenset[int]
    """How long after an event something can change: at once, at the end of a window, of a wait."""
    instants: frozenset[int]
    segments: frozenset[str]


def reach(definition: Mapping[str, Any]) -> Reach:
    """The reach of a segment's conditions, not counting what the segments they ask for depend on."""
    found = [node for part in ("when", "until") if part in definition for node in nodes(definition[part])]
    spans = {duration(node[name]) for node in found for name in ("within", "for") if name in node}
    spans |= {duration(end) for node in found for end in node.get("ago", ())}
    begins = (instant(node["since"]) for node in found if "since" in node)
    return Reach(
        spans=frozenset({0, *spans}),
        instants=frozenset(begin for begin in begins if begin is not None),
        segments=frozenset(node["segment"] for node in found if "segment" in node),
    )


def nodes(part: Any) -> Iterator[Condition]:
    """Every object in a part of a definition, in any order."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from nodes(inner)
