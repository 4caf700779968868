"""`stopped` and `restarted`: did before and not lately, and back after a gap."""

import itertools
from collections.abc import Sequence

from pydantic import model_validator

from segue.domain.rules.evidence import Entry, Seen, Window, as_seen, content_key
from segue.domain.rules.finding import HALF, NOTHING, Finding, counting
from segue.domain.rules.intervals import Spans, complement, intersection, union
from segue.domain.rules.kinds.did import counted
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import Duration, Model, Refused, Text, Where
from segue.domain.rules.wording import event, length, moment, within


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

    def describe(view: View) -> Finding:
        name = event(definition.stopped, definition.where)
        said = f"{name}{within(before)}, and not since"
        return _of_the_latest(said, name, key, counting(view.entries(key), Window(far=definition.earlier), view.start))

    return leaf(content_key(["stopped", key, before.content]), spans, {key: before.far}, describe=describe)


def _of_the_latest(says: str, name: str, key: str, entries: Sequence[Entry]) -> Finding:
    return Finding(
        says=says,
        found=f"the latest was at {moment(entries[-1][0])}" if entries else "there was none",
        figure=entries[-1][0] if entries else None,
        lacks=None if entries else f"one {name}",
        distance=HALF if entries else NOTHING,
        counted={key: entries[-1:]},
    )


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

    def describe(view: View) -> Finding:
        name = event(definition.restarted, definition.where)
        said = f"{name}{within(window)}, {length(definition.gap)} or more after the one before"
        return _of_the_latest(said, name, key, view.entries(key))

    content = content_key(["restarted", key, definition.gap, definition.recent])
    return leaf(content, spans, {key: None}, describe=describe)


def returns(entries: Sequence[Entry], gap: int) -> list[int]:
    """The instants of those that come at least `gap` after the one before."""
    instants = sorted({entry[0] for entry in entries})
    return [after for before, after in itertools.pairwise(instants) if after - before >= gap]
