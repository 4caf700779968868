"""`did`: an event happened so many times in a window, or so many times for some value of a property."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from segue.domain.rules.evidence import Entry, Window, content_key
from segue.domain.rules.finding import Finding, counting, first_to_leave, lacking, share
from segue.domain.rules.intervals import FOREVER, Spans, holding, union
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.model import Count, Path, Text, Where, Windowed
from segue.domain.rules.operators import matcher, operation
from segue.domain.rules.wording import event, group_of, number, times, within


class Did(Windowed):
    """An event happened so many times in a window: `{did: Product Viewed, count: {ge: 3}, within: 5m}`."""

    did: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""
    count: Count = {"ge": 1}  # noqa: RUF012  # pydantic copies defaults
    """How many times; at least once if left out."""
    per: Path | None = None
    """Counts for each value of this property by itself; some value has to pass."""


def compile_did(definition: Did, measurements: Measurements, window: Window | None = None) -> Node:
    """`window` is the one that `together` gives the leaf."""
    window = window or window_of(definition)
    most = needed(definition.count)
    key = measurements.events(definition.did, definition.where, window, "latest", most=most, per=definition.per)
    holds = of_counts(definition.count, most)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        if definition.per is None:
            if view.settled and type(window) is Window and not window.near:
                return fading(entries, window.far, holds, view.start)
            return counted(entries, window, holds, view.start)
        groups = grouped(entries).values()
        return union(
            span
            for group in groups
            for span in counted(group, window, lambda count: count > 0 and holds(count), view.start)
        )

    def describe(view: View) -> Finding:
        return _described(definition, key, window, most, view)

    return leaf(content_key([key, definition.count, window.content]), spans, {key: window.far}, describe=describe)


def _described(definition: Did, key: str, window: Window, most: int, view: View) -> Finding:
    """The count, of the group that comes nearest."""
    per = "" if definition.per is None else f" for one `{definition.per}`"
    says = event(definition.did, definition.where) + f" {times(definition.count)}{per}{within(window)}"
    test = matcher(definition.count)
    found: list[Finding] = []
    for group, entries in (grouped(counting(view.entries(key), window, view.start)) or {None: []}).items():
        count = len(entries)
        passes = test(count, {}) and (definition.per is None or count > 0)
        lack = None if passes else lacking(definition.count, count, whole=True)
        inside = "" if group is None else f" in {group_of(group)}"
        found.append(Finding(
            says=says,
            found=f"{count}{' or more' if count >= most > 1 else ''}{inside}",
            figure=count,
            wanted=definition.count,
            lacks=None if lack is None else f"{number(lack)} more {event(definition.did, definition.where)}{inside}",
            distance=0 if passes else share(lack, count),
            before=None if passes else first_to_leave(entries, window),
            counted={key: entries},
        ))  # fmt: skip
    return min(found, key=lambda each: each.distance)


def of_counts(count: dict[str, Any], most: int) -> Callable[[int], bool]:
    """The comparison as a table: it is the same for all counts from `most` on."""
    test = matcher(count)
    verdicts = [test(number, {}) for number in range(most + 1)]
    return lambda number: verdicts[number if number < most else most]


def counted(entries: Sequence[Entry], window: Window, holds: Callable[[int], bool], start: int) -> Spans:
    """When the number of entries in the window satisfies `holds`."""
    changes = []
    for entry in entries:
        begins, ends = window.active(entry)
        if begins < ends:
            changes.append((begins, 1))
            if ends < FOREVER:
                changes.append((ends, -1))
    return holding(changes, holds, start)


def fading(entries: Sequence[Entry], far: int | None, holds: Callable[[int], bool], start: int) -> Spans:
    """The same where every entry is visible and in the window from its instant on: time only takes them away."""
    if far is None:
        return [(start, FOREVER)] if holds(len(entries)) else []
    leaving = [entry[0] + far for entry in entries if entry[0] + far > start]
    found: Spans = []
    left = len(leaving)
    since = start if holds(left) else None
    for position, instant in enumerate(leaving, start=1):
        left -= 1
        if left and leaving[position] == instant:
            continue
        if holds(left):
            since = instant if since is None else since
        elif since is not None:
            found.append((since, instant))
            since = None
    if since is not None:
        found.append((since, FOREVER))
    return found


def needed(count: dict[str, Any]) -> int:
    """How many of the latest instants decide a count: k for `ge: k`, one more than the largest number otherwise."""
    name, operand = operation(count)
    largest: int | float = max(operand) if isinstance(operand, list) else operand
    return max(1, math.ceil(largest) if name in ("ge", "lt") else math.floor(largest) + 1)
