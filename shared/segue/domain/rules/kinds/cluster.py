"""`cluster`: the nearest micro-segment of a published model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules.courses import Value, exact, moves, side_by_side
from segue.domain.rules.evidence import content_key
from segue.domain.rules.figures import MILLION, micro
from segue.domain.rules.finding import NOTHING, Finding
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.measurements import Measurements, Node, Reading, View, all_reads, leaf
from segue.domain.rules.model import Model, Number, Refused, Text
from segue.domain.rules.operators import MISSING, is_number, split, value_at
from segue.domain.rules.wording import shown
from segue.domain.time import DAY

Point = Mapping[str, Fraction]


class Feature(Model):
    """How a number is standardised: less its mean, in its scale."""

    mean: Number = 0
    """The mean of the feature among those the model was made from."""
    scale: Annotated[Number, Field(gt=0)] = 1
    """Its standard deviation there."""


class ClusterModel(Model):
    """Named points among visitors; each visitor belongs to the nearest one, in standardised features."""

    name: str = ""
    """What people call it."""
    description: str = ""
    """For people, too."""
    features: dict[Text, Feature] = Field(min_length=1, max_length=50)
    """Scores, computed traits and traits (or paths into these), by name."""
    centroids: dict[Text, dict[Text, Number]] = Field(min_length=1, max_length=100)
    """The points by name, each with every feature, standardised."""

    @model_validator(mode="after")
    def _of_one_space(self) -> "ClusterModel":
        for name, point in self.centroids.items():
            if point.keys() != self.features.keys():
                raise Refused(f"expected exactly the features {' '.join(sorted(self.features))}", "centroids", name)
        return self


class ClusterOf(Model):
    """The nearest of a model's points: `{model: shoppers, is: bargain, max_distance: 2.5}`."""

    model: Text
    """The model, by its name in the catalogue."""
    is_: Text = Field(alias="is")
    """The point that has to be the nearest; of several the first by name is."""
    max_distance: Annotated[Number, Field(ge=0)] | None = None
    """How far away it may be, standardised."""


class Cluster(Model):
    """In a micro-segment of a published model: that of the nearest point; in none if a feature is missing."""

    cluster: ClusterOf


@dataclass(frozen=True)
class Space:
    """A model's points, with exact numbers."""

    scales: Mapping[str, tuple[Fraction, Fraction]]
    points: Sequence[tuple[str, Point]]

    @classmethod
    def of(cls, model: ClusterModel) -> "Space":
        return cls(
            {name: (exact(one.mean), exact(one.scale)) for name, one in model.features.items()},
            [(name, {of: exact(one) for of, one in point.items()}) for name, point in sorted(model.centroids.items())],
        )

    def nearest(self, features: Mapping[str, Json]) -> tuple[str, Fraction]:
        """The name of the nearest point, and the square of its distance. Features are numbers, to 6 decimals."""
        place = {
            name: (Fraction(micro(features[name]), MILLION) - mean) / scale
            for name, (mean, scale) in self.scales.items()
        }
        distances = [(sum((place[of] - at) ** 2 for of, at in point.items()), name) for name, point in self.points]
        distance, name = min(distances)
        return name, Fraction(distance)


def compile_cluster(definition: Cluster, measurements: Measurements) -> Node:
    """Raises Invalid if there is no such model, or no such point in it."""
    part = definition.cluster
    model = measurements.model(part.model)
    if part.is_ not in model.centroids:
        raise Invalid(f"expected a centroid of the model, found {part.is_!r:.60}", "cluster.is")
    space = Space.of(model)
    paths = {feature: split(feature) for feature in model.features}
    readings = {path[0]: measurements.feature(path[0]) for path in paths.values()}
    recurs = any(reading.moves for reading in readings.values())
    farthest = None if part.max_distance is None else exact(part.max_distance) ** 2

    def nearest(values: Mapping[str, Value], instant: int) -> tuple[str, Fraction] | None:
        now = {name: _as_of_today(value, instant) for name, value in values.items()}
        found = {feature: value_at(now, path) for feature, path in paths.items()}
        return space.nearest(found) if all(is_number(value) for value in found.values()) else None

    def is_there(found: tuple[str, Fraction] | None) -> bool:
        return found is not None and found[0] == part.is_ and (farthest is None or found[1] <= farthest)

    def pieces_of(view: View) -> Sequence[tuple[int, Mapping[str, Value]]]:
        return side_by_side({name: reading.course(view) for name, reading in readings.items()})

    def spans(view: View) -> Spans:
        pieces = pieces_of(view)
        ends = [*(instant for instant, _ in pieces[1:]), FOREVER]
        found: Spans = []
        for (since, values), until in zip(pieces, ends, strict=True):
            midnights = range(since - since % DAY + DAY, min(until, view.horizon), DAY) if recurs else ()
            found += [(a, b) for a, b in pairwise([since, *midnights, until]) if is_there(nearest(values, a))]
        return clipped(union(found), view.start, view.horizon) if recurs else union(found)

    def describe(view: View) -> Finding:
        found = nearest(pieces_of(view)[0][1], view.start)
        near = "" if part.max_distance is None else f", at most {shown(part.max_distance)} away"
        return Finding(
            says=f"in the micro-segment `{part.is_}` of `{part.model}`{near}",
            found="a feature is missing" if found is None else f"`{found[0]}`, {shown(_root(found[1]))} away",
            figure=None if found is None else found[0],
            wanted=part.is_,
            distance=0 if is_there(found) else NOTHING,
        )

    content = content_key(["cluster", model.model_dump(), part.model_dump(), _keys(readings)])
    measurements.used.add(content)
    return leaf(content, spans, all_reads(readings.values()), recurs=recurs, cost=16, describe=describe)


def _as_of_today(value: Value, instant: int) -> Json:
    """A value that moves, as of the last midnight (UTC) or of the last event it comes from, if that is later."""
    if moves(value):
        return value.at(max(instant - instant % DAY, value.newest))
    return None if value is MISSING else value


def _root(square: Fraction) -> float:
    return round(math.sqrt(square), 6)


def _keys(readings: Mapping[str, Reading]) -> Mapping[str, str]:
    return {name: reading.key for name, reading in readings.items()}
