"""`first_time`: the first event that ever passed `where` lies in the window."""

from segue.domain.rules.evidence import Seen, Window, as_seen, content_key
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import Spans
from segue.domain.rules.measurements import Measurements, Node, View, leaf, window_of
from segue.domain.rules.model import Text, Where, Windowed
from segue.domain.rules.wording import event, moment, within


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

    def describe(view: View) -> Finding:
        entries = view.entries(key)[:1]
        name = event(definition.first_time, definition.where)
        return Finding(
            says=f"the first {name}{within(window)}",
            found=f"the first was at {moment(entries[0][0])}" if entries else "there was none yet",
            figure=entries[0][0] if entries else None,
            lacks=None if entries else f"one {name}",
            counted={key: entries},
        )

    return leaf(content_key(["first_time", key, window.content]), spans, {key: None}, describe=describe)
