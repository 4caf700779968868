"""Constructs that the product's code does without, wherever they would stand."""

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.project.files import code_trees

Finder = Callable[[ast.AST], bool]


def calls(*names: str) -> Finder:
    """Finds a call of one of these, written `name(…)` or with its module, `module.name(…)`."""

    def matches(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) in names

    return matches


def imports(*modules: str) -> Finder:
    """Finds an import of one of these modules or of anything inside them."""

    def matches(node: ast.AST) -> bool:
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                found = [module]
            case _:
                found = []
        return any(name == module or name.startswith(f"{module}.") for name in found for module in modules)

    return matches


def mentions(*names: str) -> Finder:
    """Finds a name, an attribute or an imported name that is one of these."""

    def matches(node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                return name in names
        return False

    return matches


EVALUATION = calls("eval", "exec", "__import__")
PICKLING = imports("pickle", "marshal", "shelve")
PYYAML = imports("yaml")
TRANSACTIONS = mentions("transactional", "async_transactional", "transaction")
CLOCK = calls(
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today"
)


def places(finder: Finder, inside: str = "") -> Iterator[str]:
    for path, tree in code_trees():
        if path.startswith(inside):
            yield from (f"{path}:{getattr(node, 'lineno', 0)}" for node in ast.walk(tree) if finder(node))


def found_in(finder: Finder, source: str) -> bool:
    return any(finder(node) for node in ast.walk(ast.parse(source)))


def test_no_text_is_evaluated_as_code_but_what_the_engine_writes_for_its_definitions() -> None:
    """Of a definition only names and numbers reach that code, quoted (infra/decisions/0013)."""
    found = {place.rpartition(":")[0] for place in places(EVALUATION)}
    assert found == {"shared/segue/domain/rules/generated.py"}


def test_nothing_unpickles() -> None:
    assert list(places(PICKLING)) == []


def test_yaml_is_read_by_the_one_library_that_reads_yaml_1_2() -> None:
    assert list(places(PYYAML)) == []


def test_firestore_transactions_are_not_used() -> None:
    """They leave locks behind a killed process; conditional writes do not. Google's client is imported there alone."""
    assert list(places(TRANSACTIONS, inside="shared/segue/adapters/google/")) == []


def test_the_domain_asks_no_clock() -> None:
    assert list(places(CLOCK, inside="shared/segue/domain/")) == []


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (EVALUATION, "eval('1')"),
        (EVALUATION, "exec(text)"),
        (PICKLING, "from pickle import loads"),
        (PICKLING, "import os, pickle"),
        (PYYAML, "import yaml"),
        (TRANSACTIONS, "from google.cloud.firestore import async_transactional"),
        (TRANSACTIONS, "@firestore.transactional\ndef fold(transaction): ..."),
        (TRANSACTIONS, "client.transaction()"),
        (CLOCK, "from datetime import datetime\ndatetime.now(UTC)"),
    ],
)
def test_each_construct_would_be_found(finder: Finder, source: str) -> None:
    assert found_in(finder, source)


def test_what_only_looks_like_one_of_them_is_left_alone() -> None:
    harmless = "executor.exec_count\nmodel.evaluate(x)\nfrom ruamel.yaml import YAML\nYAML(typ='safe')"
    assert not any(found_in(finder, harmless) for finder in (EVALUATION, PICKLING, PYYAML, TRANSACTIONS, CLOCK))
