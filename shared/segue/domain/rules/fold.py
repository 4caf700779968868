"""Folding: the events of a message into a profile's state, and what they bring, announced.

Everything happens at the profile's own instant, the newest `received_at` it has seen: what came due strictly before an
event is announced before that event is folded, and afterwards the memberships of the segments it concerns are worked
out anew, from that instant on.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

import msgspec

from segue.domain.event import Event
from segue.domain.membership import Interval, Timeline, Transition, covers
from segue.domain.rules import state as states
from segue.domain.rules.evidence import MOST_ENTRIES, Entry, Evidence, add, kept
from segue.domain.rules.figures import settle
from segue.domain.rules.intervals import FOREVER, Spans, clipped, complement, intersection, union
from segue.domain.rules.measurements import Totals, View
from segue.domain.rules.program import CompiledSegment, Program
from segue.domain.rules.state import Counts, State
from segue.domain.time import DAY

MOST_STEPS = 64
"""How many coming steps of a segment are worked out ahead."""

IDS_FOR = DAY
MOST_IDS = 4_096
LARGEST_STATE = 256 * 1_024


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
            work.take(event)
            last = event.message_id
        work.evaluate(last)
    if at is not None and at > work.instant:
        work.pass_time(at, inclusive=True)
    if at is not None or not events:
        work.evaluate(None)
    if delivery is not None:
        work.remember_id(delivery, work.instant)
    return work.done()


def timeline(program: Program, state: State, t: int) -> Timeline:
    """The memberships from t on, with no further event; t before `state.instant` is taken as that instant."""
    t = max(t, state.instant)
    if state.program != program.version or (state.known_until is not None and t >= state.known_until):
        work = Work(program, state)
        work.foresee(program.segments, t)
        state = work.done()
    coming = {
        name: tuple(span for span in spans if span[1] is None or span[1] > t)
        for name, spans in state.memberships.items()
    }
    return Timeline(
        memberships={name: spans for name, spans in coming.items() if spans},
        known_until=state.known_until,
        approximate=frozenset(state.approximate),
    )


class Work:
    """A state while it is being folded."""

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.before = state
        self.instant = state.instant
        self.known_from = state.known_from
        self.frozen = state.frozen
        self.streams: dict[str, Sequence[Entry]] = dict(state.streams)
        self.totals: dict[str, dict[str, Totals]] = dict(state.totals)  # type: ignore[arg-type]  # copied before a change
        self.lost = dict(state.lost)
        self.remembered = dict(state.remembered)
        self.memberships = dict(state.memberships)
        self.cuts = dict(state.cuts)
        self.approximate = set(state.approximate)
        self.due = state.due
        self.ids = state.ids
        self.folded = self.duplicate = self.late = self.forgotten = 0
        self.seq = state.seq
        self.pending = list(state.pending)
        self.inside = {name for name, spans in state.memberships.items() if covers(spans, state.instant)}
        self.touched: set[str] = set()
        self.stale: set[str] = set(program.segments) if state.program != program.version else set()

    # Time

    def pass_time(self, to: int, *, inclusive: bool) -> None:
        """Announce what comes due by time alone before `to` (or at it, if inclusive), and go there."""
        while self.due is not None and self.due <= to:
            if self.due == to and not inclusive:
                break
            self.instant = self.due
            if min(self.cuts.values(), default=FOREVER) <= self.due:
                self.foresee(self.program.segments, self.instant)
            self._announce(self.memberships.keys() | self.inside, "time", None)
            self._find_due()
        if min(self.cuts.values(), default=FOREVER) <= to:
            self.stale |= set(self.program.segments)
        self.instant = max(self.instant, to)

    # Events

    def take(self, event: Event) -> None:
        """Put an event among the evidence, unless it is a copy or too late."""
        received_before = states.received(self.ids, event.message_id)
        if received_before is not None:
            self.duplicate += 1
            if event.received_at < received_before:
                self._bring_forward(event, received_before)
            return
        if event.received_at - event.occurred_at > self.program.max_age:
            self.late += 1
            return
        self.folded += 1
        self.remember_id(event.message_id, event.received_at)
        visible_at = self._visible_at(event)
        if self.known_from is None or visible_at < self.known_from:
            self.known_from = visible_at
            self.stale |= set(self.program.segments)
        for evidence in self._concerned(event):
            entries = evidence.collect(event, visible_at)
            if entries:
                stream = self._writable(evidence.key)
                for entry in entries:
                    add(stream, entry)

    def _bring_forward(self, event: Event, received_before: int) -> None:
        """A copy was received earlier than the one that was folded: that is when the event counts from."""
        folded = msgspec.structs.replace(event, received_at=received_before)
        visible_at, visible_before = self._visible_at(event), self._visible_at(folded)
        self.known_from = min(visible_at, self.known_from or visible_at)
        self.stale |= set(self.program.segments)
        position = self.ids.find(states.ring_entry(event.message_id, received_before))
        entry = states.ring_entry(event.message_id, event.received_at)
        self.ids = self.ids[:position] + entry + self.ids[position + len(entry) :]
        for evidence in self._concerned(event):
            stream = self._writable(evidence.key)
            for old, new in zip(
                evidence.collect(folded, visible_before), evidence.collect(event, visible_at), strict=True
            ):
                if old in stream:
                    stream.remove(old)
                    add(stream, new)

    def _visible_at(self, event: Event) -> int:
        return max(event.occurred_at, event.received_at - self.program.lateness)

    def _concerned(self, event: Event) -> Iterable[Evidence]:
        yield from self.program.concerned(event.name)
        for trait in event.traits:
            yield from self.program.by_trait.get(trait, ())

    def _writable(self, key: str) -> list[Entry]:
        stream = self.streams.get(key, ())
        if not isinstance(stream, list):
            stream = self.streams[key] = list(stream)
        self.touched.add(key)
        return stream

    def remember_id(self, message_id: str, received_at: int) -> None:
        """Add a message to the ring, and forget what is older than 24 h or too many."""
        self.ids += states.ring_entry(message_id, received_at)
        keep_from = self.instant - IDS_FOR - self.program.lateness
        drop = 0
        while drop * states.ENTRY_BYTES < len(self.ids) and _received_at(self.ids, drop) < keep_from:
            drop += 1
        over = len(self.ids) // states.ENTRY_BYTES - drop - MOST_IDS
        if over > 0:
            self.forgotten += over
            drop += over
        if drop:
            self.ids = self.ids[drop * states.ENTRY_BYTES :]

    # Evaluation

    def evaluate(self, message_id: str | None) -> None:
        """Forget what no answer needs any more, and announce what the new evidence changes at this instant."""
        self._freeze()
        for key in self.touched:
            self._forget(self.program.evidence[key])
        stale = self.stale.union(*(self.program.dependents[key] for key in self.touched))
        self.touched, self.stale = set(), set()
        gone = {name for name in self.memberships if name not in self.program.segments}
        for name in gone:
            self.memberships.pop(name)
            self.cuts.pop(name, None)
        if stale:
            self.foresee(stale, self.instant)
        if stale or gone or (self.due is not None and self.due <= self.instant):
            self._announce(stale | gone, "event" if message_id else "time", message_id)
            self._announce(self.memberships.keys() | self.inside, "time", None)
            self._find_due()

    def foresee(self, names: Iterable[str], since: int) -> None:
        """Work the memberships of these segments out anew, from `since` (not before the instant) on."""
        wanted = {name for name in names if name in self.program.segments}
        now = View(self.instant, True, self.streams, self.totals, {})
        back = View(min(self.frozen, self.instant), False, self.streams, self.totals, {})
        for segment in self.program.with_references(wanted):
            spans = self._membership(segment, back if segment.looked_back else now)
            if segment.looked_back:
                back.memberships[segment.id] = spans
                spans = clipped(spans, self.instant)
            now.memberships[segment.id] = spans
            if segment.id in wanted:
                self._keep_ahead(segment, spans, since)

    def _keep_ahead(self, segment: CompiledSegment, spans: Spans, since: int) -> None:
        if since > self.instant:
            spans = clipped(spans, since)
        self.cuts.pop(segment.id, None)
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
        self.approximate.discard(segment.id)
        if self.lost and any(
            key in self.lost and (far is None or self.lost[key] + far > self.instant) for key, far in segment.reads
        ):
            self.approximate.add(segment.id)

    def _membership(self, segment: CompiledSegment, view: View) -> Spans:
        """When the profile is a member (RULES.md section 3), from the view's start on."""
        when = self._when(segment, view)
        if segment.memory is None:
            return when
        until = segment.until.spans(view) if segment.until else []
        last = self.remembered.get(segment.memory)
        members = [(view.start, last + 1 + segment.stays)] if last is not None else []
        members += [
            (a, b if b == FOREVER else b + segment.stays) for a, b in intersection(when, complement(until, view.start))
        ]
        ends = [span[0] for span in until]
        return union((a, min([b, *(end for end in ends if end >= a)])) for a, b in members)

    def _when(self, segment: CompiledSegment, view: View) -> Spans:
        spans = segment.when.spans(view)
        if self.known_from is None:
            return []
        return spans if self.known_from <= view.start else clipped(spans, self.known_from)

    # Forgetting

    def _freeze(self) -> None:
        """Move the instant before which nothing can change any more, once an hour or so of it has gathered."""
        edge = self.instant - 2 * self.program.lateness
        if self.frozen == 0:
            self.frozen = edge
        if edge - self.frozen <= self.program.lateness:
            return
        view = View(self.frozen, False, self.streams, self.totals, {})
        for segment in self.program.order:
            if segment.looked_back:
                view.memberships[segment.id] = self._membership(segment, view)
        for segment in self.program.order:
            if segment.memory is not None:
                self._remember(segment, segment.memory, view, edge)
        self.frozen = edge
        for key in list(self.streams):
            if key in self.program.evidence:
                self._forget(self.program.evidence[key])
            else:
                del self.streams[key]

    def _remember(self, segment: CompiledSegment, memory: str, view: View, edge: int) -> None:
        until = clipped(segment.until.spans(view) if segment.until else [], view.start, edge)
        true = clipped(intersection(self._when(segment, view), complement(until, view.start)), view.start, edge)
        last = true[-1][1] - 1 if true else self.remembered.get(memory)
        ended = last is not None and bool(until) and until[-1][1] > last
        if last is None or ended or last + 1 + segment.stays <= edge:
            self.remembered.pop(memory, None)
        else:
            self.remembered[memory] = last

    def _forget(self, evidence: Evidence) -> None:
        start = self.frozen if evidence.looked_back else self.instant
        entries, settled = kept(evidence, list(self.streams.get(evidence.key, ())), start)
        if settled:
            self.totals[evidence.key] = {group: [*one] for group, one in self.totals.get(evidence.key, {}).items()}
            settle(self.totals[evidence.key], settled)
        if len(entries) > MOST_ENTRIES:
            entries = self._drop(evidence.key, entries, len(entries) - MOST_ENTRIES)
        if entries:
            self.streams[evidence.key] = entries
        else:
            self.streams.pop(evidence.key, None)

    def _drop(self, key: str, entries: Sequence[Entry], number: int) -> list[Entry]:
        self.lost[key] = max(self.lost.get(key, 0), entries[number - 1][0])
        return list(entries[number:])

    # Announcing

    def _announce(self, names: Iterable[str], reason: Literal["event", "time"], message_id: str | None) -> None:
        """Say which of these segments the profile has entered or left since it was last said."""
        for name in sorted(names):
            member = covers(self.memberships.get(name, ()), self.instant) is not None
            if member == (name in self.inside):
                continue
            (self.inside.add if member else self.inside.discard)(name)
            self.seq += 1
            self.pending.append(
                Transition(
                    segment=name,
                    transition="entered" if member else "exited",
                    at=self.instant,
                    seq=self.seq,
                    definition=self.program.segments.get(name, ""),
                    reason=reason,
                    message_id=message_id,
                )
            )

    def _find_due(self) -> None:
        edges = [edge for spans in self.memberships.values() for span in spans for edge in span if edge is not None]
        self.due = min((edge for edge in [*edges, *self.cuts.values()] if edge > self.instant), default=None)

    # The new state

    def done(self) -> State:
        """The folded state, within its bounds."""
        before = self.before
        memberships: dict[str, tuple[Interval, ...]] = {}
        for name, spans in self.memberships.items():
            ahead = tuple(span for span in spans if span[1] is None or span[1] > self.instant)
            if ahead:
                memberships[name] = ahead
        state = State(
            program=self.program.version,
            instant=self.instant,
            known_from=self.known_from,
            frozen=self.frozen,
            streams={key: tuple(entries) for key, entries in self.streams.items()},
            totals=self.totals,
            lost=self.lost,
            remembered=self.remembered,
            memberships=memberships,
            cuts=self.cuts,
            approximate=tuple(sorted(self.approximate)),
            due=self.due,
            ids=self.ids,
            counts=Counts(
                before.counts.folded + self.folded,
                before.counts.duplicate + self.duplicate,
                before.counts.late + self.late,
                before.counts.forgotten + self.forgotten,
            ),
            seq=self.seq,
            pending=tuple(self.pending),
            changed=before.changed or self._differs(memberships),
        )
        return self._bounded(state)

    def _differs(self, memberships: dict[str, tuple[Interval, ...]]) -> bool:
        """Whether a reader of the last snapshot would be told something else."""
        before = self.before
        if before.program != self.program.version or before.cuts != self.cuts:
            return True
        if set(before.approximate) != self.approximate or len(self.pending) != len(before.pending):
            return True
        coming = {
            name: tuple(span for span in spans if span[1] is None or span[1] > self.instant)
            for name, spans in before.memberships.items()
        }
        return {name: spans for name, spans in coming.items() if spans} != memberships

    def _bounded(self, state: State) -> State:
        """Halve the largest measurement until the state fits; its answers are approximate from then on."""
        if sum(map(len, state.streams.values())) < MOST_ENTRIES and not self.lost and not _has_values(state):
            return state
        while len(states.encode(state)) > LARGEST_STATE and state.streams:
            sizes: dict[str, Any] = {key: len(msgspec.msgpack.encode(stream)) for key, stream in state.streams.items()}
            largest = max(sizes, key=lambda key: (sizes[key], key))
            stream = state.streams[largest]
            rest = self._drop(largest, stream, (len(stream) + 1) // 2)
            state = msgspec.structs.replace(
                state,
                streams={**state.streams, largest: tuple(rest)},
                lost=dict(self.lost),
                approximate=tuple(sorted({*state.approximate, *self.program.dependents.get(largest, ())})),
            )
        return state


def _received_at(ids: bytes, position: int) -> int:
    start = position * states.ENTRY_BYTES + states.ID_BYTES
    return int.from_bytes(ids[start : start + states.RECEIVED_BYTES], "big")


def _has_values(state: State) -> bool:
    """Whether some measurement keeps values as they came, which may be long."""
    return any(type(stream[-1][3]) is tuple for stream in state.streams.values() if stream)
