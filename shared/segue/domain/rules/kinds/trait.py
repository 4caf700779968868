"""`trait`: a value on the profile compares; looking back sees the value of then."""

from pydantic import Field

from segue.domain.event import Json
from segue.domain.rules.evidence import as_seen, content_key, newest_seen
from segue.domain.rules.intervals import FOREVER, Spans
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import Is, Model, Path
from segue.domain.rules.operators import matcher, refs, split, value_at


class TraitIs(Model):
    trait: Path
    is_: Is = Field(alias="is")


def compile_trait(definition: TraitIs, measurements: Measurements) -> Node:
    path = split(definition.trait)
    names = dict.fromkeys([path[0], *(split(other)[0] for other in refs(definition.is_))])
    keys = {name: measurements.trait(name) for name in names}
    test = matcher(definition.is_)

    def traits_at(view: View, instant: int) -> dict[str, Json]:
        newest = {name: newest_seen(view.entries(key), instant) for name, key in keys.items()}
        return {name: value for name, value in newest.items() if value is not None}

    def spans(view: View) -> Spans:
        def truth(instant: int) -> Spans:
            traits = traits_at(view, instant)
            return [(instant, FOREVER)] if test(value_at(traits, path), traits) else []

        return as_seen([entry for key in keys.values() for entry in view.entries(key)], view.start, truth)

    return leaf(content_key(["trait", definition.trait, definition.is_]), spans, dict.fromkeys(keys.values()))
