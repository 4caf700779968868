"""`trait`: a value on the profile compares; looking back sees the value of then."""

from segue.domain.event import Json
from segue.domain.rules.definition import TraitIs
from segue.domain.rules.evidence import content_key, order, visible_changes
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.operators import matcher, refs, split, value_at


def compile_trait(definition: TraitIs, measurements: Measurements) -> Node:
    path = split(definition.trait)
    names = dict.fromkeys([path[0], *(split(other)[0] for other in refs(definition.is_))])
    keys = {name: measurements.trait(name) for name in names}
    test = matcher(definition.is_)

    def traits_at(view: View, instant: int) -> dict[str, Json]:
        traits = {}
        for name, key in keys.items():
            visible = [entry for entry in view.entries(key) if entry[1] <= instant]
            if visible:
                traits[name] = max(visible, key=order)[3][2]
        return traits

    def spans(view: View) -> Spans:
        instants = visible_changes([entry for key in keys.values() for entry in view.entries(key)], view.start)
        found: Spans = []
        for since, until in zip(instants, [*instants[1:], FOREVER], strict=True):
            traits = traits_at(view, since)
            if test(value_at(traits, path), traits):
                found.append((since, until))
        return union(found)

    return leaf(content_key(["trait", definition.trait, definition.is_]), spans, dict.fromkeys(keys.values()))
