"""What a visitor has a right to, as a person asks for it: all that is held, and that it is forgotten."""

import asyncio
import json
from pathlib import Path

import pytest

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.journeys.running import running, segue

pytestmark = pytest.mark.slow

LOG = """
{"type":"identify","userId":"1","traits":{"plan":"canary-plan"},"timestamp":"2024-05-01T12:00:00Z"}
{"type":"track","event":"Order Completed","userId":"1","timestamp":"2024-05-01T12:10:00Z"}
"""
VISITOR = ProfileRef("user_id", "1")


async def test_a_visitor_is_exported_and_erased_by_commands(tmp_path: Path) -> None:
    log, out = tmp_path / "log.ndjson", tmp_path / "visitor.json"
    log.write_text(LOG.lstrip())
    with running(tmp_path / "data") as url:
        assert segue("replay", str(log), "--url", url).returncode == 0
        exported = segue("export", str(VISITOR), "--out", str(out), "--url", url)
        wrong_key = segue("erase", str(VISITOR), "--yes", "--url", url, "--key", "demo-write-key")
        erased = segue("erase", str(VISITOR), "--yes", "--url", url)
        async with Client.connected(url) as client:
            for _ in range(100):
                known = (await client.segments(VISITOR))["known"]
                if not known:
                    break
                await asyncio.sleep(0.1)
        left = segue("export", str(VISITOR), "--url", url)

    assert exported.returncode == 0, exported.stderr
    assert "canary-plan" in out.read_text()
    assert "Order Completed" in out.read_text()
    assert wrong_key.returncode == 1
    assert "secret key" in wrong_key.stderr
    assert erased.stdout.startswith("user_id:1 receipt "), erased.stderr
    assert not known
    assert "canary-plan" not in left.stdout
    assert json.loads(left.stdout)
