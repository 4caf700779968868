"""`absent`: A, and then no B for a while; with `same`, each value waits by itself."""

from collections.abc import Sequence

from segue.domain.rules.definition import Absent
from segue.domain.rules.evidence import Entry, Window, content_key, visible_changes
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf


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
    return leaf(key, spans, {after: part.within, without: part.within})


def abandoned(starts: Sequence[Entry], ends: Sequence[Entry], waits: Window, start: int) -> Spans:
    """From `near` to `far` after the latest A that no strictly later B has ended, as far as each can be seen."""
    instants = visible_changes([*starts, *ends], start)
    found: Spans = []
    for since, until in zip(instants, [*instants[1:], FOREVER], strict=True):
        latest = max((entry[0] for entry in starts if entry[1] <= since), default=None)
        ended = max((entry[0] for entry in ends if entry[1] <= since), default=None)
        if latest is not None and (ended is None or ended <= latest):
            found += clipped([waits.active((latest, latest, None, None))], since, until)
    return found
