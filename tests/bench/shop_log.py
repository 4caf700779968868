"""The evaluator's log: a deterministic shop clickstream, made by the reference generator or given by `EVENTS`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.shared_data import SHARED

EVENTS, SEED = 1_000_000, 7


def reference(name: str) -> Path:
    """A script of the reference work that the engine is measured beside. Raises FileNotFoundError if it is absent."""
    path = SHARED / "bench" / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not there: the evaluator's benchmarks need ../shared/bench")
    return path


def log() -> Path:
    """The file named by EVENTS, or the log of seed 7, kept in the temporary folder from one run to the next."""
    given = os.environ.get("EVENTS")
    if given:
        return Path(given)
    made = Path(tempfile.gettempdir()) / f"segue-bench-{EVENTS}-{SEED}.ndjson"
    if not made.exists():
        part = made.with_suffix(".part")
        arguments = ["--events", str(EVENTS), "--seed", str(SEED), "--out", str(part)]
        subprocess.run([sys.executable, str(reference("gen.py")), *arguments], check=True, stdout=subprocess.DEVNULL)
        part.rename(made)
    return made
