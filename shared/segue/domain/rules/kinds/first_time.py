"""`first_time`: the first event that ever passed `where` lies in the window."""

from segue.domain.rules.evidence import Seen, Window, as_seen, content_key
from segue.domain.rules.intervals import Spans
from segue.domain.rules.measurements import Measurements, Node, View, leaf, window_of
from segue.domain.rules.model import Text, Where, Windowed


class FirstTime(Windowed):
    """The first event that ever passed lies in the window: `{first_time: '*', within: 24h}` is a new visitor."""

    first_time: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


def compile_first_time(definition: FirstTime, measurements: Measurements) -> Node:
    window = window_of(definition)
    key = measurements.events(definition.first_time, definition.where, Window(), "oldest", most=1)

    def spans(view: View) -> Spans:
        entries = view.entries(key)

        def truth(seen: Seen) -> Spans:
            first = min((entry[0] for entry in entries if seen(entry)), default=None)
            if first is None or (window.since is not None and first < window.since):
                return []
            return [window.active((first, first, None, None))]

        return as_seen(entries, view.start, truth)

    return leaf(content_key(["first_time", key, window.content]), spans, {key: None})
