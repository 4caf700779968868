"""`trait`: a value on the profile compares; looking back sees the value of then."""

from segue.domain.rules.definition import TraitIs
from segue.domain.rules.evidence import content_key, order, visible_changes
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.operators import matcher, split, value_at


def compile_trait(definition: TraitIs, measurements: Measurements) -> Node:
    name, *rest = split(definition.trait)
    key = measurements.trait(name)
    test = matcher(definition.is_)

    def holds(values: dict[str, object]) -> bool:
        return test(value_at(values, (name, *rest)), values)

    def spans(view: View) -> Spans:
        entries = view.entries(key)
        instants = visible_changes(entries, view.start)
        found: Spans = []
        for since, until in zip(instants, [*instants[1:], FOREVER], strict=True):
            newest = max((entry for entry in entries if entry[1] <= since), key=order, default=None)
            if holds({name: newest[3][2]} if newest else {}):
                found.append((since, until))
        return union(found)

    return leaf(content_key(["trait", definition.trait, definition.is_]), spans, {key: None})
