"""Slots that are wrong are refused when they are published: the path of the part, what was expected, what was found."""

from typing import Any

import pytest

from segue.domain.catalog import parse, problems
from segue.domain.errors import Invalid
from segue.domain.membership import is_named

SCHEMA = {
    "type": "object",
    "properties": {
        "headline": {"type": "string", "maxLength": 20},
        "items": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "price": {"type": "number", "minimum": 0},
        "kind": {"enum": ["hero", "strip"]},
        "link": {"type": "string", "pattern": "^/"},
    },
    "required": ["headline"],
    "additionalProperties": False,
}
GOOD = {"headline": "Hello", "items": [], "price": 1}


def documents(slot: dict[str, Any]) -> dict[str, Any]:
    """A catalogue with one of everything that a slot may refer to."""
    return {
        "segments": {"a": {"name": "A", "when": {"did": "A"}}, "b": {"name": "B", "when": {"did": "B"}}},
        "scores": {"heat": {"events": [{"did": "A", "points": 1}], "half_life": "7d"}},
        "computed": {
            "seen": {"unique_list": "product_id", "of": "A"},
            "often": {"count": "A"},
            "top": {"most_frequent": "category", "of": "A"},
            "last": {"latest": "category", "of": "A"},
        },
        "experiments": {"x": {"name": "X", "arms": [{"id": "plain"}, {"id": "bold"}]}},
        "consent": {"purposes": {"ads": {}}},
        "slots": {"it": {"name": "It", "default": GOOD, **slot}},
    }


def variant(**fields: Any) -> dict[str, Any]:
    return {"name": "v", "content": GOOD, **fields}


def variants(*each: dict[str, Any]) -> dict[str, Any]:
    return {"variants": [{"name": f"v{number}", "content": GOOD, **one} for number, one in enumerate(each)]}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


def bound(field: str, **source: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "variants": [variant(bind={field: source})]}


REFUSED = {
    "a segment": (
        variants({"segment": "c"}),
        "variants[0].segment",
        "expected a segment of this catalogue, found 'c'",
    ),
    "an experiment": (
        variants({"experiment": "y", "arm": "bold"}),
        "variants[0].experiment",
        "expected an experiment of this catalogue, found 'y'",
    ),
    "an arm": (
        variants({"experiment": "x", "arm": "red"}),
        "variants[0].arm",
        "expected an arm of the experiment, one of plain bold, found 'red'",
    ),
    "an arm without its experiment": (
        variants({"arm": "bold"}),
        "variants[0]",
        "expected experiment and arm together, found one of them",
    ),
    "a purpose": ({"purposes": ["ad"]}, "purposes[0]", "expected a purpose of consent.purposes, found 'ad'"),
    "a condition": (
        variants({"when": {"any": [{"did": "A", "within": "ten minutes"}]}}),
        "variants[0].when.any[0].within",
        "expected a duration such as 10m",
    ),
    "a condition's score": (
        variants({"when": {"all": [{"score": "cold", "is": {"gt": 1}}]}}),
        "variants[0].when.all[0].score",
        "expected a score of this catalogue, found 'cold'",
    ),
    "a condition's segment": (
        variants({"when": {"segment": "c"}}),
        "variants[0].when.segment",
        "expected a segment of this catalogue, found 'c'",
    ),
    "a schedule of nothing": (
        variants({"schedule": {}}),
        "variants[0].schedule",
        "expected from, until or time, found none of them",
    ),
    "a schedule that is over before it begins": (
        variants({"schedule": {"from": "2026-01-02", "until": "2026-01-02T00:00:00Z"}}),
        "variants[0].schedule",
        "expected from to be before until, found it is not",
    ),
    "a schedule on no clock": (
        variants({"schedule": {"time": {"from": "09:00"}}}),
        "variants[0].schedule.time.tz",
        "expected a value, found nothing",
    ),
    "a cap of nothing": (variants({"cap": {"times": 0, "within": "1d"}}), "variants[0].cap.times", "expected to be"),
    "a cap without an end": (variants({"cap": {"times": 1}}), "variants[0].cap.within", "expected a value"),
    "a control group of more than all": ({"control": {"percent": 101}}, "control.percent", "expected to be less than"),
    "two variants of a name": (
        {"variants": [variant(segment="a"), variant(segment="b")]},
        "variants[1].name",
        "expected a name no other variant of the slot has, found 'v'",
    ),
    "default content that does not fit": (
        {"schema": SCHEMA, "default": {"headline": 5}},
        "default.headline",
        "expected string, found 5",
    ),
    "default content with something missing": (
        {"schema": SCHEMA, "default": {}},
        "default.headline",
        "expected a value, found nothing",
    ),
    "content that does not fit": (
        {"schema": SCHEMA, "variants": [variant(content=GOOD | {"items": ["a", 5]})]},
        "variants[0].content.items[1]",
        "expected string, found 5",
    ),
    "content that is too long": (
        {"schema": SCHEMA, "variants": [variant(content={"headline": "x" * 21})]},
        "variants[0].content.headline",
        "expected at most 20 characters, found",
    ),
    "content of another pattern": (
        {"schema": SCHEMA, "variants": [variant(content=GOOD | {"link": "javascript:alert(1)"})]},
        "variants[0].content.link",
        "expected text that matches ^/, found 'javascript:alert(1)'",
    ),
    "content that no schema has": (
        {"schema": SCHEMA, "variants": [variant(content=GOOD | {"hedline": "x"})]},
        "variants[0].content.hedline",
        "expected no such field, found 'x'",
    ),
    "content without end": (
        variants({"content": {"text": "x" * 70_000}}),
        "variants[0].content",
        "expected content of at most 65536 bytes, found 70011",
    ),
    "a schema of no object": ({"schema": {"type": "array"}}, "schema.type", "expected object, found 'array'"),
    "a schema with a reference": (
        {"schema": {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}},
        "schema.properties.a.$ref",
        "expected one of",
    ),
    "a schema with what may take for ever": (
        {"schema": {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}},
        "schema.properties.a.uniqueItems",
        "expected one of",
    ),
    "a schema with a pattern of another language": (
        {"schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": r"(a+)\1"}}}},
        "schema.properties.a.pattern",
        "expected an RE2 pattern, found",
    ),
    "a schema with a wrong keyword's value": (
        {"schema": {"type": "object", "properties": {"a": {"type": "text"}}}},
        "schema.properties.a.type",
        "expected",
    ),
    "a schema that is none": (
        {"schema": {"type": "object", "properties": {"a": "string"}}},
        "schema.properties.a",
        "expected a JSON Schema, found 'string'",
    ),
    "a schema without end": (
        {"schema": nested(9)},
        "schema" + ".properties.x" * 9,
        "expected schemas at most 8 deep in each other, found more",
    ),
    "a schema of too many": (
        {"schema": {"type": "object", "properties": {f"x{number}": {} for number in range(200)}}},
        "schema",
        "expected at most 200 schemas in it, found more",
    ),
    "a field that is not declared": (
        bound("hedline", computed="top"),
        "variants[0].bind.hedline",
        "expected a field that the slot's schema declares among its properties, found another",
    ),
    "a field without a schema": (
        {"variants": [variant(bind={"headline": {"computed": "top"}})]},
        "variants[0].bind.headline",
        "expected a field that the slot's schema declares among its properties, found another",
    ),
    "a field without a value for those who have none": (
        bound("kind", computed="top"),
        "variants[0].bind.kind",
        "expected the content to have the field, for visitors without a value, found nothing",
    ),
    "a field of two sources": (
        bound("headline", computed="top", score="heat"),
        "variants[0].bind.headline",
        "expected exactly one of computed, score and trait",
    ),
    "a field of an unknown computed trait": (
        bound("headline", computed="tops"),
        "variants[0].bind.headline.computed",
        "expected a computed trait of this catalogue, found 'tops'",
    ),
    "a field of an unknown score": (
        bound("price", score="cold"),
        "variants[0].bind.price.score",
        "expected a score of this catalogue, found 'cold'",
    ),
    "a field of a trait that is computed": (
        bound("headline", trait="top"),
        "variants[0].bind.headline.trait",
        "expected a trait that calls tell, found 'top', which is computed",
    ),
    "a field of values it cannot have": (
        bound("headline", computed="often"),
        "variants[0].bind.headline",
        "expected a value that the schema allows there, found one that is integer",
    ),
}

UNREACHABLE = {
    "the same segment": variants({"segment": "a"}, {"segment": "a"}),
    "the same segment and more": variants({"segment": "a"}, {"segment": "a", "when": {"did": "B"}}),
    "behind one for everybody": variants({}, {"segment": "a"}),
    "the same condition": variants({"when": {"did": "A"}}, {"when": {"did": "A"}, "cap": {"times": 1, "within": "1d"}}),
    "the same arm": variants({"experiment": "x", "arm": "bold"}, {"experiment": "x", "arm": "bold", "segment": "a"}),
    "the same times": variants({"schedule": {"from": 5}}, {"segment": "a", "schedule": {"from": 5}}),
}

REACHABLE = {
    "behind one that is capped": variants({"segment": "a", "cap": {"times": 1, "within": "1d"}}, {"segment": "a"}),
    "of whom less holds": variants({"segment": "a", "when": {"did": "B"}}, {"segment": "a"}),
    "other times": variants({"segment": "a", "schedule": {"from": 5}}, {"segment": "a", "schedule": {"from": 6}}),
    "another arm": variants({"experiment": "x", "arm": "bold"}, {"experiment": "x", "arm": "plain"}),
}

BINDABLE = {
    "text of a most frequent value": bound("headline", computed="top"),
    "text of a latest value, which may be anything": bound("headline", computed="last"),
    "a list": bound("items", computed="seen"),
    "a number of a count": bound("price", computed="often"),
    "a number of a score": bound("price", score="heat"),
    "text of a trait": bound("headline", trait="address.city"),
}


@pytest.mark.parametrize(("slot", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_slot_is_named(slot: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(documents(slot)).program()
    assert refused.value.path == f"slots.it.{path}"
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("slot", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_variant_that_nobody_is_left_over_for_is_named(slot: dict[str, Any]) -> None:
    [problem] = problems(documents(slot))
    assert problem.path == "slots.it.variants[1]"
    assert problem.message == "expected somebody whom the variants before leave over, found all taken by 'v0'"


@pytest.mark.parametrize("slot", [*REACHABLE.values(), *BINDABLE.values()], ids=[*REACHABLE, *BINDABLE])
def test_what_is_right_is_taken(slot: dict[str, Any]) -> None:
    parse(documents(slot)).program()


def test_every_mistake_is_named_at_once() -> None:
    slot = {"schema": SCHEMA, "default": {}, **variants({"segment": "c"}, {"content": {"headline": 5}, "segment": "a"})}
    assert [problem.path for problem in problems(documents(slot))] == [
        "slots.it.default.headline",
        "slots.it.variants[0].segment",
        "slots.it.variants[1].content.headline",
    ]


def test_what_slots_need_to_know_is_in_the_program_and_has_no_name() -> None:
    slot = {
        "purposes": ["ads"],
        **variants({"when": {"did": "B"}, "cap": {"times": 2, "within": "7d"}}, {"segment": "a"}),
    }
    program = parse(documents(slot)).program()
    assert {name for name in program.segments if not is_named(name)} == {
        "/it/consented",
        "/it/v0/when",
        "/it/v0/capped",
    }
    assert {*program.named().segments} == {"a", "b"}
