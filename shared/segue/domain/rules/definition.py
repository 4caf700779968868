"""The language: what a segment's definition may say, as models that refuse everything else (RULES.md section 2).

`parse` turns the plain values of a YAML document into a `Segment`, or raises `Invalid` with the path of the first part
that is wrong, what was expected and what was found. Durations become milliseconds, instants epoch milliseconds.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules import operators
from segue.domain.time import duration, instant

MAX_DEPTH = 32
"""How deeply conditions may be nested."""

MAX_COUNT = 1_000
"""The largest number of events a count may ask for: that many instants are kept (answers are exact up to there)."""


def _refusing(check: Any) -> Any:
    """The same check, its `Invalid` raised as the ValueError that pydantic collects with a path."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except Invalid as error:
            raise ValueError(str(error)) from error

    return validate


def _instant(value: object) -> int:
    found = instant(value)
    if found is None:
        raise Invalid(f"expected an ISO 8601 instant, found {value!r:.40}")
    return found


def _where(value: Json) -> Json:
    operators.check_where(value)
    return value


def _matcher(value: Json) -> Json:
    """The matcher with a bare literal written out."""
    return value if isinstance(value, dict) else {"eq": value}


def _test(value: Json) -> Json:
    operators.check(value, nested=False)
    return _matcher(value)


def _figure_test(value: Json) -> Json:
    operators.check(value, nested=False, refs=False)
    return _matcher(value)


def _count(value: Json) -> Json:
    if not isinstance(value, dict):
        raise Invalid(f"expected one operator with its operand, found {value!r:.60}")
    operators.check(value, nested=False, refs=False)
    name, operand = operators.operation(value)
    if name not in operators.COUNTING:
        raise Invalid(f"expected one of {' '.join(operators.COUNTING)}, found {name!r}")
    for number in operand if isinstance(operand, list) else [operand]:
        if not operators.is_number(number):
            raise Invalid(f"expected a number, found {number!r:.40}", name)
        if number > MAX_COUNT:
            raise Invalid(f"expected at most {MAX_COUNT}, found {number!r:.40}", name)
    return value


_MATCHER_SCHEMA = {
    "description": "one operator with its operand, such as {ge: 3}",
    "type": "object",
    "minProperties": 1,
}
_WHERE_SCHEMA = {
    "description": "property paths, each with a value (equal) or one operator with its operand",
    "type": "object",
    "minProperties": 1,
}

Duration = Annotated[
    int,
    PlainValidator(_refusing(duration)),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*(ms|s|m|h|d|w)$"}),
]
Instant = Annotated[int, PlainValidator(_refusing(_instant)), WithJsonSchema({"type": "string", "format": "date-time"})]
Where = Annotated[dict[str, Any], PlainValidator(_refusing(_where)), WithJsonSchema(_WHERE_SCHEMA)]
Is = Annotated[dict[str, Any], PlainValidator(_refusing(_test)), WithJsonSchema(_MATCHER_SCHEMA)]
FigureIs = Annotated[dict[str, Any], PlainValidator(_refusing(_figure_test)), WithJsonSchema(_MATCHER_SCHEMA)]
Count = Annotated[dict[str, Any], PlainValidator(_refusing(_count)), WithJsonSchema(_MATCHER_SCHEMA)]
Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(operators.text)]
Path = Annotated[str, Field(min_length=1, max_length=500)]


class Model(BaseModel):
    """A part of a definition: nothing but the named fields, no conversion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Selector(Model):
    """The events of a name, narrowed by `where`; in YAML also just the name."""

    did: Text
    where: Where | None = None


def _selector(value: object) -> object:
    return {"did": value} if isinstance(value, str) else value


AnySelector = Annotated[Selector, BeforeValidator(_selector, json_schema_input_type=str | Selector)]


class Windowed(Model):
    """At most one window; none is ever."""

    within: Duration | None = None
    ago: tuple[Duration, Duration] | None = None
    since: Instant | None = None

    @model_validator(mode="before")
    @classmethod
    def _ago_is_a_list(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("ago"), list):
            return {**values, "ago": tuple(values["ago"])}
        return values

    @model_validator(mode="after")
    def _one_window(self) -> "Windowed":
        if sum(window is not None for window in (self.within, self.ago, self.since)) > 1:
            raise ValueError("expected at most one window of within, ago and since, found more")
        if self.ago is not None and self.ago[0] <= self.ago[1]:
            raise ValueError("expected ago: [far, near] with far longer ago than near")
        return self

    @property
    def windowed(self) -> bool:
        return (self.within, self.ago, self.since) != (None, None, None)


class Did(Windowed):
    did: Text
    where: Where | None = None
    count: Count = {"ge": 1}
    per: Path | None = None


FIGURES = ("sum", "avg", "min", "max", "distinct", "latest", "first")


class Figure(Windowed):
    """A figure over events: exactly one of the functions names the property."""

    of: Text
    where: Where | None = None
    sum: Path | None = None
    avg: Path | None = None
    min: Path | None = None
    max: Path | None = None
    distinct: Path | None = None
    latest: Path | None = None
    first: Path | None = None

    @model_validator(mode="after")
    def _one_figure(self) -> "Figure":
        if sum(getattr(self, name) is not None for name in FIGURES) != 1:
            raise ValueError(f"expected exactly one of {' '.join(FIGURES)}")
        return self

    @property
    def function(self) -> tuple[str, str]:
        """The function's name and the property it reads."""
        return next((name, getattr(self, name)) for name in FIGURES if getattr(self, name) is not None)


class AggregateOf(Figure):
    per: Path | None = None
    is_: FigureIs = Field(alias="is")


class Aggregate(Model):
    aggregate: AggregateOf


class TraitIs(Model):
    trait: Path
    is_: Is = Field(alias="is")


class TogetherOf(Model):
    within: Duration
    of: list["Did | Aggregate"] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _known_leaves(cls, values: Any) -> Any:
        for leaf in values.get("of") or () if isinstance(values, dict) else ():
            if not isinstance(leaf, dict) or not ({"did", "aggregate"} & set(leaf)):
                raise ValueError("of: expected did and aggregate only")
        return values

    @model_validator(mode="after")
    def _no_windows(self) -> "TogetherOf":
        for number, leaf in enumerate(self.of):
            if (leaf.aggregate if isinstance(leaf, Aggregate) else leaf).windowed:
                raise ValueError(f"of[{number}]: expected no window of its own: together gives it one")
        return self


class Together(Model):
    together: TogetherOf


class Step(Selector):
    gap: Duration | None = None
    without: AnySelector | None = None


class SequenceOf(Model):
    steps: list[Step] = Field(min_length=2, max_length=20)
    within: Duration | None = None
    without: AnySelector | None = None
    same: list[Path] = Field(default=[], max_length=5)

    @model_validator(mode="after")
    def _first_step_is_free(self) -> "SequenceOf":
        if self.steps[0].gap is not None or self.steps[0].without is not None:
            raise ValueError("steps[0]: expected no gap and no without on the first step")
        return self


class Sequence(Model):
    sequence: SequenceOf


class AbsentOf(Model):
    """`for_` left out is 0: true from the A itself on."""

    after: AnySelector
    without: AnySelector
    for_: Duration | None = Field(default=None, alias="for")
    within: Duration | None = None
    same: list[Path] | dict[Path, Path] = Field(default=[], max_length=5)

    @model_validator(mode="after")
    def _for_is_less(self) -> "AbsentOf":
        if self.for_ is not None and self.within is not None and self.for_ >= self.within:
            raise ValueError("for: expected less than within")
        return self


class Absent(Model):
    absent: AbsentOf


class FirstTime(Windowed):
    first_time: Text
    where: Where | None = None


class CountOf(Windowed):
    """A bare count, as `compare` takes it."""

    did: Text
    where: Where | None = None


class FigureOf(Model):
    aggregate: Figure


class CompareOf(Model):
    left: CountOf | FigureOf
    right: CountOf | FigureOf
    op: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    factor: int | float = Field(default=1, allow_inf_nan=False)


class Compare(Model):
    compare: CompareOf


class InSegment(Model):
    segment: str


class All(Model):
    all: list["Condition"] = Field(min_length=1)


class Any_(Model):  # noqa: N801  # `Any` is taken
    any: list["Condition"] = Field(min_length=1)


class None_(Model):  # noqa: N801  # `None` is taken
    none: list["Condition"] = Field(min_length=1)


class Not(Model):
    not_: "Condition" = Field(alias="not")


class AtLeastOf(Model):
    count: int = Field(ge=1)
    of: list["Condition"] = Field(min_length=1)

    @model_validator(mode="after")
    def _possible(self) -> "AtLeastOf":
        if self.count > len(self.of):
            raise ValueError(f"count: expected at most {len(self.of)}, the number of conditions, found {self.count}")
        return self


class AtLeast(Model):
    at_least: AtLeastOf


KINDS: Mapping[str, type[Model]] = {
    "all": All,
    "any": Any_,
    "none": None_,
    "not": Not,
    "at_least": AtLeast,
    "trait": TraitIs,
    "did": Did,
    "aggregate": Aggregate,
    "together": Together,
    "sequence": Sequence,
    "absent": Absent,
    "first_time": FirstTime,
    "compare": Compare,
    "segment": InSegment,
}
"""Every kind of condition, by the key that tells it."""


def _kind(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    found = [kind for kind in KINDS if kind in value]
    return found[0] if len(found) == 1 else None


Condition: TypeAlias = Annotated[
    Annotated[All, Tag("all")]
    | Annotated[Any_, Tag("any")]
    | Annotated[None_, Tag("none")]
    | Annotated[Not, Tag("not")]
    | Annotated[AtLeast, Tag("at_least")]
    | Annotated[TraitIs, Tag("trait")]
    | Annotated[Did, Tag("did")]
    | Annotated[Aggregate, Tag("aggregate")]
    | Annotated[Together, Tag("together")]
    | Annotated[Sequence, Tag("sequence")]
    | Annotated[Absent, Tag("absent")]
    | Annotated[FirstTime, Tag("first_time")]
    | Annotated[Compare, Tag("compare")]
    | Annotated[InSegment, Tag("segment")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message=f"expected a condition with exactly one of {' '.join(KINDS)}",
    ),
]


class Segment(Model):
    """A named definition."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    when: Condition
    stays: Duration | None = None
    until: Condition | None = None


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
