"""Which models and conditions on them are refused, and that a model is part of what its segments mean."""

from typing import Any

import pytest

from segue.domain import rules
from segue.domain.errors import Invalid

MODEL: dict[str, Any] = {"features": {"n": {"mean": 1, "scale": 2}}, "centroids": {"a": {"n": 0}, "b": {"n": 1.5}}}


def near(point: str = "a", model: str = "m", **more: Any) -> dict[str, Any]:
    return {"it": {"name": "It", "when": {"cluster": {"model": model, "is": point, **more}}}}


def test_a_segment_whose_model_changes_is_another_definition() -> None:
    moved = {**MODEL, "centroids": {**MODEL["centroids"], "b": {"n": 2}}}
    before, after = (rules.compile(near(), models={"m": model}) for model in (MODEL, moved))
    assert before.segments != after.segments
    assert before.evidence.keys() == after.evidence.keys()


@pytest.mark.parametrize(
    ("model", "path", "message"),
    [
        ({**MODEL, "features": {}}, "models.m.features", "expected at least 1 of them"),
        ({**MODEL, "features": {"n": {"scale": 0}}}, "models.m.features.n.scale", "expected more than 0"),
        ({**MODEL, "centroids": {"a": {}}}, "models.m.centroids.a", "expected exactly the features n"),
        ({**MODEL, "centroids": {"a": {"n": "0"}}}, "models.m.centroids.a.n", "expected a number"),
        ({"features": MODEL["features"]}, "models.m.centroids", "expected this part, found nothing"),
    ],
)
def test_a_broken_model_is_refused_with_the_path_to_its_part(model: object, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile(near(), models={"m": model})
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("segments", "path", "message"),
    [
        (near(model="lost"), "cluster.model", "expected a model of this catalogue, found 'lost'"),
        (near("lost"), "cluster.is", "expected a centroid of the model, found 'lost'"),
        (near(max_distance=-1), "cluster.max_distance", "expected at least 0"),
    ],
)
def test_a_broken_condition_on_a_model_is_refused(segments: Any, path: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        rules.compile(segments, models={"m": MODEL})
    assert refused.value.path == f"segments.it.when.{path}"
