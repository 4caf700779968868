"""`first_time`: the first event that ever passed `where` lies in the window."""

from segue.domain.rules.definition import FirstTime
from segue.domain.rules.evidence import Window, content_key, visible_changes
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.measurements import Measurements, Node, View, leaf, window_of


def compile_first_time(definition: FirstTime, measurements: Measurements) -> Node:
    window = window_of(definition)
    key = measurements.events(definition.first_time, definition.where, Window(), "oldest", most=1)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        instants = visible_changes(entries, view.start)
        found: Spans = []
        for since, until in zip(instants, [*instants[1:], FOREVER], strict=True):
            first = min((entry for entry in entries if entry[1] <= since), default=None, key=lambda entry: entry[0])
            if first is not None and (window.since is None or first[0] >= window.since):
                found += clipped([window.active((first[0], first[0], None, None))], since, until)
        return union(found)

    return leaf(content_key(["first_time", key, window.far, window.near, window.since]), spans, {key: None})
