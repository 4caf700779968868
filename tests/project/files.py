"""The project's own files, as its tests about itself read them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("emulator/", "functions/", "shared/")


@cache
def tracked_texts() -> dict[str, str]:
    """Path from the root → content, of every tracked file that is text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    texts = {}
    for path in filter(None, listed.split("\0")):
        try:
            texts[path] = (ROOT / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # binary, or deleted and not yet committed
            continue
    return texts


def code_trees() -> Iterator[tuple[str, ast.Module]]:
    """Path and syntax tree of every tracked Python file of the product, tests left out."""
    for path, text in tracked_texts().items():
        if path.startswith(CODE) and path.endswith(".py"):
            yield path, ast.parse(text, path)
