"""A catalogue is published again and again while visitors go on: nobody is counted twice, and nothing is lost."""

import asyncio
import itertools
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.client import Client
from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.errors import Unavailable
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef
from tests.journeys.killed import Segue, free_port
from tests.journeys.running import ROOT, SEGUE, running
from tests.oracle import Oracle

A_SECOND, TOGETHER = 200, 5
"""Events a second, and how many of a visitor come in one request."""

VISITORS = 60
QUIET = 10
"""Those of them who come once, before anything is published anew."""

VISITS = 16
"""How often each of them comes before the process is killed."""

NAMES = ("Page Viewed", "Product Viewed", "Product Viewed", "Product Added", "Order Completed")

VIEWER = {"did": "Product Viewed", "count": {"ge": 4}, "within": "3s"}
ABANDONED = {"after": "Product Added", "without": "Order Completed", "for": "2s", "within": "1h"}
FIRST: Mapping[str, Any] = {
    "viewer": {"when": VIEWER, "stays": "2s"},
    "buyer": {"when": {"did": "Order Completed", "within": "2s"}},
}
EDITIONS: Sequence[Mapping[str, Any]] = (
    {**FIRST, "dresses": {"when": {"did": "Product Viewed", "where": {"category": "dresses"}, "count": {"le": 9}}}},
    {**FIRST, "calm": {"when": {"not": VIEWER}}},
    {
        "viewer": {"when": {**VIEWER, "count": {"ge": 6}, "within": "1h"}, "stays": "5m"},
        "calm": {"when": {"not": VIEWER}},
        "abandoner": {"when": {"absent": ABANDONED}},
        "loyal": {"when": {"aggregate": {"of": "Order Completed", "sum": "revenue", "is": {"ge": 60}}}},
    },
)
"""The first and the last ask for what was not measured before; the second one does not."""

LIVE_WITHIN = 50
"""Looks, a tenth of a second apart, until what needs no new measurement has to be live."""


def folder(path: Path, segments: Mapping[str, Any]) -> Path:
    """A catalogue folder with these segments, and the demo's sources."""
    path.mkdir(exist_ok=True)
    shutil.copy(ROOT / "infra" / "catalog" / "sources.yaml", path)
    named = {name: {"name": name, **segment} for name, segment in segments.items()}
    (path / "segments.yaml").write_text(json.dumps({"segments": named}))
    return path


def visitor(number: int) -> ProfileRef:
    return ProfileRef("anonymous_id", f"visitor-{number}")


async def visit(client: Client, number: int, seed: random.Random) -> None:
    """One request of a visitor; now and then it is sent twice."""
    calls = [
        {
            "type": "track",
            "event": seed.choice(NAMES),
            "anonymousId": visitor(number).value,
            "messageId": f"{number}-{seed.getrandbits(64):x}",
            "properties": {"category": seed.choice(("dresses", "shoes")), "revenue": seed.randrange(9)},
        }
        for _ in range(TOGETHER)
    ]
    for _ in range(seed.choice((1, 1, 1, 1, 2))):
        await client.batch(calls)


async def traffic(client: Client, seconds: float) -> int:
    """So many events a second from all who are not quiet; how many requests that were."""
    seed, started = random.Random(7), time.monotonic()
    for number in itertools.count():
        due = started + number * TOGETHER / A_SECOND
        if due > started + seconds:
            return number
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await visit(client, seed.randrange(QUIET, VISITORS), seed)
    raise AssertionError


async def publish(data: Path, catalog: Path, url: str) -> None:
    command = [SEGUE, "catalog", "publish", "--catalog", str(catalog), "--data", str(data), "--url", url, "--detach"]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


async def until_live(client: Client, version_after: int) -> None:
    """Wait until no segment is being filled any more, and until there is an answer at all."""
    while True:
        try:
            sizes = await client.sizes()
        except Unavailable:
            await asyncio.sleep(0.2)
            continue
        if sizes["catalog"] > version_after and all(each["status"] == "live" for each in sizes["segments"]):
            return
        await asyncio.sleep(0.2)


async def seconds_until_member(client: Client, profile: ProfileRef, segment: str) -> float:
    """How long it takes until a profile is in a segment, asked again and again."""
    started = time.monotonic()
    for _ in range(LIVE_WITHIN):
        answer = await client.segments(profile)
        if segment in {each["id"] for each in answer["segments"]}:
            return time.monotonic() - started
        await asyncio.sleep(0.1)
    raise AssertionError(f"{profile} is not in {segment}: {answer}")


async def events_of(data: Path) -> Mapping[ProfileRef, list[Event]]:
    """What was archived of each visitor."""
    archive = ArchiveFile.open(data)
    found: dict[ProfileRef, list[Event]] = {}
    async for message in archive.read(EVENTS):
        if message.type == EVENTS_RECEIVED:
            received = msgspec.json.decode(message.data, type=EventsReceived)
            found.setdefault(received.profile, []).extend(received.events)
    await archive.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [15, 120], ids=["15 seconds", "2 minutes"])
async def test_memberships_are_the_oracles_after_three_publishings(tmp_path: Path, seconds: int) -> None:
    data = tmp_path / "data"
    with running(data, "--catalog", str(folder(tmp_path / "first", FIRST))) as url:
        async with Client.connected(url) as client:
            seed = random.Random(1)
            for number in range(QUIET):
                await visit(client, number, seed)
            visits = asyncio.create_task(traffic(client, seconds))
            for number, segments in enumerate(EDITIONS):
                await asyncio.sleep(seconds / 4)
                await publish(data, folder(tmp_path / f"edition-{number}", segments), url)
                if "calm" in segments and number == 1:
                    taken = await seconds_until_member(client, visitor(0), "calm")
                    print(f"what needs no new measurement was live after {taken:.2f} s")
            requests = await visits
            published = time.monotonic()
            await until_live(client, 3)
            print(f"{requests * TOGETHER} events; everything live {time.monotonic() - published:.1f} s after the last")
            await client.settle()
            counts = await client.ledger()
            answers = await answered(client)

    assert counts["published"] == counts["folded"] + counts["duplicate"] + counts["late"]
    assert counts["duplicate"] > 0
    await assert_oracles(answers, data)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_filling_goes_on_where_it_was_killed(tmp_path: Path, seed: int) -> None:
    data, moments = tmp_path / "data", random.Random(seed)
    with running(data, "--catalog", str(folder(tmp_path / "first", FIRST))) as url:
        async with Client.connected(url) as client:
            for number in range(VISITS * VISITORS):
                await visit(client, number % VISITORS, moments)
            await client.settle()
    segue = Segue(free_port(), data, folder(tmp_path / "last", EDITIONS[-1]))
    try:
        for _ in range(3):
            await segue.start()
            await asyncio.sleep(moments.uniform(1.0, 7.0))
            await segue.end(signal.SIGKILL)
        await segue.start()
        async with Client.connected(segue.url) as client:
            await until_live(client, 1)
            await client.settle()
            counts, answers = await client.ledger(), await answered(client)
    finally:
        await segue.end(signal.SIGTERM)

    assert counts["published"] == counts["folded"] + counts["duplicate"] + counts["late"]
    await assert_oracles(answers, data)


async def answered(client: Client) -> Mapping[ProfileRef, tuple[int, set[str]]]:
    """Of each visitor the instant of the answer, and the segments."""
    found = {}
    for number in range(VISITORS):
        answer = await client.segments(visitor(number))
        found[visitor(number)] = answer["as_of"], {each["id"] for each in answer["segments"]}
    return found


async def assert_oracles(answers: Mapping[ProfileRef, tuple[int, set[str]]], data: Path) -> None:
    """The answers are the oracle's of all that was archived, and there is a member of each segment."""
    history, oracle = await events_of(data), Oracle(EDITIONS[-1])
    for profile, (as_of, found) in answers.items():
        known = oracle.visitor(history[profile])
        assert found == {segment for segment in EDITIONS[-1] if known.member(segment, as_of)}, (profile, as_of)
    assert set.union(*(found for _, found in answers.values())) == EDITIONS[-1].keys()
