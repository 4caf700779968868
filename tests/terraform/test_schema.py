"""Every resource, argument, block and attribute is one that Google's provider has."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.terraform.configuration import Body, Resource, blocks, parsed, resources, texts
from tests.terraform.provider import Argument, Kind, Schema, schema

pytestmark = pytest.mark.slow  # it needs a download, as `make test-all` makes it

META = {"count", "depends_on", "for_each", "lifecycle", "provider"}
"""What Terraform itself adds to every resource."""

TYPES: Mapping[Kind, type | tuple[type, ...]] = {
    "map": dict,
    "list": list,
    "flag": bool,
    "number": (int, float),
    "text": str,
}

REFERENCE = re.compile(r"\b(data\.)?(google_\w+)\.(\w+)(?:\[[^\]]*(?:\[[^\]]*\][^\]]*)*\])?\.(\w+)")


def problems(resource: Resource, known: Schema) -> Iterator[str]:
    """What the provider would not understand of a resource."""
    data = resource.kind == "data"
    arguments = known.arguments(resource.type, data)
    if arguments is None:
        yield f"{resource.address}: the provider has no {resource.type}"
    else:
        body = {name: value for name, value in resource.body.items() if name not in META}
        yield from _problems(resource.address, body, arguments, known, resource)


def _problems(
    path: str, body: Body, arguments: Mapping[str, Argument], known: Schema, resource: Resource
) -> Iterator[str]:
    dynamic = {name for block in body.get("dynamic", ()) for name in block if not name.startswith("__")}
    given = {name for name in body if not name.startswith("__")} - {"dynamic"} | dynamic
    yield from (f"{path}: unknown argument {name}" for name in sorted(given - set(arguments)))
    required = {name for name, argument in arguments.items() if argument.required}
    yield from (f"{path}: missing argument {name}" for name in sorted(required - given))
    for name in sorted(given & set(arguments)):
        argument = arguments[name]
        if argument.kind != "block":
            if not _fits(body[name], argument.kind):
                yield f"{path}.{name}: expected a {argument.kind}, found {body[name]!r}"
            continue
        found = blocks(body, name)
        if not found or (len(found) > 1 and not argument.many):
            yield f"{path}.{name}: expected a block, found {len(found)}"
        inner = known.of_block(resource.type, argument.block, resource.kind == "data")
        for block in found:
            yield from _problems(f"{path}.{name}", block, inner, known, resource)


def _fits(value: Any, kind: Kind) -> bool:
    if isinstance(value, str) and value.startswith("${"):
        return True
    expected = TYPES[kind]
    return isinstance(value, expected) and (kind != "number" or not isinstance(value, bool))


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource.address)
def test_the_provider_understands_it(resource: Resource) -> None:
    assert list(problems(resource, schema())) == []


def test_what_is_asked_of_a_resource_is_among_its_attributes() -> None:
    declared = {(found.kind == "data", found.type, found.name) for found in resources()}
    asked = {found for text in texts().values() for found in REFERENCE.findall(text)}
    assert len(asked) > 10
    wrong = [
        ".".join(reference)
        for data, *reference in asked
        if (bool(data), *reference[:2]) not in declared
        or reference[2] not in schema().attributes(reference[0], bool(data)) | {"id"}
    ]
    assert wrong == []


def test_every_variable_and_every_local_that_is_named_is_there_and_used() -> None:
    declared = {
        "var": {name for block in parsed()["variables.tf"]["variable"] for name in block},
        "local": {name for content in parsed().values() for block in content.get("locals", ()) for name in block},
    }
    for kind, names in declared.items():
        used = {name for text in texts().values() for name in re.findall(rf"\b{kind}\.(\w+)", text)}
        assert used == {name for name in names if not name.startswith("__")}


def test_what_is_wrong_would_be_found() -> None:
    body = {"topic": 3, "push_config": [{"no_wrapper": [{"write_metadata": "yes"}]}], "colour": "red"}
    assert list(problems(Resource("resource", "google_pubsub_subscription", "wrong", body), schema())) == [
        "google_pubsub_subscription.wrong: unknown argument colour",
        "google_pubsub_subscription.wrong: missing argument name",
        "google_pubsub_subscription.wrong.push_config: missing argument push_endpoint",
        "google_pubsub_subscription.wrong.push_config.no_wrapper.write_metadata: expected a flag, found 'yes'",
        "google_pubsub_subscription.wrong.topic: expected a text, found 3",
    ]
    assert list(problems(Resource("resource", "google_pubsub_letter", "wrong", {}), schema())) == [
        "google_pubsub_letter.wrong: the provider has no google_pubsub_letter"
    ]
