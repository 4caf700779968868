"""On Google's emulators, with functions that read the archive from what stands in for BigQuery: the past is there."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator import catalog
from emulator.client import Client
from segue import catalogs
from segue.adapters.google.platform import GooglePlatform
from segue.adapters.google.queries import Queries
from segue.adapters.system import SystemClock
from segue.domain.document import PROFILES, STATES
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Write
from tests.bigquery import DATASET
from tests.journeys import operated
from tests.journeys.running import ROOT, SEGUE, running

pytestmark = [pytest.mark.google, pytest.mark.slow]

PROGRAM = (sys.executable, "-m", "tests.journeys.subscribed")
PROJECT = "segue-laptop"
SECRET = "a secret of the archive's tests"  # noqa: S105  # no other platform has it
ANNA, BEN = ProfileRef("anonymous_id", "anna"), ProfileRef("anonymous_id", "ben")
VIEWER = "segments: {viewer: {name: Viewer, when: {did: Product Viewed, count: {ge: 2}}}}"
TABLES = ("events", "memberships", "dead_letters")
CLOCK = SystemClock()


async def test_what_is_newly_measured_is_filled_what_is_lost_comes_back_and_who_is_erased_is_in_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_PROFILE_SECRET", SECRET)
    with running(tmp_path, program=PROGRAM) as url:
        environment = operated.environment(tmp_path)
        async with Client.connected(url) as client:
            early = CLOCK.now()
            for visitor, times in ((ANNA, 3), (BEN, 1)):
                await client.batch([viewed(visitor, number) for number in range(times)])
            await client.settle()
            between = CLOCK.now()
            await publish(tmp_path / "catalog", environment)
            await until(lambda: has(client, {"members": 1, "status": "live"}))

            assert "viewer" in await segments(client, ANNA)
            assert await segments(client, ANNA, between) == {"casual-browser", "new-visitor"}
            assert await segments(client, ANNA, early - 1) == set()
            assert (await client.sizes(early - 1))["segments"][0]["members"] == 0
            assert len((await client.export(ANNA))["events"]) == 3

            await lose(environment)
            assert await segments(client, ANNA) == set()
            restored = await asyncio.to_thread(rebuild_all, environment)
            assert "2 profiles rebuilt, 0 of them changed" in restored.stderr
            await until(lambda: is_in(client, ANNA, "viewer"))

            await client.erase(ANNA)
            await until(lambda: has(client, {"members": 0}))
            await until(lambda: nothing_tells_of(ANNA, environment))
            assert (await client.export(ANNA))["events"] == []
            assert len((await client.export(BEN))["events"]) == 1


def viewed(visitor: ProfileRef, number: int) -> Mapping[str, Any]:
    call = {"type": "track", "event": "Product Viewed", "messageId": f"{visitor.value}-{number}"}
    return {**call, "anonymousId": visitor.value, "properties": {"price": 19.9}}


async def publish(folder: Path, environment: Mapping[str, str]) -> None:
    """The catalogue with a segment more, which asks for what was not measured before."""
    shutil.copytree(ROOT / "infra" / "catalog", folder, ignore=shutil.ignore_patterns("*.md"))
    (folder / "more.yaml").write_text(VIEWER)
    google = GooglePlatform.open(PROJECT, "catalog", environment=environment, deadline_s=60.0)
    await catalogs.publish(google.catalog, catalog.load(folder))
    await google.close()


async def lose(environment: Mapping[str, str]) -> None:
    """Everything that is known of anybody, but for the archive."""
    google = GooglePlatform.open(PROJECT, "catalog", environment=environment, deadline_s=60.0)
    for collection in (STATES, PROFILES):
        for id_ in [id_ async for id_, _ in google.store.scan(collection)]:
            await google.store.commit([Write(path=f"{collection}/{id_}", data=None)])
    await google.close()


def rebuild_all(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The operator's command, which reads the same archive."""
    command = [SEGUE, "rebuild", "--all", "--platform", "google", "--project", PROJECT]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


async def is_in(client: Client, visitor: ProfileRef, segment: str) -> bool:
    return segment in await segments(client, visitor)


async def has(client: Client, wanted: Mapping[str, Any]) -> bool:
    """Whether the new segment is listed with this. Time goes on meanwhile, to this very moment."""
    await client.tick(CLOCK.now() + (await client.timing()).grace, "wall")
    listed = {each["id"]: each for each in (await client.sizes())["segments"]}
    return "viewer" in listed and wanted.items() <= listed["viewer"].items()


async def segments(client: Client, visitor: ProfileRef, at: int | None = None) -> set[str]:
    return {segment["id"] for segment in (await client.segments(visitor, at))["segments"]}


async def nothing_tells_of(visitor: ProfileRef, environment: Mapping[str, str]) -> bool:
    """Whether no table has the visitor's key or id, what was written twice and is never read included."""
    queries = Queries(PROJECT, DATASET, environment["BIGQUERY_EMULATOR_HOST"])
    bound = "publish_time > TIMESTAMP '2020-01-01'"
    rows = [row for table in TABLES for row in await queries.rows(f"SELECT data FROM {table} WHERE {bound}")]  # noqa: S608
    queries.close()
    key = profile_key(SECRET.encode(), visitor)
    return not any(key in str(data) or f'"{visitor.value}"' in str(data) for (data,) in rows)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(90):
        while not await holds():  # noqa: ASYNC110  (nobody tells when)
            await asyncio.sleep(0.5)
