"""`infra/topology.yaml` on this machine: which functions there are, and what reaches each of them."""

from collections.abc import Iterator, Mapping
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


def function_of(path: str) -> str | None:
    """The function that the load balancer sends a path to; `/*` at the end of a function's path is anything further."""
    return next((function for function, pattern in _patterns() if _matches(path, pattern)), None)


def _patterns() -> Iterator[tuple[str, str]]:
    for name, function in topology()["functions"].items():
        for pattern in function.get("paths", ()):
            yield name, pattern


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("/*") else path == pattern
