"""Membership: who is in a segment at an instant, with all the memory it has, and when that can change."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.calendar import clock_turns, turn
from tests.oracle.clusters import moving
from tests.oracle.conditions import holds
from tests.oracle.dates import anniversaries, crossings
from tests.oracle.person import consents
from tests.oracle.scores import score_steps
from tests.oracle.traits import trait_steps
from tests.oracle.values import duration, instant, look_up
from tests.oracle.view import Condition, Terms, View, order

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

Definition = Mapping[str, Any]
"""A segment's: `{"name", "when", "stays"?, "until"?, "enter_after"?, "purposes"?}`."""


@dataclass(frozen=True)
class Oracle:
    """Answers for the segments of a catalogue, with spans in milliseconds.

    `lists` are the identifiers (`user_id:42`) on each static list, `granted_unsaid` the purposes that count as granted
    until something is said of them.
    """

    catalog: Mapping[str, Definition]
    lists: Mapping[str, Collection[str]] = field(default_factory=dict)
    granted_unsaid: Collection[str] = ()
    lateness: int = HOUR
    max_age: int = 30 * DAY
    scores: Mapping[str, Condition] = field(default_factory=dict)
    computed: Mapping[str, Condition] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    session_gap: int = 30 * MINUTE

    @cached_property
    def terms(self) -> Terms:
        """What conditions refer to by name."""
        return Terms(self.scores, self.computed, self.models, self.session_gap)

    @cached_property
    def reaches(self) -> "Mapping[str, Reach]":
        """What the conditions of each segment can depend on."""
        return {segment: reach(definition, self.terms) for segment, definition in self.catalog.items()}

    def visitor(self, events: Iterable[Event]) -> "Visitor":
        """One visitor's history, to be asked about many instants."""
        return Visitor(self, tuple(events))

    def member(self, events: Iterable[Event], segment: str, at: int) -> bool:
        """Whether the visitor with these events is in the segment at the instant; later events are not yet known."""
        return self.visitor(events).member(segment, at)

    def breakpoints(self, events: Iterable[Event], segment: str) -> set[int]:
        """Every instant at which membership can change: between two of them, and before and after all, it does not.

        Clocks and anniversaries go on for ever: of what they change only the first week after all the rest is here.
        """
        return self.visitor(events).breakpoints(segment)


@dataclass(frozen=True)
class Visitor:
    """A visitor's whole history under one catalogue."""

    oracle: Oracle
    log: tuple[Event, ...]
    answers: dict[tuple[str, str, int, int], bool] = field(default_factory=dict)
    views: dict[tuple[int, int], View] = field(default_factory=dict)

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
        view = self.view(at, known)
        if not all(consents(purpose, view) for purpose in definition.get("purposes", ())):
            return False
        past, enter_after = at - span(definition, "stays"), span(definition, "enter_after")
        looks = {past, *self.steps_between(segment, past, at)}
        looks |= {step + enter_after for step in self.steps_between(segment, past - enter_after, at - enter_after)}
        for looked in sorted(looks, reverse=True):
            if "until" in definition and self.holds(segment, "until", looked, known):
                return False
            if self.held(segment, looked - enter_after, looked, known):
                return True
        return False

    def held(self, segment: str, since: int, upto: int, known: int) -> bool:
        """Whether `when` was true throughout [since, upto]."""
        steps = self.steps_between(segment, since, upto)
        return all(self.holds(segment, "when", looked, known) for looked in (upto, *steps, since))

    def steps_between(self, segment: str, after: int, upto: int) -> Sequence[int]:
        """The instants in (after, upto] at which, looking back, a condition of the segment can change."""
        if after == upto:
            return ()
        steps = self.steps[segment]
        found = steps[bisect_right(steps, after) : bisect_right(steps, upto)]
        return sorted({*found, *self.recurring(segment, after, upto)})

    def holds(self, segment: str, part: str, at: int, known: int) -> bool:
        """Whether a condition of the segment is true at an instant of the past; nothing is before the first event."""
        key = (segment, part, at, self.knowledge(at, known))
        if key not in self.answers:
            view = self.view(at, known)
            self.answers[key] = bool(view.events) and holds(self.oracle.catalog[segment][part], view)
        return self.answers[key]

    def view(self, at: int, known: int) -> View:
        """What there is to see at an instant of the past with what was received up to `known`; lists are today's."""
        key = (at, self.knowledge(at, known))
        if key not in self.views:
            events = sorted((event for event in self.history[: key[1]] if event.occurred_at <= at), key=order)
            identifiers = {each for event in events for each in identifiers_of(event)}
            self.views[key] = View(
                at,
                events,
                lambda other: self.member_knowing(other, at, known),
                {name for name, listed in self.oracle.lists.items() if identifiers & {*listed}},
                self.oracle.granted_unsaid,
                self.oracle.terms,
            )
        return self.views[key]

    def knowledge(self, at: int, known: int) -> int:
        """How many events count at an instant of the past."""
        return bisect_right(self.received, min(known, at + self.oracle.lateness))

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
        steps |= {
            turn(event.occurred_at, calendar, ahead)
            for event in self.history
            for calendar in reach.calendars
            for ahead in range(1, calendar.get("last", 1) + 1)
        }
        steps |= {step for node in reach.named for step in named_steps(node, self.oracle.terms, self.history)}
        steps |= {step for date in reach.dates for value in self.dated(date) for step in crossings(date, value)}
        return steps.union(*(self.membership_steps(other) for other in reach.segments))

    def membership_steps(self, segment: str) -> set[int]:
        """The steps of the conditions, and what memory makes of them."""
        shifts = memory_shifts(self.oracle.catalog[segment])
        return {step + shift for step in self.condition_steps(segment) for shift in shifts}

    def recurring(self, segment: str, after: int, upto: int) -> set[int]:
        """The steps in (after, upto] that recur for ever."""
        reach = self.oracle.reaches[segment]
        steps = {step for clock in reach.clocks for step in clock_turns(clock, after, upto)}
        steps |= {
            step
            for date in reach.dates
            for value in self.dated(date)
            for step in anniversaries(date, value, after, upto)
        }
        for other in reach.segments:
            steps |= self.membership_recurring(other, after, upto)
        return steps

    def membership_recurring(self, segment: str, after: int, upto: int) -> set[int]:
        """The steps in (after, upto] that recur for ever, and what memory makes of them."""
        shifts = memory_shifts(self.oracle.catalog[segment])
        return {step + shift for shift in shifts for step in self.recurring(segment, after - shift, upto - shift)}

    def dated(self, condition: Condition) -> list[Any]:
        """Every value that the trait of a `date` condition ever has."""
        said = [look_up(event.traits, condition["date"]) for event in self.history]
        for definition in self.oracle.terms.named(condition):
            paths = {path for path in definition.values() if isinstance(path, str)}
            said += [look_up(event.properties, path) for event in self.history for path in paths]
        return said

    def breakpoints(self, segment: str, upto: int | None = None) -> set[int]:
        """Every instant at which membership can change; of those that recur for ever the ones until `upto`.

        Without `upto`, those are here that lie up to a week after all that do not recur.
        """
        steps = {*self.membership_steps(segment), *self.received}
        first = min((event.occurred_at for event in self.history), default=0)
        last = max(steps, default=0) + 7 * DAY if upto is None else upto
        return steps | self.membership_recurring(segment, first, last)


def identifiers_of(event: Event) -> set[str]:
    """The identifiers that an event carries, as static lists have them."""
    ids = {"anonymous_id": event.anonymous_id, "user_id": event.user_id}
    return {f"{name}:{value}" for name, value in ids.items() if value is not None}


def span(definition: Definition, name: str) -> int:
    """The milliseconds of one of the definition's durations, 0 if it has none."""
    return duration(definition[name]) if name in definition else 0


def named_steps(node: Condition, terms: Terms, history: Sequence[Event]) -> Iterator[int]:
    """Every instant at which what a condition refers to by name can change it."""
    if "score" in node:
        yield from score_steps(terms.scores[node["score"]], node["is"], history)
    elif any("time_since_last" in definition for definition in terms.named(node)):
        yield from trait_steps(node, terms, history)


def memory_shifts(definition: Definition) -> set[int]:
    """How long after a condition changes membership can change."""
    stays, enter_after = span(definition, "stays"), span(definition, "enter_after")
    return {0, stays, enter_after, stays + enter_after}


@dataclass(frozen=True)
class Reach:
    """What the truth of some conditions can depend on beside the events."""

    spans: frozenset[int]
    """How long after an event something can change: at once, at the end of a window, of a wait."""
    instants: frozenset[int]
    calendars: Sequence[Condition]
    """Each with the `period` and the `tz` whose turns change something, up to the `last` one after an event."""
    clocks: Sequence[Condition]
    dates: Sequence[Condition]
    named: Sequence[Condition]
    """Those that refer to something by its name."""
    segments: frozenset[str]


def reach(definition: Definition, terms: Terms) -> Reach:
    """The reach of a segment's conditions, not counting what the segments they ask for depend on."""
    found = [node for part in ("when", "until") if part in definition for node in nodes(definition[part])]
    found += [node for condition in [*found] for named in terms.named(condition) for node in nodes(named)]
    spans = {duration(node[name]) for node in found for name in SPANS if name in node}
    spans |= {duration(end) for node in found for end in node.get("ago", ())}
    spans |= {terms.session_gap for node in found if "session" in node}
    begins = (instant(node["since"]) for node in found if "since" in node)
    clocks = [node["time"] for node in found if "time" in node]
    models = [terms.models[node["cluster"]["model"]] for node in found if "cluster" in node]
    return Reach(
        spans=frozenset({0, *spans}),
        instants=frozenset(begin for begin in begins if begin is not None),
        calendars=[{"last": 2, **node} if "streak" in node else node for node in found if "period" in node],
        clocks=[*clocks, *([EVERY_MIDNIGHT] if any(moving(model, terms) for model in models) else [])],
        dates=[node for node in found if "date" in node],
        named=[node for node in found if "score" in node or "trait" in node],
        segments=frozenset(node["segment"] for node in found if "segment" in node),
    )


EVERY_MIDNIGHT: Final = {"tz": "UTC"}
"""A `time` that may change at midnight."""

SPANS: Final = ("within", "for", "earlier", "recent")


def nodes(part: Any) -> Iterator[Condition]:
    """Every object in a part of a definition, in any order; tests of values have none."""
    if isinstance(part, dict):
        yield part
    inner = [part[name] for name in part if name not in ("where", "is")] if isinstance(part, dict) else part
    for each in inner if isinstance(inner, list) else ():
        yield from nodes(each)
