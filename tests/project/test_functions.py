"""A function is a folder with a transport of straight lines, and the topology names exactly these folders."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.project.files import ROOT

TOPOLOGY = ROOT / "infra" / "topology.yaml"
FOLDERS = sorted(path.parent for path in (ROOT / "functions").glob("*/__init__.py"))
MAINS = [folder / "main.py" for folder in FOLDERS if (folder / "main.py").exists()]
BRANCHES = (ast.If, ast.IfExp, ast.Match, ast.For, ast.While, ast.Try)


def branches(source: str) -> list[int]:
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, BRANCHES)]


@pytest.mark.parametrize("main", MAINS, ids=lambda main: main.parent.name)
def test_a_main_decides_nothing(main: Path) -> None:
    assert branches(main.read_text(encoding="utf-8")) == []


def test_a_decision_would_be_found() -> None:
    assert branches("def ingest(request):\n    return ok if request else bad") == [2]


@pytest.mark.skipif(not TOPOLOGY.exists(), reason="infra/topology.yaml is not written yet")
def test_the_topology_and_the_folders_name_the_same_functions() -> None:
    declared = YAML(typ="safe").load(TOPOLOGY)["functions"]
    assert set(declared) == {folder.name for folder in FOLDERS}


@pytest.mark.skipif(not TOPOLOGY.exists(), reason="infra/topology.yaml is not written yet")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_function_has_its_transport_and_its_use_case(folder: Path) -> None:
    assert (folder / "main.py").is_file()
    assert (folder / f"{folder.name}.py").is_file()
