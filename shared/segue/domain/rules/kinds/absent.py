"""`absent`: A, and then no B for a while; with `same`, each value waits by itself."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field, model_validator

from segue.domain.rules.evidence import Entry, Seen, Window, as_seen, content_key
from segue.domain.rules.finding import HALF, NOTHING, Finding, counting
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf
from segue.domain.rules.model import AnySelector, Duration, Model, Refused, Same
from segue.domain.rules.wording import event, length, moment, within


class AbsentOf(Model):
    """Without `for` it is true from the A itself on."""

    after: AnySelector
    """A: its name, or `{did: name, where: ...}`."""
    without: AnySelector
    """B, which has not come since: its name, or `{did: name, where: ...}`."""
    for_: Duration | None = Field(default=None, alias="for")
    """How long after the latest A; at once if left out."""
    within: Duration | None = None
    """Until so long after the A; for ever if left out."""
    same: Same = []  # noqa: RUF012  # pydantic copies defaults
    """Each value of these properties waits by itself: a list, or a map from A's path to B's."""

    @model_validator(mode="after")
    def _for_is_less(self) -> "AbsentOf":
        if self.for_ is not None and self.within is not None and self.for_ >= self.within:
            raise Refused("expected less than within", "for")
        return self


class Absent(Model):
    """A, and then no B: `{absent: {after: Product Added, without: Order Completed, for: 30m, within: 7d}}`."""

    absent: AbsentOf


def compile_absent(definition: Absent, measurements: Measurements) -> Node:
    part = definition.absent
    waits = Window(far=part.within, near=part.for_ or 0)
    kept = Window(far=part.within)
    paths = [*part.same] if isinstance(part.same, list) else [*part.same.keys()]
    others = [*part.same] if isinstance(part.same, list) else [*part.same.values()]
    after = measurements.events(part.after.did, part.after.where, kept, "latest", most=1, same=paths)
    without = measurements.events(part.without.did, part.without.where, kept, "latest", most=1, same=others)

    def spans(view: View) -> Spans:
        ends = grouped(view.entries(without))
        return union(
            span
            for group, starts in grouped(view.entries(after)).items()
            for span in abandoned(starts, ends.get(group, ()), waits, view.start)
        )

    key = content_key(["absent", after, without, part.for_, part.within])

    def describe(view: View) -> Finding:
        ends = grouped(view.entries(without))
        waiting = [
            entry
            for group, starts in grouped(counting(view.entries(after), kept, view.start)).items()
            for entry in starts[-1:]
            if not any(other[0] > entry[0] for other in ends.get(group, ()))
        ]
        wait = "" if part.for_ is None else f" for {length(part.for_)}"
        return Finding(
            says=f"{event(part.after.did, part.after.where)}, and then no "
            f"{event(part.without.did, part.without.where)}{wait}{within(kept)}",
            found=f"waiting since {moment(waiting[-1][0])}" if waiting else "nothing is waiting",
            figure=waiting[-1][0] if waiting else None,
            lacks=None if waiting else f"one more {event(part.after.did, part.after.where)}",
            distance=HALF if waiting else NOTHING,
            counted={after: waiting},
        )

    return leaf(key, spans, {after: part.within, without: part.within}, describe=describe)


def abandoned(starts: Sequence[Entry], ends: Sequence[Entry], waits: Window, start: int) -> Spans:
    """From `near` to `far` after each A, until the next A or B that is strictly later, as far as they can be seen."""

    def truth(seen: Seen) -> Spans:
        begun = sorted({entry[0] for entry in starts if seen(entry)})
        ended = sorted({entry[0] for entry in ends if seen(entry)})
        found: Spans = []
        for since, following in pairwise([*begun, FOREVER]):
            position = bisect_right(ended, since)
            until = min(following, ended[position] if position < len(ended) else FOREVER)
            found += clipped([waits.active((since, since, None, None))], since, until)
        return union(found)

    return as_seen([*starts, *ends], start, truth)
