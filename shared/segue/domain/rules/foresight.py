"""Membership known ahead: from what is known of a profile to the intervals on which it is in each segment."""

from collections.abc import Iterator

from segue.domain.rules.intervals import FOREVER, Spans, clipped, complement, intersection, union
from segue.domain.rules.knowledge import Knowledge
from segue.domain.rules.measurements import View
from segue.domain.rules.program import CompiledSegment


def foreseen(known: Knowledge, names: set[str], horizon: int) -> Iterator[tuple[CompiledSegment, Spans]]:
    """Of each of these segments the intervals of membership from now on, with no further event.

    Where a segment's truth changes for ever, only those that begin before the horizon.
    """
    now = View(known.instant, horizon, True, known.streams, known.totals, {})
    back = _frozen_view(known, horizon)
    for segment in known.program.with_references(names):
        spans = _membership(known, segment, back if segment.looked_back else now)
        if segment.looked_back:
            back.memberships[segment.id] = spans
            spans = clipped(spans, known.instant)
        now.memberships[segment.id] = spans
        if segment.id in names:
            yield segment, spans


def freeze(known: Knowledge) -> bool:
    """Move the instant before which nothing can change any more, once as much as `lateness` has gathered.

    Whether it moved, and what no answer needs is forgotten.

    A message may be processed `lateness` after a newer one, and what it tells may have happened `lateness` before.
    """
    lateness = known.program.lateness
    edge = known.instant - 2 * lateness
    if known.frozen is None:
        known.frozen = edge
    moves = edge - known.frozen > lateness
    if moves:
        freeze_at(known, edge)
    return moves


def freeze_at(known: Knowledge, edge: int) -> None:
    """Let nothing before `edge` (later than until now) change any more, and keep of it only what memories need."""
    back = _frozen_view(known, known.instant)
    for segment in known.program.order:
        if segment.looked_back:
            back.memberships[segment.id] = _membership(known, segment, back)
    remembering = [(segment.memory, segment) for segment in known.program.order if segment.memory is not None]
    last_true = {memory: _last_true(known, segment, back, edge) for memory, segment in remembering}
    standing = {memory: _true_since(known, one, back, edge) for memory, one in remembering if one.enter_after}
    known.remembered = {memory: last for memory, last in last_true.items() if last is not None}
    known.standing = {memory: since for memory, since in standing.items() if since is not None}
    known.frozen = edge
    known.forget_old()


def _frozen_view(known: Knowledge, horizon: int) -> View:
    frozen = known.instant if known.frozen is None else known.frozen
    return View(min(frozen, known.instant), horizon, False, known.streams, known.totals, {})


def _membership(known: Knowledge, segment: CompiledSegment, view: View) -> Spans:
    """When the profile is a member (RULES.md section 3), from the view's start on.

    `when` on [a, b) makes a member on [a + enter_after, b + stays), until `until` is next true, and only while all
    purposes are granted.
    """
    members = _remembering(known, segment, view)
    return members if segment.consented is None else intersection(members, segment.consented.spans(view))


def _remembering(known: Knowledge, segment: CompiledSegment, view: View) -> Spans:
    when = _entered(known, segment, view)
    if segment.memory is None:
        return when
    until = segment.until.spans(view) if segment.until else []
    last = known.remembered.get(segment.memory)
    members = [(view.start, last + 1 + segment.stays)] if last is not None else []
    members += [
        (a, b if b == FOREVER else b + segment.stays) for a, b in intersection(when, complement(until, view.start))
    ]
    ends = [begin for begin, _ in until]
    return union((a, min([b, *(end for end in ends if end >= a)])) for a, b in members)


def _entered(known: Knowledge, segment: CompiledSegment, view: View) -> Spans:
    """When `when` has been true for `enter_after`."""
    spans = _when(known, segment, view)
    if not segment.enter_after:
        return spans
    since = known.standing.get(segment.memory or "")
    runs = [(since if since is not None and a == view.start else a, b) for a, b in spans]
    return clipped([(a + segment.enter_after, b) for a, b in runs if a + segment.enter_after < b], view.start)


def _when(known: Knowledge, segment: CompiledSegment, view: View) -> Spans:
    """When the segment's `when` is true: never before the profile exists."""
    if known.known_from is None:
        return []
    spans = segment.when.spans(view)
    return spans if known.known_from <= view.start else clipped(spans, known.known_from)


def _last_true(known: Knowledge, segment: CompiledSegment, view: View, edge: int) -> int | None:
    """The last instant before `edge` at which `when` was true with no `until` since, if it can still matter."""
    until = clipped(segment.until.spans(view) if segment.until else [], view.start, edge)
    true = clipped(intersection(_entered(known, segment, view), complement(until, view.start)), view.start, edge)
    last = true[-1][1] - 1 if true else known.remembered.get(segment.memory or "")
    if last is None or last + 1 + segment.stays <= edge:
        return None
    return None if until and until[-1][1] > last else last


def _true_since(known: Knowledge, segment: CompiledSegment, view: View, edge: int) -> int | None:
    """Since when `when` has been true at the last instant before `edge`."""
    for a, b in _when(known, segment, view):
        if a < edge <= b:
            return known.standing.get(segment.memory or "", a) if a == view.start else a
    return None


def is_approximate(known: Knowledge, segment: CompiledSegment) -> bool:
    """Whether an answer from now on may need something that passed a cap."""
    return bool(known.lost) and any(
        key in known.lost and (far is None or known.lost[key] + far > known.instant) for key, far in segment.reads
    )
