"""Clusters: the nearest point of a model, in standardised features."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tests.oracle.scores import PRECISE, worth
from tests.oracle.traits import known_traits
from tests.oracle.values import MISSING, is_number, look_up, written
from tests.oracle.view import Condition, Terms, View, selects

DAY: Final = 86_400_000


def cluster(condition: Condition, view: View) -> bool:
    """Whether the point is the nearest, and near enough; of several the first by name is."""
    spec = condition["cluster"]
    model = view.terms.models[spec["model"]]
    values = {name: feature(name, view) for name in model["features"]}
    if not all(is_number(value) for value in values.values()):
        return False
    place = {
        name: (to_millionths(values[name]) - written(scaling.get("mean", 0))) / written(scaling.get("scale", 1))
        for name, scaling in model["features"].items()
    }
    distances = {
        name: sum((place[of] - written(at)) ** 2 for of, at in point.items())
        for name, point in model["centroids"].items()
    }
    nearest = min(distances, key=lambda name: (distances[name], name))
    limit = spec.get("max_distance")
    return bool(nearest == spec["is"] and (limit is None or distances[nearest] <= written(limit) ** 2))


def feature(name: str, view: View) -> Any:
    """A score, or a trait; what moves by itself is as of the last midnight or of the newest event it comes from."""
    top = name.partition(".")[0]
    midnight = view.at - view.at % DAY
    if top in view.terms.scores:
        definition = view.terms.scores[top]
        if "half_life" in definition:
            view = replace(view, at=max([midnight, *newest(definition["events"], view)]))
        value: Any = worth(definition, view)[0]
        return look_up({top: value}, name)
    definition = view.terms.computed.get(top, {})
    if "time_since_last" in definition:
        since = look_up(known_traits(view), name)
        return since if since is MISSING else max(midnight - (view.at - since), 0)
    return look_up(known_traits(view), name)


def newest(selectors: list[Condition], view: View) -> Iterator[int]:
    """When the events happened."""
    return (event.occurred_at for event in view.events for one in selectors if selects(one, event))


def to_millionths(value: Any) -> Fraction:
    """The number to six decimals, half to even."""
    if isinstance(value, Fraction):
        return Fraction(round(value * 1_000_000), 1_000_000)
    decimal = value if isinstance(value, Decimal) else Decimal(repr(value))
    return Fraction(PRECISE.quantize(decimal, Decimal("0.000001")))


def moving(model: Mapping[str, Any], terms: Terms) -> bool:
    """Whether a feature moves by itself."""
    names = {name.partition(".")[0] for name in model["features"]}
    scores = [terms.scores[name] for name in names if name in terms.scores]
    traits = [terms.computed[name] for name in names if name in terms.computed]
    return any("half_life" in score for score in scores) or any("time_since_last" in trait for trait in traits)
