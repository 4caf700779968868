"""The language: what a segment's definition may say; everything else is refused (RULES.md section 2).

`parse` turns the plain values of a YAML document into a `Segment`, or raises `Invalid` with the path of the first part
that is wrong, what was expected and what was found. Durations become milliseconds, instants epoch milliseconds.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, Tag, ValidationError

from segue.domain.errors import Invalid
from segue.domain.rules.kinds import (
    absent,
    aggregate,
    clock,
    cluster,
    compare,
    did,
    first_time,
    logic,
    person,
    recency,
    regularly,
    score,
    sequence,
    session,
    together,
    trait,
)
from segue.domain.rules.measurements import Measurements, Node
from segue.domain.rules.model import Duration, Model, Refused, Text, is_tag, tag, told_by

Part = TypeVar("Part", bound=BaseModel)

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
    "session": (session.SessionIs, session.compile_session),
    "cluster": (cluster.Cluster, cluster.compile_cluster),
    "score": (score.ScoreIs, score.compile_score),
}
"""Every kind of condition, by the key that tells it: what it may say, and how it is compiled."""


if TYPE_CHECKING:
    Condition = Any
else:
    Condition = Annotated[
        reduce(operator.or_, [Annotated[model, Tag(tag(kind))] for kind, (model, _) in KINDS.items()]),
        told_by(*KINDS),
    ]
    for model in (logic.All, logic.Any_, logic.None_, logic.Not, logic.AtLeastOf, logic.AtLeast):
        model.model_rebuild(force=True, _types_namespace={"Condition": Condition})


class Segment(Model):
    """A named definition."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What people call it."""
    description: str = ""
    """For people, too."""
    when: Condition
    """Who is a member."""
    stays: Duration | None = None
    """A member for that long after `when` was last true."""
    until: Condition | None = None
    """What ends the membership and wipes the memory of it."""
    enter_after: Duration | None = None
    """Nobody enters before `when` has been true for so long."""
    purposes: list[Text] = Field(default=[], min_length=1, max_length=20)
    """Nobody is a member without having consented to all of these."""
    public: bool = False
    """A visitor's own browser may read whether the visitor is a member; otherwise only who has a secret key may."""


def compile_condition(condition: BaseModel, measurements: Measurements) -> Node:
    """The compiled condition."""
    kind, compile_kind = _COMPILERS[type(condition)]
    return replace(compile_kind(condition, measurements), kind=kind)


_COMPILERS: Mapping[type[BaseModel], tuple[str, Callable[[Any, Measurements], Node]]] = {
    model: (kind, compile_kind) for kind, (model, compile_kind) in KINDS.items()
}


def parse(definition: object) -> Segment:
    """The definition of one segment. Raises `Invalid` with the path of the first wrong part."""
    return parse_as(Segment, definition)


def parse_as(model: type[Part], definition: object) -> Part:
    """A definition of this kind. Raises `Invalid` with the path of the first wrong part."""
    _check_values(definition, "", 0)
    try:
        return model.model_validate(definition)
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
    return [_flaw(detail, definition) for detail in error.errors(include_url=False)]


EXPECTED: Final[Mapping[str, str]] = {
    "missing": "expected this part, found nothing",
    "extra_forbidden": "expected no such part",
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a number",
    "literal_error": "expected {expected}",
    "string_too_short": "expected text of at least {min_length} character",
    "string_too_long": "expected text of at most {max_length} characters",
    "too_short": "expected at least {min_length} of them",
    "too_long": "expected at most {max_length} of them",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
}
"""What is said for pydantic's own kinds of errors."""


def _flaw(detail: Any, definition: object) -> Invalid:
    context = detail.get("ctx", {})
    refused = context.get("error")
    steps = refused.steps if isinstance(refused, Refused) else ()
    path, found = _located((*detail["loc"], *steps), definition)
    message = str(refused or EXPECTED.get(detail["type"], detail["msg"]).format(**context))
    return Invalid(message if "found" in message else f"{message}, found {found!r:.60}", path)


def _located(location: tuple[int | str, ...], definition: object) -> tuple[str, object]:
    """The path as it stands in the definition, pydantic's location less the tags of its unions, and what is there."""
    path, part = "", definition
    for number, step in enumerate(location):
        if isinstance(part, dict) and step in part:
            path, part = f"{path}.{step}" if path else str(step), part[step]
        elif isinstance(part, list) and isinstance(step, int) and step < len(part):
            path, part = f"{path}[{step}]", part[step]
        elif number == len(location) - 1 and not is_tag(step):
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path, part


def _check_values(value: object, path: str, depth: int) -> None:
    """Refuse what no part may be: null, which would be as good as leaving a window out, and depths without end."""
    if depth > MAX_DEPTH * 3:
        raise Invalid(f"expected conditions nested at most {MAX_DEPTH} deep, found more", path)
    if value is None:
        raise Invalid("expected a value, found nothing", path)
    if isinstance(value, dict):
        for name, part in value.items():
            _check_values(part, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            _check_values(part, f"{path}[{number}]", depth + 1)
