"""The parts that definitions are made of: durations, instants, operators, windows, and models that refuse the rest."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules import local_time, operators
from segue.domain.time import duration, instant

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


def _time_zone(name: str) -> str:
    local_time.zone(name)
    return name


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
TimeZone = Annotated[str, AfterValidator(_refusing(_time_zone))]
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


class Calendar(Model):
    """The current period so far, and the `last` - 1 before it."""

    period: local_time.Period
    last: int = Field(default=1, ge=1, le=400)
    tz: TimeZone


WINDOWS = ("within", "ago", "since", "calendar")


class Windowed(Model):
    """At most one window; none is ever."""

    within: Duration | None = None
    ago: tuple[Duration, Duration] | None = None
    since: Instant | None = None
    calendar: Calendar | None = None

    @model_validator(mode="before")
    @classmethod
    def _ago_is_a_list(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("ago"), list):
            return {**values, "ago": tuple(values["ago"])}
        return values

    @model_validator(mode="after")
    def _one_window(self) -> "Windowed":
        if sum(getattr(self, window) is not None for window in WINDOWS) > 1:
            raise ValueError(f"expected at most one window of {', '.join(WINDOWS)}, found more")
        if self.ago is not None and self.ago[0] <= self.ago[1]:
            raise ValueError("expected ago: [far, near] with far longer ago than near")
        return self

    @property
    def windowed(self) -> bool:
        return any(getattr(self, window) is not None for window in WINDOWS)
