"""`segue cost` tells what segments would add, on a log, and refuses what it cannot tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emulator.command import main

FAN = "segments: {fan: {name: Fan, when: {did: A, count: {ge: 2}, within: 1h}}}"
"""Whom two events of an hour make a fan."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two visitors; one of them does A twice, an hour later again, and nothing for a day."""
    times = {"1": ["00:00", "00:10", "01:30"], "2": ["00:00"]}
    calls = [
        {"type": "track", "event": "A", "userId": user, "timestamp": f"2026-05-01T{at}:00Z"}
        for user, instants in times.items()
        for at in instants
    ]
    calls.append({"type": "track", "event": "B", "userId": "2", "timestamp": "2026-05-02T00:00:00Z"})
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, calls)))
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["cost", *map(str, arguments)])


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    path = tmp_path / "fan.yaml"
    path.write_text(FAN)
    return path


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A catalogue with that segment, and one that another one refers to."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "segments.yaml").write_text(
        FAN.removesuffix("}") + ", part: {name: Part, when: {did: B}}, whole: {name: Whole, when: {segment: part}}}"
    )
    return folder


def test_a_forecast_tells_transitions_messages_and_money(definition: Path, log: Path) -> None:
    told = run("forecast", definition, "--log", log)
    assert told.exit_code == 0, told.output
    words = " ".join(told.output.split())
    assert "folded 5 events of 2 profiles" in words
    assert "transitions 400,000 a million events" in words  # one came in, and went, in five events
    assert "Cost of a million events more" in words


def test_each_live_segment_is_told_of_but_one_that_another_needs(live: Path, log: Path) -> None:
    told = run("segments", "--log", log, "--catalog", live)
    assert told.exit_code == 0, told.output
    assert "fan" in told.output
    assert "whole" in told.output
    assert "part" not in told.output


def test_what_is_missing_is_said(definition: Path, log: Path, tmp_path: Path) -> None:
    assert "expected either --data or --log" in run("forecast", definition).output
    assert "expected live segments, found none" in run("segments", "--log", log).output
    assert "does not answer" in run("--url", "http://127.0.0.1:9").output
    (tmp_path / "empty").mkdir()
    assert "expected events in the last 30 days" in run("forecast", definition, "--data", tmp_path / "empty").output
