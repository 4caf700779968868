"""The whole way: from a visitor's event to a segment that a lookup shows."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measurement import Measurement
from tests.bench.server import CLIENT_CORE, ROOT, pinned, platform, serving

SUSTAINED_S = 60.0
SHORT_S = 10.0
SHARE_OF_SUSTAINED = 0.3
PROBES = 1_000
GOOGLE_RATE, GOOGLE_PROBES = 2.0, 60


def visits(*arguments: object) -> dict[str, Any]:
    """What `tests.bench.visits` prints, run on the clients' core."""
    command = [sys.executable, "-m", "tests.bench.visits", *map(str, arguments)]
    done = subprocess.run(pinned(CLIENT_CORE, command), cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _embedded() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, serving(*platform(Path(folder))) as (host, port):
        yield f"http://{host}:{port}"


def through() -> Sequence[Measurement]:
    """Events accepted and visible."""
    with _embedded() as url:
        found = visits("through", url, SUSTAINED_S)
    note = f"visits of the demo shop, one request each: {found['requests_a_second']:,.0f} requests/s"
    return [
        Measurement(
            bench="pipeline-embedded", value=found["events_a_second"], unit="events/s", goal="report", note=note
        )
    ]


def to_segment() -> Sequence[Measurement]:
    """The latency at a share of what the same platform sustained a moment before."""
    with _embedded() as url:
        rate = SHARE_OF_SUSTAINED * visits("through", url, SHORT_S)["requests_a_second"]
        found = visits("probe", url, rate, PROBES)
    note = f"POST until a decision includes it, at {rate:,.0f} events/s"
    return [
        Measurement(bench=f"event-to-segment-embedded-{share}", value=found[share], unit="ms", goal=goal, note=note)
        for share, goal in (("p50", "<= 5"), ("p99", "<= 20"))
    ]


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    "pipeline-embedded": through,
    "event-to-segment-embedded": to_segment,
}
