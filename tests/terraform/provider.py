"""What Google's provider knows: the arguments and attributes of each resource, read from its typed bindings in Python.

The bindings are a package of 49 MB, with a runtime in Node that nothing here needs: `make cloud` downloads it, by its
hash, and the signatures are read where they are.
"""

import ast
import os
import re
import zipfile
from collections.abc import Mapping, Set
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import pytest

from tests.project.files import ROOT

PACKAGE = "cdktf_cdktf_provider_google"
DOWNLOADED = ROOT / "build" / "cloud"

Kind: TypeAlias = Literal["block", "map", "list", "flag", "number", "text"]

_KINDS: Mapping[str, Kind] = {
    "typing.Mapping[": "map",
    "typing.Sequence[": "list",
    "builtins.bool": "flag",
    "jsii.Number": "number",
    "builtins.str": "text",
}
"""By the first that the annotation has in it."""

_OF_ITS_TOOLKIT = {"connection", "count", "depends_on", "for_each", "id", "lifecycle", "provider", "provisioners"}
"""Arguments that the bindings add to every resource."""


class Argument(NamedTuple):
    """`block` is the class of a nested block, and `many` whether there may be several of it."""

    required: bool
    kind: Kind
    block: str = ""
    many: bool = False


class Schema:
    """The provider at one version."""

    def __init__(self, bindings: zipfile.ZipFile) -> None:
        self._bindings = bindings

    def arguments(self, type_: str, data: bool = False) -> Mapping[str, Argument] | None:
        """The arguments of a resource or data source; None if the provider has none of the type."""
        folder = _folder(type_, data)
        if self._source(folder) is None:
            return None
        return self.of_block(type_, _camel(folder), data, _OF_ITS_TOOLKIT)

    def of_block(
        self, type_: str, block: str, data: bool = False, without: Set[str] = frozenset()
    ) -> Mapping[str, Argument]:
        """The arguments of a nested block of a type."""
        source = self._source(_folder(type_, data)) or ""
        found = re.search(rf"^class {block}\b.*?def __init__\((.*?)\) -> None:", source, re.MULTILINE | re.DOTALL)
        assert found, block
        signature = ast.parse(f"def arguments({found[1]}): ...").body[0]
        assert isinstance(signature, ast.FunctionDef)
        return {
            each.arg: _argument(each.annotation, default is None)
            for each, default in zip(signature.args.kwonlyargs, signature.args.kw_defaults, strict=True)
            if each.annotation and each.arg not in without
        }

    def attributes(self, type_: str, data: bool = False) -> set[str]:
        """What can be asked of a resource."""
        folder = _folder(type_, data)
        source = self._source(folder) or ""
        resource = re.search(rf"^class {_camel(folder)}\(.*?(?=^class |\Z)", source, re.MULTILINE | re.DOTALL)
        assert resource, type_
        return set(re.findall(r"^    def (\w+)\(self\) ->", resource[0], re.MULTILINE))

    @cache  # noqa: B019  # there is one schema
    def _source(self, folder: str) -> str | None:
        try:
            return self._bindings.read(f"{PACKAGE}/{folder}/__init__.py").decode()
        except KeyError:
            return None


@cache
def schema() -> Schema:
    """The schema; without the bindings the test is skipped, but not in CI."""
    found = sorted(DOWNLOADED.glob(f"{PACKAGE}-*.whl"))
    if not found:
        assert not os.environ.get("CI"), "the provider's bindings are missing: make cloud"
        pytest.skip("needs the bindings of Google's provider: make cloud")
    return Schema(zipfile.ZipFile(found[-1]))


def _folder(type_: str, data: bool) -> str:
    return f"data_{type_}" if data else type_.removeprefix("google_")


def _camel(folder: str) -> str:
    return "".join(part.capitalize() for part in folder.split("_"))


def _argument(annotation: ast.expr, required: bool) -> Argument:
    written = ast.unparse(annotation)
    nested = [node.value for node in ast.walk(annotation) if isinstance(node, ast.Constant)]
    names = [name for name in nested if isinstance(name, str)]
    if names:
        return Argument(required, "block", names[0], "typing.Sequence[" in written)
    return Argument(required, next(kind for text, kind in _KINDS.items() if text in written))
