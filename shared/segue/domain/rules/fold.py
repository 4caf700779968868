"""Folding: the events of a message into a profile's state, and what they bring, announced.

Everything happens at the profile's own instant, the newest `received_at` it has seen: what came due strictly before an
event is announced before that event is folded, and afterwards the memberships of the segments it concerns are worked
out anew, from that instant on.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec

from segue.domain.event import Event
from segue.domain.membership import Interval, Reason, Timeline, Transition, covers, is_named
from segue.domain.rules import state as states
from segue.domain.rules.evidence import MOST_ENTRIES
from segue.domain.rules.foresight import foreseen, freeze, is_approximate
from segue.domain.rules.intervals import FOREVER, Spans, clipped
from segue.domain.rules.knowledge import Knowledge
from segue.domain.rules.program import CompiledSegment, Program
from segue.domain.rules.state import Counts, Memberships, State
from segue.domain.time import DAY

MOST_STEPS = 64
"""How many coming steps of a segment are worked out ahead."""

HORIZON = 32 * DAY
"""How far ahead the truth of what changes for ever is worked out."""

MOST_OF_A_FIGURE = 2
"""Parts of a payload that is no value."""

LARGEST_STATE = 256 * 1_024
"""Bytes."""

FEW_BYTES = 32 * 1_024
"""With less than this of what may be long, and few entries, a state is within its bounds: the rest is short."""


def fold(
    program: Program, state: State, events: Sequence[Event], *, at: int | None = None, delivery: str | None = None
) -> State:
    """The state after the events of one message, in any order.

    `at` carries time on to that instant afterwards: what is due up to and including it is announced. `delivery` is the
    id of the message itself: if the state holds it the message was folded before, and the very same state is returned.
    """
    if delivery is not None and states.holds(state, delivery):
        return state
    work = Work(program, state)
    for received_at, together in groupby(sorted(events, key=attrgetter("received_at")), attrgetter("received_at")):
        work.pass_time(received_at, inclusive=False)
        last = ""
        for event in together:
            work.known.take(event)
            last = event.message_id
        work.evaluate("event", last)
    if at is not None and at > work.known.instant:
        work.pass_time(at, inclusive=True)
    if at is not None or not events:
        work.evaluate("time")
    if delivery is not None:
        work.known.take_delivery(delivery)
    return work.done()


def timeline(program: Program, state: State, t: int) -> Timeline:
    """The memberships from t on, with no further event; t before `state.instant` is taken as that instant."""
    t = max(t, state.instant)
    if state.program != program.version or (state.known_until is not None and t >= state.known_until):
        work = Work(program, state)
        work.leave_out_gone()
        work.foresee(program.segments.keys(), t)
        state = work.done()
    return Timeline(
        memberships=_from(state.memberships, t),
        known_until=state.known_until,
        approximate=frozenset(state.approximate),
    )


class Work:
    """A state while it is folded: what is known, the memberships known ahead from it, and what was announced."""

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.before = state
        self.known = Knowledge(program, state)
        self.memberships = dict(state.memberships)
        self.cuts = dict(state.cuts)
        self.approximate = set(state.approximate)
        self.due = state.due
        self.seq = state.seq
        self.pending = list(state.pending)
        self.inside = {name for name, spans in state.memberships.items() if covers(spans, state.instant)}
        self.stale: set[str] = set(program.segments) if state.program != program.version else set()

    # Time

    def pass_time(self, to: int, *, inclusive: bool) -> None:
        """Announce what comes due by time alone before `to` (or at it, if inclusive), and go there."""
        while self.due is not None and (self.due < to or (inclusive and self.due == to)):
            self.known.instant = self.due
            if self._known_until <= self.due:
                self.foresee(self.program.segments.keys(), self.due)
            self._announce(self.memberships.keys() | self.inside, "time", None)
            self._find_due()
        if self._known_until <= to:
            self.stale |= self.program.segments.keys()
        self.known.instant = max(self.known.instant, to)

    @property
    def _known_until(self) -> int:
        return min(self.cuts.values(), default=FOREVER)

    # Evaluation

    def evaluate(self, reason: Reason, message_id: str | None = None) -> None:
        """Announce what the evidence that was added changes at this instant, and forget what no answer needs."""
        known = self.known
        if not freeze(known):
            known.forget(known.touched)
        stale = self.stale.union(*(self.program.dependents[key] for key in known.touched))
        if known.reborn:
            stale |= self.program.segments.keys()
        self.stale, known.touched, known.reborn = set(), set(), False
        gone = self.leave_out_gone()
        if stale:
            self.foresee(stale, known.instant)
        due_now = self.due is not None and self.due <= known.instant
        if stale or gone or due_now:
            self._announce(stale | gone, reason, message_id)
            if due_now:
                self._announce(self.memberships.keys() | self.inside, "time", None)
            self._find_due()

    def leave_out_gone(self) -> set[str]:
        """Leave out, and return, the segments that the program no longer has."""
        gone = (self.memberships.keys() | self.cuts.keys() | self.approximate) - self.program.segments.keys()
        for name in gone:
            self.memberships.pop(name, None)
            self.cuts.pop(name, None)
        self.approximate -= gone
        return gone

    def foresee(self, names: Iterable[str], since: int) -> None:
        """Work the memberships of these segments out anew, from `since` (not before the instant) on."""
        wanted = {name for name in names if name in self.program.segments}
        for segment, spans in foreseen(self.known, wanted, since + HORIZON):
            self._keep_ahead(segment, clipped(spans, since) if since > self.known.instant else spans, since)

    def _keep_ahead(self, segment: CompiledSegment, spans: Spans, since: int) -> None:
        self.cuts.pop(segment.id, None)
        if segment.recurs:
            self.cuts[segment.id] = since + HORIZON
        if 2 * len(spans) > MOST_STEPS:
            self.cuts[segment.id] = spans[MOST_STEPS // 2][0]
            spans = spans[: MOST_STEPS // 2]
        intervals: list[Interval] = [(a, None if b == FOREVER else b) for a, b in spans]
        standing = covers(self.memberships.get(segment.id, ()), since)
        if intervals and intervals[0][0] == since and standing:
            intervals[0] = (standing[0], intervals[0][1])
        if intervals:
            self.memberships[segment.id] = tuple(intervals)
        else:
            self.memberships.pop(segment.id, None)
        (self.approximate.add if is_approximate(self.known, segment) else self.approximate.discard)(segment.id)

    # Announcing

    def _announce(self, names: Iterable[str], reason: Reason, message_id: str | None) -> None:
        """Say which of these segments, if they have a name, the profile has entered or left since it was last said."""
        instant = self.known.instant
        for name in sorted(names):
            member = covers(self.memberships.get(name, ()), instant) is not None
            if member == (name in self.inside) or not is_named(name):
                continue
            (self.inside.add if member else self.inside.discard)(name)
            self.seq += 1
            self.pending.append(
                Transition(
                    segment=name,
                    transition="entered" if member else "exited",
                    at=instant,
                    seq=self.seq,
                    definition=self.program.segments.get(name, ""),
                    reason=reason,
                    message_id=message_id,
                )
            )

    def _find_due(self) -> None:
        told = [spans for name, spans in self.memberships.items() if is_named(name)]
        edges = [edge for spans in told for span in spans for edge in span if edge is not None]
        instant = self.known.instant
        self.due = min((edge for edge in [*edges, *self.cuts.values()] if edge > instant), default=None)

    # The new state

    def done(self) -> State:
        """The folded state, within its bounds."""
        known = self.known
        memberships = _from(self.memberships, known.instant)
        state = State(
            program=self.program.version,
            instant=known.instant,
            known_from=known.known_from,
            frozen=known.frozen,
            streams={key: tuple(entries) for key, entries in known.streams.items()},
            totals=known.totals,
            lost=known.lost,
            remembered=known.remembered,
            standing=known.standing,
            memberships=memberships,
            cuts=self.cuts,
            approximate=tuple(sorted(self.approximate)),
            due=self.due,
            ids=known.recent_ids(),
            counts=Counts(known.folded, known.duplicate, known.late, known.forgotten),
            seq=self.seq,
            pending=tuple(self.pending),
            changed=self.before.changed or self._differs(memberships),
        )
        return self._bounded(state)

    def _differs(self, memberships: Memberships) -> bool:
        """Whether a reader of the last snapshot would be told something else."""
        before = self.before
        return (
            before.program != self.program.version
            or before.cuts != self.cuts
            or set(before.approximate) != self.approximate
            or len(before.pending) != len(self.pending)
            or _from(before.memberships, self.known.instant) != memberships
        )

    def _bounded(self, state: State) -> State:
        """Halve the largest measurement until the state fits; its answers are approximate from then on."""
        if sum(map(len, state.streams.values())) < MOST_ENTRIES and _values_of(state) < FEW_BYTES:
            return state
        while len(states.encode(state)) > LARGEST_STATE and state.streams:
            sizes: dict[str, Any] = {key: len(msgspec.msgpack.encode(stream)) for key, stream in state.streams.items()}
            largest = max(sizes, key=lambda key: (sizes[key], key))
            stream = state.streams[largest]
            rest = self.known.drop_oldest(largest, stream, (len(stream) + 1) // 2)
            state = msgspec.structs.replace(
                state,
                streams={**state.streams, largest: tuple(rest)},
                lost=dict(self.known.lost),
                approximate=tuple(sorted({*state.approximate, *self.program.dependents.get(largest, ())})),
            )
        return state


def _from(memberships: Memberships, instant: int) -> Memberships:
    """What of the intervals is still to come."""
    coming = {
        name: tuple(span for span in spans if span[1] is None or span[1] > instant)
        for name, spans in memberships.items()
    }
    return {name: spans for name, spans in coming.items() if spans}


def _values_of(state: State) -> int:
    """The bytes of what measurements keep as it came, which may be long."""
    kept = [stream for stream in state.streams.values() if stream and type(stream[-1][3]) is tuple]
    return sum(len(msgspec.msgpack.encode(stream)) for stream in kept)
