"""Looks for secrets in every file that git tracks here, by detect-secrets; `not_secret.yaml` says what is none.

    python -m infra.release.leaks

In tests a sentence is no secret either: what machines make has no spaces.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from emulator.yaml_file import read
from infra.release.locks import ROOT

EXPLAINED = ROOT / "infra" / "release" / "not_secret.yaml"


class Found(NamedTuple):
    """Something that looks like a secret."""

    path: str
    line: int
    kind: str
    value: str


def look(paths: Iterable[str]) -> Sequence[Found]:
    """What looks like a secret in files. Asks nobody whether it is one."""
    with default_settings():
        return [
            Found(path, each.line_number, each.type, each.secret_value or "")
            for path in paths
            for each in scan_file(path)
        ]


def _made_up(found: Found) -> bool:
    return found.path.startswith("tests/") and found.kind == "Secret Keyword" and " " in found.value


def _tracked() -> Sequence[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return [path for path in listed.split("\0") if path and Path(path).is_file()]


def main() -> None:
    """Look through everything; the exit status is 1 where something is not explained, or explained in vain."""
    paths = _tracked()
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        found = list(chain.from_iterable(pool.map(look, [paths[first::workers] for first in range(workers)])))
    explained = set(chain.from_iterable(read(EXPLAINED).value.values()))
    unexplained = sorted(each for each in found if each.value not in explained and not _made_up(each))
    idle = sorted(explained - {each.value for each in found if Path(each.path).resolve() != EXPLAINED})
    print(f"{len(paths)} files: {len(found)} look like secrets, {len(unexplained)} of them unexplained")
    wrong = [f"{each.path}:{each.line}: {each.kind}" for each in unexplained]
    wrong += [f"{EXPLAINED.name}: nothing is like {each!r} any more" for each in idle]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
