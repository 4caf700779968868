"""`segue cost` counts what Google's side counts, operation by operation and function by function."""

import asyncio
import gzip
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator.cost import Usage, Used
from tests.journeys.running import running, segue
from tests.shared_data import REES46, needs

EVENTS = 400
TRIES = 20

OPERATIONS = {"reads", "writes", "deletes", "messages", "published"}

PUSHED = {"evaluate", "update", "deliver", "tick", "privacy"}
"""The functions whose every request is a push."""


class Printed(msgspec.Struct):
    used: Used


def beginning(path: Path) -> Path:
    """The first events of the log."""
    with gzip.open(REES46, "rt") as log:
        path.write_text("".join(line for _, line in zip(range(EVENTS + 1), log, strict=False)))
    return path


async def compared(url: str, counting: str) -> tuple[Used, Mapping[str, Mapping[str, int]]]:
    """What `segue cost` says, and what was counted, at a moment at which nothing went on."""
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(TRIES):
            before = (await http.get(counting)).json()
            printed = segue("cost", "--url", url, "--json")
            assert printed.returncode == 0, printed.stderr
            if before == (await http.get(counting)).json():
                return msgspec.json.decode(printed.stdout, type=Printed).used, before
            await asyncio.sleep(1)
    raise AssertionError("there was always something going on")


@needs(REES46)
@pytest.mark.google
@pytest.mark.slow
async def test_what_functions_count_is_what_was_counted_on_googles_side(tmp_path: Path) -> None:
    log = beginning(tmp_path / "log.csv")
    with running(tmp_path, program=(sys.executable, "-m", "tests.journeys.counted")) as url:
        replayed = segue("replay", str(log), "--url", url, "--together", "5")
        assert replayed.returncode == 0, replayed.stderr
        said, counted = await compared(url, (tmp_path / "counted.url").read_text())
    assert said.events == EVENTS
    for function, counts in counted.items():
        usage = said.functions.get(function, Usage())
        operations = OPERATIONS | ({"requests"} if function in PUSHED else set())
        found = {name: getattr(usage, name) for name in operations}
        assert found == {name: counts.get(name, 0) for name in operations}, function
    assert counted["evaluate"]["reads"] >= counted["evaluate"]["writes"] > EVENTS / 5
