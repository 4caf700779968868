"""A log line is one JSON object of allowed fields, in which nobody can be recognised and nothing can be forged."""

import json
import logging
import subprocess
import sys

import pytest

from segue import tracing
from segue.metrics import NOTED
from segue.telemetry import note


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="segue")
    return caplog


def test_an_event_is_one_json_object_on_one_line(lines: pytest.LogCaptureFixture) -> None:
    note("message_recorded", "WARNING", function="evaluate", error="a\r\nforged: line\x1b[31m\u2028", attempt=2)
    (line,) = lines.messages
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line
    assert json.loads(line) == {
        "severity": "WARNING",
        "event": "message_recorded",
        "function": "evaluate",
        "error": "a\r\nforged: line\x1b[31m\u2028",
        "attempt": 2,
    }


def test_ids_are_shown_as_hashes_alone(lines: pytest.LogCaptureFixture) -> None:
    note("message_recorded", message="ada@example.com", key="ada@example.com")
    assert "ada" not in lines.text
    line = json.loads(lines.messages[0])
    assert line["message"] == line["key"] != ""


def test_a_line_says_which_trace_it_is_in(lines: pytest.LogCaptureFixture) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    cloud = {"K_SERVICE": "evaluate", "SEGUE_PROJECT": "shop"}
    for environment in ({}, cloud):
        tracing.start(environment, send=lambda _spans: None)
        with tracing.call("evaluate", "consumer", parent):
            note("message_recorded")
        tracing.stop()
        note("message_recorded")
    assert [{*json.loads(line)} - {"severity", "event"} for line in lines.messages] == [
        {"trace"},
        set(),
        {"logging.googleapis.com/trace"},
        set(),
    ]
    assert "projects/shop/traces/0af7651916cd43dd8448eb211c80319c" in lines.messages[2]


def test_a_field_that_is_not_allowed_is_a_bug() -> None:
    with pytest.raises(KeyError):
        note("message_recorded", "ERROR", body="what a visitor sent")


def test_a_long_text_is_cut(lines: pytest.LogCaptureFixture) -> None:
    note("message_recorded", error="x" * 10_000)
    assert len(lines.messages[0]) < 1_000


def test_an_event_is_counted_whether_it_is_logged_or_not(lines: pytest.LogCaptureFixture) -> None:
    lines.set_level(logging.ERROR, logger="segue")
    before = NOTED.total(event="delivery_made")
    note("delivery_made", "DEBUG")
    assert NOTED.total(event="delivery_made") == before + 1
    assert lines.messages == []


SHOUTING = """
import asyncio, logging, threading, warnings
from segue import telemetry

async def forgotten():
    asyncio.get_running_loop().create_task(failing()), await asyncio.sleep(0)

async def failing():
    raise ValueError("ada@example.com")

server = logging.getLogger("uvicorn.error")
server.addHandler(logging.StreamHandler())
telemetry.take_over()
logging.getLogger("a.library").error("GET /v1/stream?token=ada@example.com")
try:
    raise KeyError("ada@example.com")
except KeyError:
    server.exception("Exception in ASGI application for ada@example.com")
warnings.warn("ada@example.com is deprecated")
asyncio.run(forgotten())
threading.Thread(target=lambda: {}["ada@example.com"]).start()
raise RuntimeError("ada@example.com\\n{}")
"""


def test_of_what_libraries_say_and_nobody_catches_only_kind_and_place_are_told() -> None:
    ended = subprocess.run([sys.executable, "-c", SHOUTING], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in (ended.stdout + ended.stderr).splitlines()]
    assert "ada" not in ended.stdout + ended.stderr
    assert all(line.keys() <= {"severity", "event", "logger", "error", "where"} for line in lines)
    assert {(line["event"], line.get("logger"), line.get("error")) for line in lines} == {
        ("library_logged", "a.library", None),
        ("library_logged", "uvicorn.error", "KeyError"),
        ("library_logged", "py.warnings", None),
        ("library_logged", "asyncio", "ValueError"),
        ("crashed", None, "KeyError"),
        ("crashed", None, "RuntimeError"),
    }
    assert ended.returncode == 1
