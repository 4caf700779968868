"""The files of `infra/terraform`, as blocks."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import hcl2
from hcl2.utils import SerializationOptions

from tests.project.files import ROOT

FOLDER = ROOT / "infra" / "terraform"

Body: TypeAlias = Mapping[str, Any]

_PLAIN = SerializationOptions(strip_string_quotes=True)


class Resource(NamedTuple):
    """A `resource` block, or a `data` block of the same provider."""

    kind: str
    type: str
    name: str
    body: Body

    @property
    def address(self) -> str:
        return f"{self.type}.{self.name}"


@cache
def texts() -> Mapping[str, str]:
    """Each file's text, by its name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.tf"))}


@cache
def parsed() -> Mapping[str, Body]:
    """Each file's blocks, by its name; an expression is a text in `${…}`."""
    return {name: hcl2.loads(text, serialization_options=_PLAIN) for name, text in texts().items()}


@cache
def resources() -> tuple[Resource, ...]:
    """Every resource and every data source."""
    return tuple(_resources())


def of_type(type_: str) -> list[Resource]:
    """The resources of one type."""
    return [found for found in resources() if found.type == type_]


def blocks(body: Body, name: str) -> list[Body]:
    """A body's blocks of one name, the contents of dynamic ones included."""
    plain = [block for block in body.get(name, ()) if isinstance(block, dict)]
    dynamic = [block[name] for block in body.get("dynamic", ()) if name in block]
    return [*plain, *(content for block in dynamic for content in block["content"])]


def _resources() -> Iterator[Resource]:
    for content in parsed().values():
        for kind in ("resource", "data"):
            for block in content.get(kind, ()):
                for type_, named in _labelled(block):
                    for name, body in _labelled(named):
                        yield Resource(kind, type_, name, body)


def _labelled(block: Body) -> list[tuple[str, Any]]:
    return [(label, body) for label, body in block.items() if not label.startswith("__")]
