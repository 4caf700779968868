"""The JSON Schema of a catalogue's files, for editors: what may be written where, and what each part says.

The models say what there is; their docstrings, and those of their fields, become the descriptions. What the schema
cannot say (that a segment exists, that `far` is further than `near`) is left to `segue catalog check`.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from segue.domain.catalog import Catalog
from segue.domain.rules.definition import KINDS
from segue.domain.rules.kinds.aggregate import FIGURE_FUNCTIONS, Figure
from segue.domain.rules.kinds.clock import DateTest
from segue.domain.rules.kinds.cluster import ClusterOf, Feature
from segue.domain.rules.kinds.person import GeoOf
from segue.domain.rules.kinds.score import Score
from segue.domain.rules.kinds.sequence import SequenceOf
from segue.domain.rules.kinds.session import SessionIs
from segue.domain.rules.kinds.together import TogetherOf
from segue.domain.rules.local_time import ZONES
from segue.domain.rules.model import MAX_COUNT, MOST_SAME, NAME, WINDOWS, Windowed
from segue.domain.rules.operators import COUNTING, OPERATORS

Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
)
_PARTS = r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*"
_VERSION = rf"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-{_PARTS})?(\+{_PARTS})?$"

TEXT: Final[Schema] = {"type": "string"}
SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
NUMBER_OR_TEXT: Final[Schema] = {"type": ["number", "string"]}
SCALARS: Final[Schema] = {"type": "array", "items": SCALAR, "minItems": 1}
RANGE: Final[Schema] = {
    "type": "array",
    "items": NUMBER_OR_TEXT,
    "minItems": 2,
    "maxItems": 2,
    "anyOf": [{"items": {"type": "number"}}, {"items": TEXT}],
}
TRUE: Final[Schema] = {"const": True}
INSTANT: Final[Schema] = {"type": ["string", "number"], "pattern": _INSTANT}
VERSION: Final[Schema] = {"type": "string", "pattern": _VERSION}

OPERANDS: Final[Mapping[str, tuple[Schema, str]]] = {
    "eq": (SCALAR, 'Equal; 5 is 5.0, but `"5"` is not 5. Of an array, some element.'),
    "ne": (SCALAR, "There is a value, and it is not equal (of an array, no element is)."),
    "gt": (NUMBER_OR_TEXT, "Greater; numbers with numbers, text with text."),
    "ge": (NUMBER_OR_TEXT, "Greater or equal; numbers with numbers, text with text."),
    "lt": (NUMBER_OR_TEXT, "Less; numbers with numbers, text with text."),
    "le": (NUMBER_OR_TEXT, "Less or equal; numbers with numbers, text with text."),
    "between": (RANGE, "From the lower end to the upper one, both included: `[50, 60]`."),
    "in": (SCALARS, "Equal to one of these."),
    "not_in": (SCALARS, "There is a value, and it is equal to none of these."),
    "contains": (TEXT, "The text has this part."),
    "not_contains": (TEXT, "There is a value, and it has no such part."),
    "starts_with": (TEXT, "The text begins with this."),
    "ends_with": (TEXT, "The text ends with this."),
    "matches": (TEXT, "This RE2 pattern is found somewhere in the text; anchor it with `^` and `$`."),
    "exists": (TRUE, "There is a value; empty text and `[]` are values."),
    "missing": (TRUE, "There is no value, or it is null."),
    "any_of": (SCALARS, "Some of these occur in the array."),
    "all_of": (SCALARS, "All of these occur in the array."),
    "none_of": (SCALARS, "There is a value, and none of these occur in it."),
    "before": (INSTANT, "An earlier instant: ISO 8601 text, no zone is UTC, or epoch milliseconds."),
    "after": (INSTANT, "A later instant: ISO 8601 text, no zone is UTC, or epoch milliseconds."),
    "semver_eq": (VERSION, "The same version, by SemVer 2.0 without a leading v."),
    "semver_ne": (VERSION, "Another version, by SemVer 2.0 without a leading v."),
    "semver_gt": (VERSION, "A later version, by SemVer 2.0 without a leading v."),
    "semver_ge": (VERSION, "This version or a later one, by SemVer 2.0 without a leading v."),
    "semver_lt": (VERSION, "An earlier version, by SemVer 2.0 without a leading v."),
    "semver_le": (VERSION, "This version or an earlier one, by SemVer 2.0 without a leading v."),
}
"""What each operator compares with, and what it says."""

ANY: Final = ({"$ref": "#/$defs/Where"}, "Some object in the array is like this, as a whole.")


def operators(operands: Mapping[str, tuple[Schema, str]], *, refs: bool) -> Schema:
    """Exactly one of these operators, perhaps with `ignore_case`. `refs`: whether `{ref: path}` may be a value."""

    def compared(name: str, takes: Schema, says: str) -> Schema:
        takes_ref = refs and name in OPERATORS and OPERATORS[name].takes_ref
        return {"description": says, **({"anyOf": [takes, {"$ref": "#/$defs/Ref"}]} if takes_ref else takes)}

    return {
        "type": "object",
        "properties": {
            **{name: compared(name, *operand) for name, operand in operands.items()},
            "ignore_case": {"type": "boolean", "description": "Compare the text in lower case."},
        },
        "additionalProperties": False,
        "if": {"required": ["ignore_case"]},
        "then": {"minProperties": 2, "maxProperties": 2},
        "else": {"minProperties": 1, "maxProperties": 1},
    }


def _or_value(comparison: Schema) -> Schema:
    return {"anyOf": [{**SCALAR, "description": "Equal to this."}, comparison]}


_COUNT: Final[Schema] = {"type": "number", "maximum": MAX_COUNT}
_COUNTS: Final[Mapping[str, Schema]] = {
    "between": {"type": "array", "items": _COUNT, "minItems": 2, "maxItems": 2},
    "in": {"type": "array", "items": _COUNT, "minItems": 1},
    "not_in": {"type": "array", "items": _COUNT, "minItems": 1},
}

NAMED: Final[Mapping[str, Schema]] = {
    "Duration": {
        "type": "string",
        "pattern": "^[1-9][0-9]{0,14}(ms|s|m|h|d|w)$",
        "examples": ["10m", "24h", "7d", "30d"],
    },
    "Instant": {**INSTANT, "examples": ["2026-01-01T00:00:00Z"]},
    "TimeZone": {"enum": sorted(ZONES)},
    "Number": {"type": "number"},
    "Ref": {
        "type": "object",
        "properties": {"ref": {"type": "string", "minLength": 1, "description": "Another path, from the same root."}},
        "required": ["ref"],
        "additionalProperties": False,
    },
    "Same": {
        "anyOf": [
            {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MOST_SAME},
            {"type": "object", "additionalProperties": TEXT, "minProperties": 1, "maxProperties": MOST_SAME},
        ]
    },
    "Where": {
        "type": "object",
        "propertyNames": {"minLength": 1},
        "additionalProperties": _or_value(operators({**OPERANDS, "any": ANY}, refs=True)),
        "minProperties": 1,
        "examples": [{"category": "dresses", "price": {"gt": 50}}],
    },
    "Is": _or_value(operators(OPERANDS, refs=True)),
    "FigureIs": _or_value(operators(OPERANDS, refs=False)),
    "Count": operators({name: (_COUNTS.get(name, _COUNT), OPERANDS[name][1]) for name in COUNTING}, refs=False),
}
"""The parts that the models check by themselves, by the name they go by there."""


def _one_of(names: Iterable[str]) -> Schema:
    return {"oneOf": [{"required": [name]} for name in names]}


def _without(names: Iterable[str]) -> Schema:
    return {"properties": dict.fromkeys(sorted(names), False)}


MORE: Final[Mapping[type[BaseModel], Schema]] = {
    Windowed: {
        "allOf": [{"if": {"required": [window]}, "then": _without(set(WINDOWS) - {window})} for window in WINDOWS]
    },
    Figure: _one_of(FIGURE_FUNCTIONS),
    DateTest: {
        **_one_of(("within_last", "within_next", "more_than_ago", "anniversary")),
        "dependentRequired": {"anniversary": ["tz"], "tz": ["anniversary"]},
    },
    GeoOf: {"minProperties": 1},
    SessionIs: {
        "dependentRequired": {"where": ["of"]},
        "if": {"required": ["of"]},
        "then": {"properties": {"session": {"pattern": r"^(this|last)\.(events|distinct\..+)$"}}},
    },
    ClusterOf: {"properties": {"max_distance": {"minimum": 0}}},
    Feature: {"properties": {"scale": {"exclusiveMinimum": 0}}},
    Score: _one_of(("half_life", "within")),
    TogetherOf: {
        "properties": {
            "of": {"items": {"allOf": [_without(WINDOWS), {"properties": {"aggregate": _without(WINDOWS)}}]}},
        },
    },
    SequenceOf: {"properties": {"steps": {"prefixItems": [_without(("gap", "without"))]}}},
}
"""What the validators of a model ask for beyond its fields."""


_KIND_OF: Final = {model: kind for kind, (model, _) in KINDS.items()}


class _Generator(GenerateJsonSchema):
    """Says what editors show, and leaves out what they do not need: titles of fields, null, and null defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # none should
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        default = schema.get("default")
        worth_saying = default and not isinstance(default, BaseModel)
        return super().default_schema(schema) if worth_saying else self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> Schema:
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        model = schema["cls"]
        found = {**super().model_schema(schema), "title": _KIND_OF.get(model, model.__name__)}
        for name, says in _docstrings(model).items():
            field = found["properties"][model.model_fields[name].alias or name]
            field["description"] = says
        more = [rule for base, rule in MORE.items() if issubclass(model, base)]
        return {**found, "allOf": more} if more else found


def for_editors() -> Schema:
    """The schema of one file of a catalogue."""
    schema = Catalog.model_json_schema(schema_generator=_Generator)
    kinds = schema["$defs"]["Segment"]["properties"]["when"]["oneOf"]
    schema = _referring(schema, kinds)
    condition = {
        "description": f"A condition: exactly one of `{'` `'.join(KINDS)}`.",
        "oneOf": kinds,
        "examples": [
            {"did": "Product Viewed", "count": {"ge": 3}, "within": "10m"},
            {"all": [{"trait": "plan", "is": "pro"}, {"not": {"did": "Order Completed", "within": "30d"}}]},
        ],
    }
    return {
        "$schema": DIALECT,
        **schema,
        "title": "A file of a Segue catalogue",
        "$defs": dict(sorted({**schema["$defs"], **NAMED, "Condition": condition}.items())),
    }


def _referring(part: Any, kinds: Any) -> Any:
    """The same, where a named part and the union of all kinds are said once and referred to."""
    if isinstance(part, list):
        return [_referring(one, kinds) for one in part]
    if not isinstance(part, dict):
        return part
    rest = {key: _referring(value, kinds) for key, value in part.items() if key != NAME}
    if part.get("oneOf") == kinds:
        del rest["oneOf"]
        return {**rest, "$ref": "#/$defs/Condition"}
    return {**rest, "$ref": f"#/$defs/{part[NAME]}"} if NAME in part else rest


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """What is written below the fields of a model, and of those it is made from."""
    found: dict[str, str] = {}
    bases = [base for base in model.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]
    for base in reversed([base for base in bases if not issubclass(base, RootModel)]):  # a root has no fields
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = definition.body if isinstance(definition, ast.ClassDef) else []
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(says))):
                    found[name] = inspect.cleandoc(says)
    return found
