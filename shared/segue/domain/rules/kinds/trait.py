"""`trait`: a value on the profile compares; looking back sees the value of then."""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field

from segue.domain.event import Json
from segue.domain.rules.evidence import Seen, as_seen, content_key, over_time
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, leaf
from segue.domain.rules.model import Is, Model, Path
from segue.domain.rules.operators import matcher, refs, split, value_at


class TraitIs(Model):
    """A value on the profile compares: `{trait: company.size, is: {gt: 50}}`. The newest `identify` wins."""

    trait: Path
    """The path to the trait, such as `company.size`."""
    is_: Is = Field(alias="is")
    """The comparison."""


def compile_trait(definition: TraitIs, measurements: Measurements) -> Node:
    path = split(definition.trait)
    names = dict.fromkeys([path[0], *(split(other)[0] for other in refs(definition.is_))])
    keys = {name: measurements.trait(name) for name in names}
    test = matcher(definition.is_)

    def spans(view: View) -> Spans:
        def truth(seen: Seen) -> Spans:
            histories = {name: over_time(filter(seen, view.entries(key))) for name, key in keys.items()}
            instants = sorted({view.start, *(since for history in histories.values() for since, _, _ in history)})
            found: Spans = []
            for since, until in pairwise([*instants, FOREVER]):
                traits = {name: value_then(history, since) for name, history in histories.items()}
                if test(value_at(traits, path), traits):
                    found.append((since, until))
            return union(found)

        return as_seen([entry for key in keys.values() for entry in view.entries(key)], view.start, truth)

    return leaf(content_key(["trait", definition.trait, definition.is_]), spans, dict.fromkeys(keys.values()))


def value_then(history: Sequence[tuple[int, int, Json]], instant: int) -> Json:
    """The value of a history at an instant, None before the first."""
    return next((value for since, until, value in history if since <= instant < until), None)
