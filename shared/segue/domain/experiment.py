"""Experiments: who gets which arm, drawn so that nothing has to be remembered and no visitor is ever drawn anew.

Arms, coverage and namespaces are GrowthBook's, with hash version 2: its SDKs put every visitor where this does.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID, uuid5

import msgspec
from pydantic import Field, WithJsonSchema

from segue.domain.bucket import BUCKETS, bucket
from segue.domain.event import Json
from segue.domain.membership import unnamed
from segue.domain.part import Id, Part, Problem, Text, written
from segue.domain.profile import ProfileRef
from segue.domain.rules import definition
from segue.domain.rules.model import NAME

EXPERIMENT_VIEWED = "Experiment Viewed"
"""The event that says that a visitor saw their arm; its properties are those of Segment's A/B testing spec."""

EXPOSURES = UUID("5e2b8f0a-1c1d-5b7e-9a53-0d6c4e6f7a21")
"""The name space of the message ids of exposures (RFC 9562, version 5)."""

ROUNDING = 1e-6
"""As far as weights may be from 1 in all: `0.3333333` three times is one."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Arm(Part):
    """What a share of an experiment's visitors gets. The first one is what the others are compared with."""

    id: Id
    """What it goes by in variants of slots, in decisions and in exposures."""
    name: Text | None = None
    """What people call it."""
    weight: Annotated[float, Field(gt=0, le=1)] | None = None
    """Its share of those who take part; the weights of all arms are 1 together. Equal shares if all leave it out."""


class Namespace(Part):
    """A part of a name space. Experiments whose parts of one name space do not overlap have no visitor in common."""

    id: Id
    """Of the name space: whoever names it shares it."""
    range: Annotated[tuple[Share, Share], Field(strict=False)]
    """From (inclusive) and to (exclusive), of 0 to 1."""


class Experiment(Part):
    """Something that is tried out: each visitor who takes part gets one of the arms, and always the same one."""

    name: Text
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    status: Literal["draft", "running", "stopped"] = "draft"
    """Visitors take part while it is `running`. Once `stopped`, everybody of its audience gets the `winner`."""
    arms: Annotated[tuple[Arm, ...], Field(strict=False, json_schema_extra={"minItems": 2})]
    """What is compared. Their order and their weights stay as they are while it is running, or visitors change arms."""
    coverage: Share = 1.0
    """The share of its audience that takes part. With more, others join: nobody changes arms, nobody leaves."""
    seed: Text | None = None
    """What visitors are drawn by: another one draws everybody anew. The experiment's id if left out."""
    segment: Id | None = None
    """Its audience are the members of this segment; everybody if left out."""
    when: Annotated[dict[str, Any], WithJsonSchema({NAME: "Condition"})] | None = None
    """Its audience are those of them of whom this condition holds."""
    namespace: Namespace | None = None
    """The part of a name space that its visitors are drawn from; from all of them if left out."""
    winner: Id | None = None
    """The arm that everybody of the audience gets, once it is stopped."""


class Holdout(Part):
    """A share of the visitors that is in no experiment, nor gets any winner, so that all of them can be judged."""

    name: Text
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    share: Annotated[float, Field(gt=0, lt=1)]
    """Of all visitors. With more, others join: nobody leaves."""


class Exposure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The call to send once the visitor sees their arm, beside the visitor's own id: `track`, in Segment's words.

    Its message id is the same whoever sends it when, so that it counts once for a visitor and an experiment.
    """

    type: Literal["track"] = "track"
    event: str = EXPERIMENT_VIEWED
    message_id: str
    properties: Mapping[str, str]


class Assignment(msgspec.Struct, frozen=True):
    """The arm of an experiment that a visitor gets; without an exposure nothing is measured any more: it has won."""

    experiment: str = msgspec.field(name="id")
    arm: str
    exposure: Exposure | None


def bucketing_id(profile: ProfileRef, anonymous_id: str | None = None, settled: str | None = None) -> str:
    """What the visitor is drawn by who is asked about as this profile, and perhaps by an anonymous id besides.

    An anonymous id is drawn by itself wherever it is named, so that no login and nothing that is not known of the
    visitor changes what a device shows. A user id alone is drawn by what was `settled` when the user was first seen.
    """
    if profile.kind == "anonymous_id":
        return profile.value
    return anonymous_id or settled or profile.value


def audience_of(id_: str) -> str:
    """The unnamed segment of those for whom an experiment's condition holds."""
    return unnamed(id_, "audience")


def conditions(experiments: Mapping[str, Experiment]) -> Mapping[str, Json]:
    """The unnamed segments, as definitions."""
    return {
        audience_of(id_): {"name": audience_of(id_), "when": each.when}
        for id_, each in experiments.items()
        if each.when is not None
    }


def as_written(path: str, experiments: Mapping[str, Experiment]) -> str:
    """The path of a part of an unnamed segment's definition as it stands in the experiment; any other as it is."""
    for id_ in experiments:
        compiled = f"segments.{audience_of(id_)}."
        if path.startswith(compiled):
            return f"experiments.{id_}.{path.removeprefix(compiled)}"
    return path


def assigned(
    id_: str,
    experiment: Experiment,
    bucketing_id: str,
    segments: Container[str] = (),
    holdouts: Mapping[str, Holdout] | None = None,
) -> Assignment | None:
    """The arm that the visitor with this bucketing id gets, who is in these segments, unnamed ones included; None: they
    do not take part.

    Whoever decides by it owes the exposure also to a visitor whose arm is not the one asked for: who would have been
    shown another arm's content is compared with those who were.
    """
    audience = (experiment.segment, None if experiment.when is None else audience_of(id_))
    if any(segment is not None and segment not in segments for segment in audience):
        return None
    if any(is_held_out(name, holdout, bucketing_id) for name, holdout in (holdouts or {}).items()):
        return None
    if experiment.status == "stopped" and experiment.winner is not None:
        return Assignment(id_, experiment.winner, None)
    arm = _drawn(id_, experiment, bucketing_id) if experiment.status == "running" else None
    return Assignment(id_, arm.id, _exposure(id_, experiment, arm, bucketing_id)) if arm else None


def is_held_out(id_: str, holdout: Holdout, bucketing_id: str) -> bool:
    """Whether the visitor is in the holdout, whatever experiments there are."""
    return _place(f"holdout:{id_}", bucketing_id) < holdout.share


def shares(experiment: Experiment) -> Sequence[float]:
    """The share of each arm among those who take part."""
    equal = 1.0 / len(experiment.arms)
    return [equal if arm.weight is None else arm.weight for arm in experiment.arms]


def redraws(id_: str, before: Experiment, after: Experiment) -> bool:
    """Whether visitors who take part change arms by this, or leave, while it is running; whoever the audience is."""
    if before.status != "running" or after.status != "running":
        return False
    start, end = after.namespace.range if after.namespace else (0, 1)
    was_start, was_end = before.namespace.range if before.namespace else (0, 1)
    moved = before.namespace and after.namespace and before.namespace.id != after.namespace.id
    narrowed = start > was_start or end < was_end or after.coverage < before.coverage
    return bool(moved) or narrowed or _draw(id_, before) != _draw(id_, after)


def _draw(id_: str, experiment: Experiment) -> tuple[str, Sequence[str], Sequence[float]]:
    return experiment.seed or id_, [arm.id for arm in experiment.arms], shares(experiment)


def problems(id_: str, experiment: Experiment) -> Iterator[Problem]:
    """What is wrong with an experiment of the catalogue beyond the form of each of its fields."""
    for path, message in [*_problems_of_arms(experiment.arms), *_problems_of_fields(experiment)]:
        yield Problem(written(("experiments", id_, *path)), message)
    if experiment.when is not None:
        for error in definition.problems({"name": experiment.name, "when": experiment.when}):
            yield Problem(written(("experiments", id_, error.path)), error.message)


_Found: TypeAlias = Iterator[tuple[tuple[str | int, ...], str]]
"""Paths inside an experiment, and what was expected there and found."""


def _problems_of_arms(arms: Sequence[Arm]) -> _Found:
    weights = [arm.weight for arm in arms if arm.weight is not None]
    if len(arms) < 2:
        yield ("arms",), f"expected at least two arms, found {len(arms)}"
    if weights and len(weights) < len(arms):
        yield ("arms",), f"expected a weight for each arm or for none, found {len(weights)} of {len(arms)}"
    elif weights and abs(sum(weights) - 1) > ROUNDING:
        yield ("arms",), f"expected weights that are 1 together, found {sum(weights):g}"
    for index, arm in enumerate(arms):
        if arm.id in {other.id for other in arms[:index]}:
            yield ("arms", index, "id"), f"expected an id no other arm of the experiment has, found {arm.id!r}"


def _problems_of_fields(experiment: Experiment) -> _Found:
    start, end = experiment.namespace.range if experiment.namespace else (0, 1)
    if start >= end:
        yield ("namespace", "range"), f"expected a start before the end, found {start:g} and {end:g}"
    if experiment.winner is not None and experiment.winner not in {arm.id for arm in experiment.arms}:
        yield ("winner",), f"expected an arm of the experiment, found {experiment.winner!r}"
    if experiment.winner is not None and experiment.status != "stopped":
        yield ("winner",), f"expected one only where the status is stopped, found it where that is {experiment.status}"


def _drawn(id_: str, experiment: Experiment, bucketing_id: str) -> Arm | None:
    """Each arm's range begins where the weights before it end, and coverage is how much of it is used.

    The same sums of floating-point numbers as GrowthBook's, so that whoever falls on an edge falls on the same side.
    """
    part = experiment.namespace
    if part and not part.range[0] <= _place(f"namespace:{part.id}", bucketing_id) < part.range[1]:
        return None
    place = _place(experiment.seed or id_, bucketing_id)
    weights = shares(experiment)
    for arm, weight, start in zip(experiment.arms, weights, accumulate(weights, initial=0.0), strict=False):
        if start <= place < start + experiment.coverage * weight:
            return arm
    return None


def _place(seed: str, bucketing_id: str) -> float:
    return bucket(seed, bucketing_id) / BUCKETS


def _exposure(id_: str, experiment: Experiment, arm: Arm, bucketing_id: str) -> Exposure:
    drawn_by = repr((id_, experiment.seed or id_, bucketing_id))
    return Exposure(
        message_id=str(uuid5(EXPOSURES, drawn_by)),
        properties={
            "experiment_id": id_,
            "experiment_name": experiment.name,
            "variation_id": arm.id,
            "variation_name": arm.name or arm.id,
        },
    )
