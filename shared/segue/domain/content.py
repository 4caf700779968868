"""What the content of a slot may be: a JSON Schema (draft 2020-12) without what could run for ever or read elsewhere.

`$ref` and its like are not in it, patterns are RE2's, and no keyword compares the elements of an array with each other:
so the time a check takes is bounded by what is checked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.rules.operators import check_pattern

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # ships no types

Schema: TypeAlias = Mapping[str, Json]

DEEPEST: Final = 8
"""How deeply schemas may lie in each other."""

MOST_SCHEMAS: Final = 200
"""How many there may be, the outermost one included."""


Steps: TypeAlias = tuple[str | int, ...]


class Flaw(NamedTuple):
    """What is wrong, and the steps to where."""

    steps: Steps
    message: str

    def within(self, *steps: str | int) -> "Flaw":
        """The same seen from outside, where these steps lead to what it is in."""
        return Flaw((*steps, *self.steps), self.message)


Inner: TypeAlias = Iterator[tuple[Steps, Json]]
"""The schemas that lie in what a keyword says, each with the steps to it."""


def _one(value: Json) -> Inner:
    yield (), value


def _named(value: Json) -> Inner:
    return (((name,), schema) for name, schema in value.items()) if isinstance(value, dict) else iter(())


def _listed(value: Json) -> Inner:
    return (((index,), schema) for index, schema in enumerate(value)) if isinstance(value, list) else iter(())


def _none(_value: Json) -> Inner:
    return iter(())


_CHECKING: Final = (
    "type", "enum", "const", "required", "minProperties", "maxProperties", "minLength", "maxLength", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
)  # fmt: skip
_TELLING: Final = ("$schema", "$comment", "title", "description", "default", "examples", "format")

KEYWORDS: Final[Mapping[str, Callable[[Json], Inner]]] = {
    **dict.fromkeys((*_TELLING, *_CHECKING), _none),
    "properties": _named,
    "additionalProperties": _one,
    "items": _one,
    "anyOf": _listed,
}
"""What a schema may say, and the schemas that lie in what it says."""

EXPECTED: Final[Mapping[str, str]] = {
    "type": "expected {}",
    "enum": "expected {}",
    "const": "expected {}",
    "minProperties": "expected at least {} fields",
    "maxProperties": "expected at most {} fields",
    "minLength": "expected at least {} characters",
    "maxLength": "expected at most {} characters",
    "pattern": "expected text that matches {}",
    "minimum": "expected at least {}",
    "maximum": "expected at most {}",
    "exclusiveMinimum": "expected more than {}",
    "exclusiveMaximum": "expected less than {}",
    "minItems": "expected at least {} elements",
    "maxItems": "expected at most {} elements",
    "anyOf": "expected one of the forms of the schema",
}
"""What is said where content does not fit, by the keyword."""


def _matches(_validator: Any, pattern: str, value: Any, _schema: Any) -> "Iterator[ValidationError]":
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not re2.search(pattern, value):
        yield ValidationError("does not match")


@cache
def _validators() -> tuple[Any, Any]:
    """The class that checks schemas, and the one that checks content. Only who publishes needs them, and slots with
    bound content: everybody else starts without what they take to import."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
    from jsonschema.validators import extend  # type: ignore[import-untyped]  # nor here

    return Draft202012Validator, extend(Draft202012Validator, {"pattern": _matches})


def flaws(schema: Schema) -> Sequence[Flaw]:
    """What is wrong with a schema itself: it is to be one for objects, within what is allowed here."""
    found = [flaw for part in _schemas(schema) for flaw in _forbidden(*part)]
    if not found and schema.get("type") != "object":
        found = [Flaw(("type",), f"expected object, found {_shown(schema.get('type'))}")]
    if not found and sum(1 for _ in _schemas(schema)) > MOST_SCHEMAS:
        found = [Flaw((), f"expected at most {MOST_SCHEMAS} schemas in it, found more")]
    if not found:
        of_schemas, _ = _validators()
        errors = of_schemas(of_schemas.META_SCHEMA).iter_errors(schema)
        found = [Flaw(tuple(error.absolute_path), _said(error)) for error in errors]
    return found or [flaw for steps, part, _ in _schemas(schema) for flaw in _broken_pattern(steps, part)]


def misfits(schema: Schema, content: Json) -> Sequence[Flaw]:
    """Where content does not fit its schema, which has no flaws."""
    _, of_content = _validators()
    errors = of_content(schema).iter_errors(content)
    return list(dict.fromkeys(flaw.within(*error.absolute_path) for error in errors for flaw in _found(error)))


def fits(schema: Schema) -> Callable[[Json], bool]:
    """Tells whether a value fits a schema, which has no flaws."""
    _, of_content = _validators()
    check: Callable[[Json], bool] = of_content(schema).is_valid
    return check


def fields(schema: Schema | None) -> Mapping[str, Json]:
    """The fields that a schema declares, each with its own schema."""
    found = schema.get("properties") if schema else None
    return found if isinstance(found, dict) else {}


def may_be(schema: Json, types: Sequence[str]) -> bool:
    """Whether a schema allows some value of one of these types; of any type if there are none."""
    wanted = schema.get("type", ()) if isinstance(schema, dict) else ()
    allowed = [wanted] if isinstance(wanted, str) else wanted
    return not types or not allowed or not _with_integers(allowed).isdisjoint(_with_integers(types))


def _with_integers(types: Sequence[str]) -> set[str]:
    return {*types, *(["integer"] if "number" in types else [])}


def _schemas(schema: Json, steps: Steps = (), depth: int = 0) -> Iterator[tuple[Steps, Json, int]]:
    """The schema and all that lie in it, each with the steps there and how deep it lies."""
    yield steps, schema, depth
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        for inner, part in KEYWORDS.get(keyword, _none)(value):
            yield from _schemas(part, (*steps, keyword, *inner), depth + 1)


def _forbidden(steps: Steps, schema: Json, depth: int) -> Iterator[Flaw]:
    if depth > DEEPEST:
        yield Flaw(steps, f"expected schemas at most {DEEPEST} deep in each other, found more")
    if not isinstance(schema, dict | bool):
        yield Flaw(steps, f"expected a JSON Schema, found {_shown(schema)}")
    for keyword in schema if isinstance(schema, dict) else ():
        if keyword not in KEYWORDS:
            yield Flaw((*steps, keyword), f"expected one of {' '.join(KEYWORDS)}, found {_shown(keyword)}")


def _broken_pattern(steps: Steps, schema: Json) -> Iterator[Flaw]:
    if isinstance(schema, dict) and "pattern" in schema:
        try:
            check_pattern(schema["pattern"])
        except Invalid as error:
            yield Flaw((*steps, "pattern"), error.message)


def _found(error: "ValidationError") -> Iterator[Flaw]:
    """What an error says, of each field by itself that is missing or that should not be there."""
    content = error.instance
    if error.validator == "required":
        yield from (
            Flaw((name,), "expected a value, found nothing") for name in error.validator_value if name not in content
        )
    elif error.validator == "additionalProperties" and error.validator_value is False:
        declared = fields(error.schema)
        yield from (
            Flaw((name,), f"expected no such field, found {_shown(content[name])}")
            for name in content
            if name not in declared
        )
    else:
        yield Flaw((), _said(error))


def _said(error: "ValidationError") -> str:
    wanted = error.validator_value
    named = " or ".join(map(str, wanted)) if isinstance(wanted, list) else wanted
    expected = EXPECTED.get(str(error.validator), "expected a valid JSON Schema").format(named)
    return f"{expected}, found {_shown(error.instance)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
