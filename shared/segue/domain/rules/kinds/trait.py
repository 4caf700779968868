"""`trait`: a value on the profile compares, said by the visitor or computed; looking back sees the value of then."""

from collections.abc import Iterator
from itertools import pairwise

from pydantic import Field

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules.courses import Number, Value, moves, side_by_side, value_at_start
from segue.domain.rules.evidence import content_key
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import FOREVER, Spans, union
from segue.domain.rules.measurements import Measurements, Node, View, all_reads, leaf, said_last
from segue.domain.rules.model import Is, Model, Path
from segue.domain.rules.operators import (
    MISSING,
    elements,
    is_number,
    matcher,
    numbers,
    refs,
    split,
    value_at,
    with_durations,
)
from segue.domain.rules.wording import comparison, left, quoted


class TraitIs(Model):
    """A value on the profile compares: `{trait: company.size, is: {gt: 50}}`. The newest `identify` wins."""

    trait: Path
    """The path to the trait, such as `company.size`."""
    is_: Is = Field(alias="is")
    """The comparison."""


def compile_trait(definition: TraitIs, measurements: Measurements) -> Node:
    """Raises Invalid if a time is compared with a text that is no duration."""
    path = split(definition.trait)
    paths = [path, *(split(other) for other in refs(definition.is_))]
    readings = {name: measurements.trait_course(name) for name, *_ in paths}
    is_ = in_time(definition.is_) if readings[path[0]].measures_time else definition.is_
    test = matcher(is_)

    def numbers_beside(traits: dict[str, Value]) -> Iterator[Number]:
        yield from numbers(is_)
        for each in paths:
            found = None if moves(traits[each[0]]) else value_at(traits, each)
            yield from (one for one in elements(found) if is_number(one))

    def spans(view: View) -> Spans:
        found: Spans = []
        pieces = side_by_side({name: reading.course(view) for name, reading in readings.items()})
        ends = [*(instant for instant, _ in pieces[1:]), FOREVER]
        for (since, values), until in zip(pieces, ends, strict=True):
            traits = {name: None if value is MISSING else value for name, value in values.items()}
            moving = {name: value for name, value in traits.items() if moves(value)}
            if not moving:
                if test(value_at(traits, path), traits):
                    found.append((since, until))
                continue
            beside = [*numbers_beside(traits)]
            crossings = {at for value in moving.values() for number in beside for at in value.crossings(number)}
            cuts = sorted({since, until, *(at for at in crossings if since < at < until)})
            for begins, ends_ in pairwise(cuts):
                then = {**traits, **{name: value.at(begins, beside) for name, value in moving.items()}}
                if test(value_at(then, path), then):
                    found.append((begins, ends_))
        return union(found)

    def describe(view: View) -> Finding:
        reading = readings[path[0]]
        value = value_at({path[0]: value_at_start(reading.course(view))}, path)
        figure = None if value is MISSING else value
        shown = left(int(figure)) if reading.measures_time and isinstance(figure, int | float) else quoted(figure)
        return Finding(
            says=f"the trait `{definition.trait}` {comparison(definition.is_)}",
            found="missing" if figure is None else shown,
            figure=figure,
            wanted=definition.is_,
            counted=said_last(reading, view),
        )

    content = ["trait", definition.trait, is_, [reading.key for reading in readings.values()]]
    return leaf(content_key(content), spans, all_reads(readings.values()), describe=describe)


def in_time(is_: dict[str, Json]) -> dict[str, Json]:
    """A comparison of milliseconds, in which texts are durations. Raises Invalid."""
    try:
        return with_durations(is_)
    except Invalid as error:
        raise error.under("is") from error
