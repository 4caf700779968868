"""What is known of a profile while a message is folded: its evidence, what is remembered, and the instant it is now."""

from collections.abc import Iterable, Sequence

import msgspec

from segue.domain.event import Event
from segue.domain.rules import decay, ring, sessions
from segue.domain.rules.evidence import MOST_ENTRIES, Entry, Evidence, add, kept
from segue.domain.rules.figures import settle
from segue.domain.rules.measurements import Totals
from segue.domain.rules.program import Program
from segue.domain.rules.state import State

KEPT = {"sessions": sessions.kept}
"""Measurements of which not some entries are kept, but what they come to."""


class Knowledge:
    """The evidence of a state, to be added to; the state itself is not changed.

    `touched` are the measurements that took something since they were last looked at. `reborn`: the profile exists from
    an earlier instant on than before.
    """

    def __init__(self, program: Program, state: State) -> None:
        self.program = program
        self.instant = state.instant
        self.known_from = state.known_from
        self.frozen = state.frozen
        self.streams: dict[str, Sequence[Entry]] = dict(state.streams)
        self.totals: dict[str, dict[str, Totals]] = dict(state.totals)  # type: ignore[arg-type]  # copied when changed
        self.lost = dict(state.lost)
        self.remembered = dict(state.remembered)
        self.standing = dict(state.standing)
        self.ids = bytearray(state.ids)
        self.folded, self.duplicate, self.late = state.counts.folded, state.counts.duplicate, state.counts.late
        self.forgotten = state.counts.forgotten
        self.touched: set[str] = set()
        self.reborn = False

    def take(self, event: Event) -> None:
        """Put an event among the evidence, unless it is a copy or too late."""
        name = ring.name_of(event.message_id)
        received_before = ring.received(self.ids, name)
        if received_before is not None:
            self.duplicate += 1
            if event.received_at < received_before:
                ring.receive_earlier(self.ids, name, event.received_at)
                self._bring_forward(event, received_before)
        elif event.received_at - event.occurred_at > self.program.max_age:
            self.late += 1
        else:
            self.folded += 1
            self.ids += ring.entry(name, event.received_at)
            self._add(event)

    def take_delivery(self, message_id: str) -> None:
        """Hold the id of the message that the events came in."""
        self.ids += ring.entry(ring.name_of(message_id), self.instant)

    def recent_ids(self) -> bytes:
        """The ids of the last 24 h, and of `lateness` more for messages that are processed out of order."""
        ids, forgotten = ring.shortened(self.ids, self.instant - ring.KEPT_FOR - self.program.lateness)
        self.forgotten += forgotten
        return ids

    def _add(self, event: Event) -> None:
        visible_at = self._visible_at(event)
        self._exists_from(visible_at)
        for evidence in self._concerned(event):
            entries = evidence.collect(event, visible_at)
            if entries:
                stream = self._writable(evidence.key)
                for entry in entries:
                    add(stream, entry)

    def _bring_forward(self, event: Event, received_before: int) -> None:
        """A copy was received earlier than the one that was folded: it counts from there on."""
        folded = msgspec.structs.replace(event, received_at=received_before)
        visible_at, visible_before = self._visible_at(event), self._visible_at(folded)
        self._exists_from(visible_at)
        for evidence in self._concerned(event):
            stream = self._writable(evidence.key)
            old_entries = evidence.collect(folded, visible_before)
            for old, new in zip(old_entries, evidence.collect(event, visible_at), strict=True):
                if old in stream:
                    stream.remove(old)
                elif evidence.settles or evidence.keep in KEPT:
                    continue  # it is in the totals, or a part of something larger, for good
                add(stream, new)

    def _exists_from(self, instant: int) -> None:
        if self.known_from is None or instant < self.known_from:
            self.known_from = instant
            self.reborn = True

    def _visible_at(self, event: Event) -> int:
        return max(event.occurred_at, event.received_at - self.program.lateness)

    def _concerned(self, event: Event) -> Iterable[Evidence]:
        yield from self.program.concerned(event.name)
        for trait in event.traits:
            yield from self.program.by_trait.get(trait, ())

    def _writable(self, key: str) -> list[Entry]:
        stream = self.streams.get(key, ())
        if type(stream) is not list:
            stream = self.streams[key] = [*stream]
        self.touched.add(key)
        return stream

    def forget_old(self) -> None:
        """The same for what was touched, what time alone lets go of, and what the program no longer measures."""
        old = [key for key, entries in self.streams.items() if not entries or self._is_old(key, entries[0][0])]
        self.forget(self.touched.union(old))

    def _is_old(self, key: str, oldest: int) -> bool:
        evidence = self.program.evidence.get(key)
        if evidence is None or evidence.looked_back:
            return True
        return evidence.far is not None and oldest + evidence.far <= self.instant

    def forget(self, keys: Iterable[str]) -> None:
        """Keep of these measurements what answers from now on need; from `frozen` on where a memory looks back."""
        for key in keys:
            evidence = self.program.evidence.get(key)
            entries: Sequence[Entry] = ()
            if evidence is not None:
                start = self.frozen if evidence.looked_back and self.frozen is not None else self.instant
                entries, settled = KEPT.get(evidence.keep, kept)(evidence, self.streams.get(key, ()), start)
                self._settle(evidence, settled)
            if len(entries) > MOST_ENTRIES:
                entries = self.drop_oldest(key, entries, len(entries) - MOST_ENTRIES)
            if entries:
                self.streams[key] = entries
            else:
                self.streams.pop(key, None)

    def _settle(self, evidence: Evidence, settled: Sequence[Entry]) -> None:
        if not settled:
            return
        key = evidence.key
        totals = self.totals[key] = {group: [*totals] for group, totals in self.totals.get(key, {}).items()}
        if evidence.keep == "decayed":
            decay.settle(totals, settled, evidence.most or 1)
        else:
            settle(totals, settled)
        if len(totals) > MOST_ENTRIES:
            fullest = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
            self.totals[key] = dict(fullest[:MOST_ENTRIES])
            self.lost[key] = max(self.lost.get(key, 0), self.instant)

    def drop_oldest(self, key: str, entries: Sequence[Entry], number: int) -> Sequence[Entry]:
        """The newer entries of a measurement that is too large; answers that need the others are approximate."""
        self.lost[key] = max(self.lost.get(key, 0), entries[number - 1][0])
        return entries[number:]
