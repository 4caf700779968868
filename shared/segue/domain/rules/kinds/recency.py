"""`stopped` and `restarted`: did before and not lately, and back after a gap."""

import itertools
from collections.abc import Sequence

from pydantic import model_validator

from segue.domain.rules.evidence import Entry, Seen, Window, as_seen, content_key
from segue.domain.rules.intervals import Spans, complement, intersection, union
from segue.domain.rules.kinds.did import counted
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import Duration, Model, Refused, Text, Where


class Stopped(Model):
    """Did before, not lately: `{stopped: Page Viewed, earlier: 30d, recent: 7d}`."""

    stopped: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    earlier: Duration
    """Some between so long ago and the recent time."""
    recent: Duration
    """None in this time up to now."""

    @model_validator(mode="after")
    def _earlier_is_longer(self) -> "Stopped":
        if self.earlier <= self.recent:
            raise Refused("expected longer ago than recent", "earlier")
        return self


class Restarted(Model):
    """Back after a gap: `{restarted: Page Viewed, gap: 30d, recent: 7d}`. The very first is no return."""

    restarted: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    gap: Duration
    """The one before is at least so much earlier."""
    recent: Duration
    """The return is in this time up to now."""


def compile_stopped(definition: Stopped, measurements: Measurements) -> Node:
    """Some in `(t - earlier, t - recent]`, none in `(t - recent, t]`."""
    before = Window(far=definition.earlier, near=definition.recent)
    lately = Window(far=definition.recent)
    key = measurements.events(definition.stopped, definition.where, before, "latest", most=1)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        some = counted(entries, before, bool, view.start)
        return intersection(some, complement(counted(entries, lately, bool, view.start), view.start))

    return leaf(content_key(["stopped", key, before.content]), spans, {key: before.far})


def compile_restarted(definition: Restarted, measurements: Measurements) -> Node:
    """One in `(t - recent, t]` whose previous one is at least `gap` earlier."""
    window = Window(far=definition.recent)
    key = measurements.events(definition.restarted, definition.where, window, "returns", most=definition.gap)

    def spans(view: View) -> Spans:
        entries = view.entries(key)

        def truth(seen: Seen) -> Spans:
            instants = returns(list(filter(seen, entries)), definition.gap)
            return union(window.active((back, back, None, None)) for back in instants)

        return as_seen(entries, view.start, truth)

    return leaf(content_key(["restarted", key, definition.gap, definition.recent]), spans, {key: None})


def returns(entries: Sequence[Entry], gap: int) -> list[int]:
    """The instants of those that come at least `gap` after the one before."""
    instants = sorted({entry[0] for entry in entries})
    return [after for before, after in itertools.pairwise(instants) if after - before >= gap]
