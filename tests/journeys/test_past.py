"""The past as a person asks for it: previews beside a running platform, earlier members, profiles folded anew."""

import json
from pathlib import Path

import pytest

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.journeys.running import running, segue

LOG = """
{"type":"track","event":"Product Viewed","userId":"1","timestamp":"2024-05-01T12:00:00Z"}
{"type":"track","event":"Order Completed","userId":"1","timestamp":"2024-05-01T12:10:00Z"}
{"type":"track","event":"Product Viewed","userId":"2","timestamp":"2024-05-03T12:00:00Z"}
"""
TEN_PAST = 1_714_565_400_000
"""2024-05-01T12:10:00Z."""

NEW = "segments:\n  viewers:\n    name: Viewers\n    when: {did: Product Viewed}\n"


@pytest.mark.slow
async def test_a_platform_is_previewed_asked_about_its_past_and_rebuilt(tmp_path: Path) -> None:
    log, new, data = tmp_path / "log.ndjson", tmp_path / "new.yaml", str(tmp_path / "data")
    log.write_text(LOG.lstrip())
    new.write_text(NEW)
    with running(tmp_path / "data") as url:
        assert segue("replay", str(log), "--url", url).returncode == 0
        previewed = segue("preview", str(new), "--data", data, "--at", "2024-05-03T13:00:00Z", "--days", "3")
        first_day = segue("members", "completed-buyer", "--data", data, "--at", "2024-05-01T12:30:00Z")
        at_start = segue("members", "completed-buyer", "--data", data, "--at", "2024-05-01T12:05:00Z")
        rebuilt = segue("rebuild", "user_id:1", "--url", url)
        unknown = segue("rebuild", "user_id:3", "--url", url)
        at_work = segue("rebuild", "--all", "--data", data)
        async with Client.connected(url) as client:
            await client.settle()
            before = await client.segments(ProfileRef("user_id", "1"), TEN_PAST - 1)
            after = await client.segments(ProfileRef("user_id", "1"), TEN_PAST)
    stopped = segue("rebuild", "--all", "--data", data)

    assert "2 of 2 profiles" in " ".join(previewed.stdout.split()), previewed.stderr
    assert [json.loads(line)["profile"] for line in first_day.stdout.splitlines()] == ["user_id:1"]
    assert at_start.stdout == ""
    assert (rebuilt.returncode, rebuilt.stdout) == (0, ""), rebuilt.stderr
    assert "1 profiles rebuilt, 0 of them changed" in rebuilt.stderr
    assert "user_id:3: there is no such profile" in unknown.stderr
    assert "has this data folder open" in at_work.stderr
    assert "2 profiles rebuilt, 0 of them changed" in stopped.stderr
    assert "completed-buyer" not in [segment["id"] for segment in before["segments"]]
    assert "completed-buyer" in [segment["id"] for segment in after["segments"]]
