"""The language: what a segment's definition may say; everything else is refused (RULES.md section 2).

`parse` turns the plain values of a YAML document into a `Segment`, or raises `Invalid` with the path of the first part
that is wrong, what was expected and what was found. Durations become milliseconds, instants epoch milliseconds.
"""

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError

from segue.domain.errors import Invalid
from segue.domain.rules.kinds import (
    absent,
    aggregate,
    clock,
    compare,
    did,
    first_time,
    logic,
    person,
    recency,
    regularly,
    sequence,
    together,
    trait,
)
from segue.domain.rules.measurements import Measurements, Node
from segue.domain.rules.model import Duration, Model, Text

MAX_DEPTH = 32
"""How deeply conditions may be nested."""

KINDS: Final[Mapping[str, tuple[type[Model], Callable[[Any, Measurements], Node]]]] = {
    "all": (logic.All, logic.compile_all),
    "any": (logic.Any_, logic.compile_any),
    "none": (logic.None_, logic.compile_none),
    "not": (logic.Not, logic.compile_not),
    "at_least": (logic.AtLeast, logic.compile_at_least),
    "segment": (logic.InSegment, logic.compile_segment),
    "trait": (trait.TraitIs, trait.compile_trait),
    "did": (did.Did, did.compile_did),
    "aggregate": (aggregate.Aggregate, aggregate.compile_leaf),
    "together": (together.Together, together.compile_together),
    "sequence": (sequence.SequenceLeaf, sequence.compile_sequence),
    "absent": (absent.Absent, absent.compile_absent),
    "first_time": (first_time.FirstTime, first_time.compile_first_time),
    "compare": (compare.Compare, compare.compile_compare),
    "stopped": (recency.Stopped, recency.compile_stopped),
    "restarted": (recency.Restarted, recency.compile_restarted),
    "regularly": (regularly.Regularly, regularly.compile_regularly),
    "time": (clock.TimeIs, clock.compile_time),
    "date": (clock.DateIs, clock.compile_date),
    "list": (person.InList, person.compile_list),
    "consent": (person.ConsentTo, person.compile_consent),
    "sample": (person.Sample, person.compile_sample),
    "geo": (person.Geo, person.compile_geo),
}
"""Every kind of condition, by the key that tells it: what it may say, and how it is compiled."""


def _kind(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    found = [kind for kind in KINDS if kind in value]
    return found[0] if len(found) == 1 else None


if TYPE_CHECKING:
    Condition = Any
else:
    Condition = Annotated[
        reduce(operator.or_, [Annotated[model, Tag(kind)] for kind, (model, _) in KINDS.items()]),
        Discriminator(
            _kind,
            custom_error_type="kind",
            custom_error_message=f"expected a condition with exactly one of {' '.join(KINDS)}",
        ),
    ]
    for model in (logic.All, logic.Any_, logic.None_, logic.Not, logic.AtLeastOf, logic.AtLeast):
        model.model_rebuild(force=True, _types_namespace={"Condition": Condition})


class Segment(Model):
    """A named definition."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    when: Condition
    stays: Duration | None = None
    until: Condition | None = None
    enter_after: Duration | None = None
    purposes: list[Text] = Field(default=[], max_length=20)


def compile_condition(condition: BaseModel, measurements: Measurements) -> Node:
    """The compiled condition."""
    return _COMPILERS[type(condition)](condition, measurements)


_COMPILERS: Mapping[type[BaseModel], Callable[[Any, Measurements], Node]] = dict(KINDS.values())


def parse(definition: object) -> Segment:
    """The definition of one segment. Raises `Invalid` with the path of the first wrong part."""
    _check_depth(definition, 0)
    try:
        return Segment.model_validate(definition)
    except ValidationError as error:
        raise _invalid(error, definition)[0] from error


def problems(definition: object) -> list[Invalid]:
    """Every wrong part of the definition of one segment; none if `parse` takes it."""
    try:
        parse(definition)
    except Invalid as error:
        return _invalid(error.__cause__, definition) if isinstance(error.__cause__, ValidationError) else [error]
    return []


def _invalid(error: ValidationError, definition: object) -> list[Invalid]:
    return [Invalid(_message(detail), _path(detail["loc"], definition)) for detail in error.errors(include_url=False)]


def _message(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in ("value_error", "kind"):
        return message
    if error["type"] == "missing":
        return "expected this part, found nothing"
    if error["type"] == "extra_forbidden":
        return "expected no such part"
    return f"{message}, found {error['input']!r:.60}"


def _path(location: tuple[int | str, ...], definition: object) -> str:
    """The path as it stands in the definition: pydantic's location less the tags of its unions."""
    path, part, tagged = "", definition, False
    for number, step in enumerate(location):
        if not tagged and _kind(part) == step:
            tagged = True
            continue
        tagged = False
        if isinstance(part, dict) and step in part:
            path, part = f"{path}.{step}" if path else str(step), part[step]
        elif isinstance(part, list) and isinstance(step, int) and step < len(part):
            path, part = f"{path}[{step}]", part[step]
        elif number == len(location) - 1:
            path = f"{path}.{step}" if path else str(step)
    return path


def _check_depth(value: object, depth: int) -> None:
    if depth > MAX_DEPTH * 3:
        raise Invalid(f"expected conditions nested at most {MAX_DEPTH} deep")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _check_depth(part, depth + 1)
