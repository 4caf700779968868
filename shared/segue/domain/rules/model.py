"""The parts that definitions are made of: durations, instants, operators, windows, and models that refuse the rest."""

import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
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


class Refused(ValueError):
    """What pydantic collects of a wrong part: what was expected, and the steps to where, inside the part."""

    def __init__(self, message: str, *steps: str | int) -> None:
        super().__init__(message)
        self.steps = steps


MOST_SAME = 5
"""The paths that `same` may name."""


def _refusing(check: Any) -> Any:
    """The same check, its `Invalid` raised as what pydantic collects."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except Invalid as error:
            raise Refused(error.message, *filter(None, [error.path])) from error

    return validate


def _instant(value: object) -> int:
    found = instant(value)
    if found is None:
        raise Invalid(f"expected an ISO 8601 instant, found {value!r:.40}")
    return found


def _time_zone(name: str) -> str:
    local_time.zone(name)
    return name


def _number(value: Json) -> Json:
    if operators.is_number(value) and math.isfinite(value):
        return value
    raise Invalid(f"expected a number, found {value!r:.40}")


def _same(value: Json) -> Json:
    if not isinstance(value, list | dict):
        raise Invalid(f"expected property paths, as a list or from A's to B's, found {value!r:.60}")
    if not 0 < len(value) <= MOST_SAME:
        raise Invalid(f"expected 1 to {MOST_SAME} paths, found {len(value)}")
    for name, path in value.items() if isinstance(value, dict) else zip(value, value, strict=True):
        if not (isinstance(path, str) and path and name):
            raise Invalid(f"expected a property path, found {path!r:.60}", name if isinstance(value, dict) else "")
    return value


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


NAME = "x-name"
"""In a JSON Schema: a part goes by this name, and is said in full elsewhere."""


def _named(name: str) -> WithJsonSchema:
    return WithJsonSchema({NAME: name})


Duration = Annotated[int, PlainValidator(_refusing(duration)), _named("Duration")]
Instant = Annotated[int, PlainValidator(_refusing(_instant)), _named("Instant")]
Where = Annotated[dict[str, Any], PlainValidator(_refusing(_where)), _named("Where")]
Is = Annotated[dict[str, Any], PlainValidator(_refusing(_test)), _named("Is")]
FigureIs = Annotated[dict[str, Any], PlainValidator(_refusing(_figure_test)), _named("FigureIs")]
Count = Annotated[dict[str, Any], PlainValidator(_refusing(_count)), _named("Count")]
Number = Annotated[int | float, PlainValidator(_refusing(_number)), _named("Number")]
TimeZone = Annotated[str, AfterValidator(_refusing(_time_zone)), _named("TimeZone")]
Same = Annotated[list[str] | dict[str, str], PlainValidator(_refusing(_same)), _named("Same")]
Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(operators.text)]
Path = Annotated[str, Field(min_length=1, max_length=500)]


class Model(BaseModel):
    """A part of a definition: nothing but the named fields, no conversion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def tag(kind: str) -> str:
    """What stands for a member of a union in pydantic's locations; no field is named like that."""
    return f"<{kind}>"


def is_tag(step: int | str) -> bool:
    """Whether a step of pydantic's locations is such a tag."""
    return isinstance(step, str) and step.startswith("<")


def told_by(*kinds: str) -> Discriminator:
    """Tells the members of a union, each with the tag of one of these keys, by the key that a mapping has."""

    def kind_of(value: object) -> str | None:
        found = [kind for kind in kinds if kind in value] if isinstance(value, dict) else []
        return tag(found[0]) if len(found) == 1 else None

    return Discriminator(
        kind_of,
        custom_error_type="kind",
        custom_error_message=f"expected a mapping with exactly one of {' '.join(kinds)}",
    )


class Selector(Model):
    """The events of a name, narrowed by `where`; in YAML also just the name."""

    did: Text
    """The event's exact name; `'*'` alone is any event."""
    where: Where | None = None
    """What the event's properties have to be like."""


def _selector(value: object) -> object:
    return {"did": value} if isinstance(value, str) else value


AnySelector = Annotated[Selector, BeforeValidator(_selector, json_schema_input_type=str | Selector)]


class Calendar(Model):
    """The current period so far, and the `last` - 1 before it."""

    period: local_time.Period
    """`day`, `week` (from Monday) or `month`."""
    last: int = Field(default=1, ge=1, le=400)
    """How many periods, the current one included; 1 if left out."""
    tz: TimeZone
    """Whose calendar: an IANA time zone such as `Europe/Paris`."""


WINDOWS = ("within", "ago", "since", "calendar")


class Windowed(Model):
    """At most one window; none is ever."""

    within: Duration | None = None
    """The last so long, up to now: exactly so old is out."""
    ago: tuple[Duration, Duration] | None = None
    """`[30d, 7d]`: between so long ago and so long ago, the far end first."""
    since: Instant | None = None
    """From this instant on."""
    calendar: Calendar | None = None
    """Periods of the calendar, the current one included."""

    @model_validator(mode="before")
    @classmethod
    def _ago_is_a_list(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("ago"), list):
            return {**values, "ago": tuple(values["ago"])}
        return values

    @model_validator(mode="after")
    def _one_window(self) -> "Windowed":
        if sum(getattr(self, window) is not None for window in WINDOWS) > 1:
            raise Refused(f"expected at most one window of {', '.join(WINDOWS)}")
        if self.ago is not None and self.ago[0] <= self.ago[1]:
            raise Refused("expected [far, near] with far longer ago than near", "ago")
        return self

    @property
    def windowed(self) -> bool:
        return any(getattr(self, window) is not None for window in WINDOWS)
