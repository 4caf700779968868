"""The JSON Schema for editors takes whatever the rules take, refuses what it can see to be wrong, and explains it."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from pydantic import BaseModel

from emulator.catalog_schema import OPERANDS, for_editors
from emulator.yaml_file import read
from segue.domain.errors import Invalid
from segue.domain.rules.definition import parse, parse_as
from segue.domain.rules.kinds.cluster import ClusterModel
from segue.domain.rules.kinds.score import Score
from segue.domain.rules.operators import OPERATORS
from segue.domain.rules.traits import Computed
from tests.definitions import GOOD, GOOD_COMPUTED, GOOD_MODELS, GOOD_SCORES, MISTAKES
from tests.domain.drawn import Example, examples
from tests.strategies import Catalog, definitions

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "infra" / "catalog"
SCHEMA = for_editors()
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLES = list(examples((CATALOGUE / "LANGUAGE.md").read_text(encoding="utf-8")))

UNSEEN = {
    "when.ago": "one duration against another",
    "when.within": "how long the longest duration is",
    "when.where.x.between": "one end against the other",
    "when.where.x.matches": "what RE2 can read",
    "when.at_least.count": "a number against the length of a list",
    "when.absent.for": "one duration against another",
    "when.earlier": "one duration against another",
    "when.in": "one number against another",
    "when.any[1].list": "what else is in the catalogue",
    "when.not.segment": "what else is in the catalogue",
    "when.cluster.model": "what else is in the catalogue",
    "when.not.cluster.is": "what else is in the catalogue",
    "when.score": "what else is in the catalogue",
    "when.all[0].segment": "what else is in the catalogue",
}
"""Where mistakes are made that a JSON Schema has no words for, and why."""


SECTIONS = {"when": GOOD, "scores": GOOD_SCORES, "computed": GOOD_COMPUTED, "models": GOOD_MODELS}
EACH = [
    pytest.param(section, one, id=f"{section} {name}")
    for section, definitions in SECTIONS.items()
    for name, one in definitions.items()
]


MODELS: Mapping[str, type[BaseModel]] = {"scores": Score, "computed": Computed, "models": ClusterModel}


def accepts(definition: Any, section: str = "when") -> bool:
    """Whether a file in which `it` is such a definition is valid."""
    if section == "when":
        return bool(VALIDATOR.is_valid({"segments": {"it": {"name": "It", "when": definition}}}))
    return bool(VALIDATOR.is_valid({section: {"it": definition}}))


def taken(definition: Any, section: str) -> bool:
    """Whether the rules take such a definition, by itself."""
    try:
        if section == "when":
            parse({"name": "It", "when": definition})
        else:
            parse_as(MODELS[section], definition)
    except Invalid:
        return False
    return True


def test_it_is_a_schema_of_the_dialect_that_it_names() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.yaml")), ids=lambda path: path.name)
def test_it_takes_each_file_of_the_first_catalogue(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(read(path).value)) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_it_takes_each_example_of_the_page_on_the_language(example: Example, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(example.file(), encoding="utf-8")
    assert list(VALIDATOR.iter_errors(read(tmp_path / "example.yaml").value)) == []


@pytest.mark.parametrize(("section", "definition"), EACH)
def test_it_takes_each_kind_with_all_its_fields(section: str, definition: Any) -> None:
    assert accepts(definition, section)


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "cases").glob("*.json")), ids=lambda path: path.name)
def test_it_takes_whatever_the_tables_ask_for(path: Path) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    catalogues = [{"segments": case["segments"]} for case in table.get("cases", ()) if "segments" in case]
    tests = [row["test"] for group in table.get("groups", {}).values() for row in group]
    catalogues += [{"segments": {"it": {"name": "It", "when": {"did": "A", "where": {"x": test}}}}} for test in tests]
    assert [catalogue for catalogue in catalogues if not VALIDATOR.is_valid(catalogue)] == []


@settings(max_examples=settings().max_examples // 10)
@given(definitions())
def test_it_takes_whatever_definitions_the_laws_are_tried_on(catalog: Catalog) -> None:
    assert list(VALIDATOR.iter_errors({"segments": catalog})) == []


@pytest.mark.parametrize(
    ("condition", "path"), [row[:2] for row in MISTAKES], ids=[repr(row[0])[:70] for row in MISTAKES]
)
def test_it_refuses_the_mistakes_that_it_can_see(condition: dict[str, Any], path: str) -> None:
    assert not accepts(condition) or path in UNSEEN


@pytest.mark.parametrize(("section", "definition"), EACH)
def test_it_is_never_stricter_than_the_rules(section: str, definition: Any) -> None:
    """With any one part replaced by something else, whatever the rules still take the schema takes."""
    refused = 0
    for wrong in ([], {}, "", "10m", -1, 2, 0.5, True, ["x"], {"ge": 2}):
        for changed in with_one_part_replaced(definition, wrong):
            accepted = accepts(changed, section)
            assert accepted or not taken(changed, section), changed
            refused += not accepted
    assert refused


def with_one_part_replaced(value: Any, by: Any) -> list[Any]:
    if not isinstance(value, dict | list):
        return []
    names: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = []
    for name in names:
        for inner in [by, *with_one_part_replaced(value[name], by)]:
            changed = deepcopy(value)
            changed[name] = inner
            found.append(changed)
    return found


def test_every_operator_is_explained() -> None:
    assert OPERANDS.keys() == {*OPERATORS, "missing"}


def test_every_condition_and_every_field_of_one_is_explained() -> None:
    kinds = [entry["$ref"].rpartition("/")[2] for entry in SCHEMA["$defs"]["Condition"]["oneOf"]]
    unexplained = [name for name in kinds if "description" not in SCHEMA["$defs"][name]]
    for name, part in SCHEMA["$defs"].items():
        fields = part.get("properties", {})
        only_its_own = name in kinds and len(fields) == 1
        unexplained += [f"{name}.{each}" for each in fields if "description" not in fields[each] and not only_its_own]
    assert unexplained == []


def test_every_part_that_is_referred_to_is_there() -> None:
    assert "x-name" not in json.dumps(SCHEMA)
    assert {f"#/$defs/{name}" for name in SCHEMA["$defs"]} >= set(refs(SCHEMA))


def refs(part: Any) -> list[str]:
    if isinstance(part, list):
        return [ref for one in part for ref in refs(one)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [ref for value in part.values() for ref in refs(value)]
