"""`python -m tests.fuzz`: the laws with ever new examples, until the time is over.

MINUTES says how long (60), WORKERS how many processes (2). Each round is a run of pytest under a seed of its own, which
is printed; the first that fails is shown whole, and FIRST with its seed finds the failure again. Last comes how many
examples were tried.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

LAWS = ("tests/domain", "tests/functions/test_ingest_fuzz.py")
PASSING = re.compile(r"- (\d+) passing")


class Found(Exception):
    """A round that failed: its number and what it printed."""


def examples_of(seed: int) -> int:
    """The examples that one round tried. Raises `Found` if it failed."""
    plain = ["--quiet", "-n0", "-p", "no:cacheprovider", "-x", "-m", "hypothesis and not slow and not google"]
    seeded = ["--hypothesis-show-statistics", f"--hypothesis-seed={seed}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plain, *seeded, *LAWS],
        env={**os.environ, "HYPOTHESIS_PROFILE": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise Found(f"round {seed} failed:\n{run.stdout}\n{run.stderr}")
    return sum(map(int, PASSING.findall(run.stdout)))


def rounds(seeds: Iterator[int], until: float) -> tuple[int, int]:
    """How many rounds there was time for, and the examples in them."""
    number = total = 0
    while time.monotonic() < until:
        seed = next(seeds)
        total += examples_of(seed)
        number += 1
        print(f"round {seed}: {total:,} examples by this worker", flush=True)
    return number, total


def main(minutes: float, workers: int) -> int:
    """The status: 1 once a round has failed."""
    first = int(os.environ.get("FIRST", str(int(time.time()))))
    seeds, until = count(first), time.monotonic() + 60 * minutes
    print(f"Fuzzing for {minutes:g} minutes on {workers} workers; the first seed is {first}", flush=True)
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(rounds, seeds, until) for _ in range(workers)]
        try:
            done = [one.result() for one in running]
        except Found as found:
            print(found, file=sys.stderr)
            return 1
    print(f"{sum(number for number, _ in done):,} rounds, {sum(total for _, total in done):,} examples, none failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("MINUTES", "60")), int(os.environ.get("WORKERS", "2"))))
