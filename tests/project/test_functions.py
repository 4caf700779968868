"""A function is a folder with a transport of straight lines, and the topology names exactly these folders."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.project.files import ROOT

TOPOLOGY = ROOT / "infra" / "topology.yaml"
FOLDERS = sorted({path.parent for path in (ROOT / "functions").glob("*/*.py")})
BRANCHES = (ast.If, ast.IfExp, ast.Match, ast.For, ast.While, ast.Try)


def branches(source: str) -> list[int]:
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, BRANCHES)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_transport_decides_nothing(folder: Path) -> None:
    assert branches((folder / "main.py").read_text(encoding="utf-8")) == []


def test_a_decision_would_be_found() -> None:
    assert branches("def ingest(request):\n    return ok if request else bad") == [2]


def test_the_topology_and_the_folders_name_the_same_functions() -> None:
    declared = YAML(typ="safe").load(TOPOLOGY)["functions"]
    assert {name: function["source"] for name, function in declared.items()} == {
        folder.name: f"functions/{folder.name}/main.py" for folder in FOLDERS
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_function_has_its_transport_and_its_use_case(folder: Path) -> None:
    assert {"main.py", f"{folder.name}.py"} <= {path.name for path in folder.iterdir()}
