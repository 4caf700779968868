"""`make bench`: each measurement one line of JSON, and a table for people last. `ONLY=name` runs one."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from tests.bench import (
    cold_start,
    evaluator,
    google,
    http,
    lookup,
    open_page,
    pipeline,
    preview,
    store_ops,
    stream,
    traced,
    tracker,
)
from tests.bench.measurement import Measurement, show

BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    **evaluator.BENCHES,
    **preview.BENCHES,
    **http.BENCHES,
    **lookup.BENCHES,
    **pipeline.BENCHES,
    **google.BENCHES,
    **store_ops.BENCHES,
    **traced.BENCHES,
    **tracker.BENCHES,
    **stream.BENCHES,
    **open_page.BENCHES,
    **cold_start.BENCHES,
}


def main(only: str) -> int:
    """The status: 2 for a name that no benchmark has."""
    if only and only not in BENCHES:
        print(f"ONLY={only}: expected one of {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    measured: list[Measurement] = []
    for name in [only] if only else BENCHES:
        for measurement in BENCHES[name]():
            print(measurement.line(), flush=True)
            measured.append(measurement)
    show(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ.get("ONLY", "")))
