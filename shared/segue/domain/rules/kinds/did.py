"""`did`: an event happened so many times in a window, or so many times for some value of a property."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from segue.domain.rules.definition import Did
from segue.domain.rules.evidence import Entry, Window, content_key
from segue.domain.rules.intervals import FOREVER, Spans, holding, union
from segue.domain.rules.measurements import Measurements, Node, View, grouped, leaf, window_of
from segue.domain.rules.operators import matcher, operation


def compile_did(definition: Did, measurements: Measurements, window: Window | None = None) -> Node:
    """`window` is the one that `together` gives the leaf."""
    window = window or window_of(definition)
    most = needed(definition.count)
    key = measurements.events(definition.did, definition.where, window, "latest", most=most, per=definition.per)
    holds = of_counts(definition.count, most)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        if definition.per is None:
            return counted(entries, window, holds, view.start)
        groups = grouped(entries).values()
        return union(
            span
            for group in groups
            for span in counted(group, window, lambda count: count > 0 and holds(count), view.start)
        )

    return leaf(content_key([key, definition.count, window.far, window.near]), spans, {key: window.far})


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


def needed(count: dict[str, Any]) -> int:
    """How many of the latest instants decide a count: k for `ge: k`, one more than the largest number otherwise."""
    name, operand = operation(count)
    largest: int | float = max(operand) if isinstance(operand, list) else operand
    return max(1, math.ceil(largest) if name in ("ge", "lt") else math.floor(largest) + 1)
