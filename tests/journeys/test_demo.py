"""The demo, as `make demo` runs it without a terminal, ends with status 0 and shows what it promises."""

import re
from collections.abc import Mapping

import msgspec
import pytest

from emulator.catalog import load
from emulator.server import listening
from tests.journeys.running import ROOT, segue
from tests.shared_data import REES46, needs

SEGMENTS = msgspec.json.decode(load(ROOT / "infra" / "catalog"))["segments"]


def members(output: str) -> Mapping[str, int]:
    """The table of segments: the members of each by its name."""
    rows = re.findall(r"^│ (\w[\w -]*?) +│ ([\d,]+) +│", output, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_shop_visits_lead_to_segments_decisions_and_a_latency() -> None:
    done = segue("demo", "--port", "0")
    assert done.returncode == 0, done.stderr
    counts = members(done.stdout)
    assert counts.keys() == {segment["name"] for segment in SEGMENTS.values()}
    assert min(counts.values()) > 0
    shown = done.stdout.split("Decisions for homepage-hero")[1]
    assert len(re.findall(r"anonymous_id:visitor-\S+", shown)) == 3
    assert "targeting_match" in shown
    latency = re.search(r"From event to segment: p50 ([\d.]+) ms, p99 ([\d.]+) ms", done.stdout)
    assert latency
    assert 0 < float(latency[1]) <= float(latency[2])


@needs(REES46)
@pytest.mark.slow
def test_a_real_log_leads_to_segments_decisions_and_a_latency() -> None:
    done = segue("demo", "--port", "0", "--data", str(REES46))
    assert done.returncode == 0, done.stderr
    counts = members(done.stdout)
    assert (counts["Completed buyer"], counts["New visitor"]) == (193, 4_504)
    assert len(re.findall(r"^│ user_id:\d+ ", done.stdout, re.MULTILINE)) == 3
    assert re.search(r"From event to segment: p50 [\d.]+ ms, p99 [\d.]+ ms", done.stdout)


def test_a_port_that_is_taken_ends_the_demo_with_one_clear_line() -> None:
    with listening(0) as taken:
        port = taken.getsockname()[1]
        done = segue("demo", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1" in done.stderr
