"""Truth over time: a condition is a list of the half-open intervals on which it holds, and the algebra of such lists.

A list is ascending, its intervals are not empty, and no two of them overlap or touch. Instants are epoch ms.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

FOREVER = 1 << 62
"""The end of an interval that never ends."""

Span: TypeAlias = tuple[int, int]
Spans: TypeAlias = list[Span]


def union(spans: Iterable[Span]) -> Spans:
    """The instants that lie in some interval; the input may overlap and come in any order, empty ones are dropped."""
    some = [span for span in spans if span[0] < span[1]]
    if len(some) < 2:
        return some
    joined: Spans = []
    for start, end in sorted(some):
        if joined and start <= joined[-1][1]:
            if end > joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def intersection(left: Spans, right: Spans) -> Spans:
    """The instants that lie in both."""
    both: Spans = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            both.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return both


def complement(spans: Spans, start: int) -> Spans:
    """The instants from `start` on that lie in none."""
    gaps: Spans = []
    for begin, end in spans:
        if begin > start:
            gaps.append((start, begin))
        start = max(start, end)
    if start < FOREVER:
        gaps.append((start, FOREVER))
    return gaps


def at_least(count: int, lists: Sequence[Spans]) -> Spans:
    """The instants that lie in `count` or more of the lists."""
    return holding(((edge, step) for spans in lists for edge, step in _edges(spans)), lambda total: total >= count)


def holding(changes: Iterable[tuple[int, int]], holds: Callable[[int], bool], start: int | None = None) -> Spans:
    """Where a running total satisfies `holds`: from `start` on (None: from the first change on).

    `changes` are (instant, difference) in any order; those at or before `start` make the total it begins with.
    """
    total = 0
    since: int | None = None
    found: Spans = []
    pending = sorted(changes)
    position = 0
    if start is not None:
        while position < len(pending) and pending[position][0] <= start:
            total += pending[position][1]
            position += 1
        since = start if holds(total) else None
    while position < len(pending):
        instant = pending[position][0]
        while position < len(pending) and pending[position][0] == instant:
            total += pending[position][1]
            position += 1
        if holds(total):
            since = instant if since is None else since
        elif since is not None:
            found.append((since, instant))
            since = None
    if since is not None and since < FOREVER:
        found.append((since, FOREVER))
    return found


def clipped(spans: Spans, start: int, end: int = FOREVER) -> Spans:
    """The part inside `[start, end)`."""
    return [(max(a, start), min(b, end)) for a, b in spans if b > start and a < end]


def contains(spans: Spans, instant: int) -> bool:
    """Whether an interval holds the instant."""
    return any(a <= instant < b for a, b in spans)


def _edges(spans: Spans) -> Iterable[tuple[int, int]]:
    for start, end in spans:
        yield start, 1
        yield end, -1
