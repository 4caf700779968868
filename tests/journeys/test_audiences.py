"""Members as files in a real S3 bucket: an exporter that is killed, two at once, and a platform that runs."""

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.client import Client
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.adapters.web import WebObjects
from segue.domain import audience
from segue.domain.audience import Manifest
from segue.domain.destination import Storage
from segue.domain.message import MEMBERSHIP_CHANGED, MEMBERSHIPS, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Message
from tests.buckets import BUCKET, S3_CREDENTIALS, s3
from tests.journeys.running import ROOT, SEGUE, running, segue

pytestmark = pytest.mark.slow

KILLS = 20
SEGMENT = "buyer"
SECRETS = {"ads": S3_CREDENTIALS}


@pytest.fixture
def endpoint() -> Iterator[str]:
    with s3() as url:
        yield url


def storage(endpoint: str, **fields: Any) -> dict[str, Any]:
    said = {"provider": "s3", "bucket": BUCKET, "endpoint": endpoint, "prefix": "segue/", "secret": "ads"}
    return {**said, "hashed": False, **fields}


class Receiver:
    """Whoever reads the bucket: by the manifest alone."""

    def __init__(self, said: dict[str, Any], segment: str = SEGMENT) -> None:
        self._storage = Storage.model_validate(said)
        self._segment = segment
        self._objects = WebObjects(SECRETS, allow_private=True)

    async def manifest(self) -> Manifest | None:
        found = await self._objects.get(self._storage, audience.manifest_path(self._segment))
        return audience.decode(found.data) if found else None

    async def members(self) -> set[str]:
        """Everybody by the newest manifest, each of whose files has to be there as it says."""
        manifest = await self.manifest()
        contents = []
        for export in manifest.exports if manifest else ():
            for file in export.files:
                found = await self._objects.get(self._storage, audience.file_path(self._segment, file))
                assert found, f"{file.path} is listed and not there"
                assert (len(found.data), audience.is_whole(file, found.data)) == (file.bytes, True)
                assert manifest
                contents.append(audience.unpacked(manifest, export.kind, found.data))
        members = audience.told(contents, "")
        assert manifest is None or manifest.newest.members == len(members)
        return members


class Memberships:
    """A membership archive that changes by chance, in a data folder without a platform."""

    def __init__(self, data: Path, seed: int) -> None:
        self._archive = ArchiveFile.open(data)
        self._random = random.Random(seed)
        self._seq = 0
        self.members: set[str] = set()

    async def change(self, count: int) -> None:
        """So many profiles enter or exit."""
        self._seq += 1
        now = time.time_ns() // 1_000_000
        people = {f"user-{self._random.randrange(5_000)}" for _ in range(count)}
        entering = {each for each in people if self._random.random() < 0.6}
        messages = [self._snapshot(each, now, each in entering) for each in sorted(people)]
        await self._archive.append(MEMBERSHIPS, messages)
        self.members = (self.members - people) | entering

    def _snapshot(self, user: str, now: int, entering: bool) -> Message:
        profile = ProfileRef("user_id", user)
        data = MembershipChanged(
            key=profile_key(b"a secret of the tests", profile),
            profile=profile,
            seq=self._seq,
            catalog=1,
            at=now,
            known_until=None,
            memberships={SEGMENT: ((now, None),)} if entering else {},
            transitions=(),
        )
        name = f"{user}:{self._seq}"
        return Message(id=name, type=MEMBERSHIP_CHANGED, source="//test", time=now, data=msgspec.json.encode(data))


async def publish(data: Path, destination: dict[str, Any]) -> None:
    segments = {SEGMENT: {"name": "Buyer", "when": {"did": "Order Completed"}}}
    documents = {"segments": segments, "destinations": {"ads": {"storage": destination}}}
    catalogs = CatalogFile.open(data)
    await catalogs.publish(msgspec.json.encode(documents))
    await catalogs.close()


def started(data: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "SEGUE_STORAGE_SECRETS": json.dumps(SECRETS)}
    command = [SEGUE, "audiences", "export", "--data", str(data), *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> str:
    """What a process printed that ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def told(data: Path) -> set[str]:
    """The members by the membership archive, as `segue members` prints them."""
    printed = segue("members", SEGMENT, "--data", str(data))
    return {json.loads(line)["profile"].removeprefix("user_id:") for line in printed.stdout.splitlines()}


async def test_an_export_killed_at_random_moments_lists_only_what_is_there_and_ends_as_the_archive_is(
    endpoint: str, tmp_path: Path
) -> None:
    said, chance = storage(endpoint), random.Random(11)
    receiver, memberships = Receiver(said), Memberships(tmp_path, 12)
    await publish(tmp_path, said)
    await memberships.change(3_000)
    begun = time.monotonic()
    ended(started(tmp_path, "--rows", "300"))
    takes_s = time.monotonic() - begun
    assert await receiver.members() == memberships.members
    killed, known = 0, await receiver.manifest()
    while killed < KILLS:
        await memberships.change(100)
        process = started(tmp_path, "--rows", "300", *(["--full"] if chance.random() < 0.5 else []))
        await asyncio.sleep(takes_s * chance.uniform(0.3, 1.1))
        killed += process.poll() is None
        process.kill()
        process.communicate()
        manifest, members = await receiver.manifest(), await receiver.members()
        assert manifest
        assert manifest == known or members == memberships.members
        known = manifest
    ended(started(tmp_path, "--rows", "300"))
    assert await receiver.members() == memberships.members == told(tmp_path)


async def test_two_exporters_at_once_leave_one_history_that_adds_up(endpoint: str, tmp_path: Path) -> None:
    said = storage(endpoint)
    receiver, memberships = Receiver(said), Memberships(tmp_path, 13)
    await publish(tmp_path, said)
    for _ in range(4):
        await memberships.change(400)
        both = [started(tmp_path, "--rows", "200", *options) for options in ((), ("--full",))]
        for process in both:
            ended(process)
        assert await receiver.members() == memberships.members


async def test_a_running_platform_exports_by_itself_and_beside_it_an_operator_may(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = storage(endpoint, hashed=True)
    receiver = Receiver(said, "completed-buyer")
    monkeypatch.setenv("SEGUE_STORAGE_SECRETS", json.dumps(SECRETS))
    definitions = tmp_path / "catalog"
    definitions.mkdir()
    for file in (ROOT / "infra" / "catalog").glob("*.yaml"):
        (definitions / file.name).write_bytes(file.read_bytes())
    destinations = {"destinations": {"ads": {"storage": said, "segments": ["completed-buyer"]}}}
    (definitions / "destinations.yaml").write_text(json.dumps(destinations))
    data = tmp_path / "data"
    with running(data, "--catalog", str(definitions)) as url:
        for _ in range(600):  # the schedule's first message
            if await receiver.manifest():
                break
            await asyncio.sleep(0.1)
        async with Client.connected(url) as client:
            await client.call({"type": "track", "event": "Order Completed", "userId": "ada"})
            await client.settle()
            said_of = ended(started(data))
            assert "completed-buyer: delta, 1 entered, 0 exited, 1 members" in said_of
            assert len(await receiver.members()) == 1
            await client.erase(ProfileRef("user_id", "ada"))
            await client.settle()
            assert "0 entered, 1 exited, 0 members" in ended(started(data))
        assert await receiver.members() == set()
