"""`infra/topology.yaml` on this machine: which functions there are, and what reaches each of them."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from emulator.yaml_file import read

ROOT = Path(__file__).resolve().parents[1]
TOPOLOGY = ROOT / "infra" / "topology.yaml"


@cache
def topology() -> Mapping[str, Any]:
    """The file's content. Raises `Broken`."""
    content: Mapping[str, Any] = read(TOPOLOGY).value
    return content


@cache
def audiences() -> Mapping[str, str]:
    """What a token says it is for, of each function that is pushed to."""
    audience: str = topology()["push"]["audience"]
    functions = topology()["functions"].items()
    return {name: audience.format(function=name) for name, each in functions if each["callers"] == "subscriptions"}


def function_of(path: str) -> str | None:
    """The function that the load balancer sends a path to; `/*` at the end of a function's path is anything further."""
    alone, beginnings = _paths()
    return alone.get(path) or next((function for begins, function in beginnings if path.startswith(begins)), None)


@cache
def _paths() -> tuple[Mapping[str, str], Sequence[tuple[str, str]]]:
    """The functions by their paths, and by what paths begin with."""
    found = [(path, name) for name, function in topology()["functions"].items() for path in function.get("paths", ())]
    alone = {path: name for path, name in found if not path.endswith("/*")}
    return alone, [(path[:-1], name) for path, name in found if path.endswith("/*")]
