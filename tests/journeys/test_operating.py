"""An operator's commands do to a deployment on Google Cloud, by its project alone, what they do to a laptop's."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.client import Client
from segue.adapters.google.platform import GooglePlatform
from segue.domain.document import FAILED_EVENTS, state_path
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Write
from tests.journeys import operated
from tests.journeys.running import ROOT, SEGUE, running, segue

PROJECT = "segue-laptop"
SECRET = "a secret of the operator's tests"  # noqa: S105  # no other platform has it
RUTH, VISITOR = ProfileRef("user_id", "ruth"), ProfileRef("anonymous_id", "visitor")
KEY = profile_key(SECRET.encode(), RUTH)


class Operator:
    """Who has the commands, and looks into the deployment's documents."""

    def __init__(self, data: Path, google: GooglePlatform, client: Client) -> None:
        self.data = data
        self.google = google
        self.client = client
        (self.archive,) = data.glob("google-*")

    def types(self, *command: str, project: str = PROJECT) -> subprocess.CompletedProcess[str]:
        """A command on the deployment."""
        return subprocess.run(
            [SEGUE, *command, "--platform", "google", "--project", project],
            cwd=ROOT,
            env=operated.environment(self.data),
            capture_output=True,
            text=True,
            check=False,
        )

    async def version(self) -> int:
        published = await self.google.catalog.current()
        assert published
        return published.version

    async def failed(self) -> Sequence[str]:
        return [id_ async for id_, _ in self.google.store.scan(FAILED_EVENTS)]

    async def segments(self, visitor: ProfileRef = RUTH) -> set[str]:
        """What a visitor is in."""
        return {segment["id"] for segment in (await self.client.segments(visitor))["segments"]}


@asynccontextmanager
async def deployed(data: Path) -> AsyncIterator[Operator]:
    with running(data, program=(sys.executable, "-m", "tests.journeys.operated")) as url:
        google = GooglePlatform.open(PROJECT, "catalog", environment=operated.environment(data), deadline_s=60.0)
        async with Client.connected(url) as client:
            yield Operator(data, google, client)
        await google.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110  (nobody tells when)
            await asyncio.sleep(0.1)


@pytest.mark.google
@pytest.mark.slow
async def test_a_deployment_is_operated_by_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_PROFILE_SECRET", SECRET)
    async with deployed(tmp_path / "first") as operator:
        wrong = operator.types("failed", "list", project="another")
        assert (wrong.returncode, wrong.stderr) == (
            1,
            "Error: project another, database catalog: no catalogue was ever published there; is it the right one?\n",
        )
        await a_catalogue_is_tried_and_published(operator, tmp_path)
        await what_failed_is_put_back(operator)
        await a_profile_is_rebuilt(operator)
        await operator.client.call({"type": "track", "event": "Product Added", "anonymousId": "visitor"})
        await operator.client.call({"type": "identify", "anonymousId": "visitor", "userId": "ruth"})
        await operator.client.settle()
        before = await operator.segments(VISITOR)
        archive = operator.archive
    async with deployed(tmp_path / "second") as operator:  # the emulators keep nothing: all is lost but the archive
        assert await operator.segments(VISITOR) == set()
        restored = operator.types("rebuild", "--all", "--data", str(archive))
        assert (restored.returncode, restored.stdout) == (0, ""), restored.stderr
        assert "2 profiles rebuilt, 0 of them changed" in restored.stderr

        async def is_as_before() -> bool:
            return await operator.segments(VISITOR) == await operator.segments(RUTH) == before

        await until(is_as_before)
        links: Any = await operator.client.links(RUTH)
        assert [each["status"] for each in links["links"]] == ["linked"]


async def a_catalogue_is_tried_and_published(operator: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    shutil.copytree(ROOT / "infra" / "catalog", folder, ignore=shutil.ignore_patterns("*.md"))
    (folder / "more.yaml").write_text(
        "segments: {more: {name: More, when: {did: Order Completed, count: {ge: 9}}}}\n"
        "destinations: {more: {webhook: {url: https://more.example/segue, secret: more}}}\n"
    )
    before = await operator.version()
    dry = operator.types("catalog", "publish", "--catalog", str(folder), "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stderr.startswith("Warning: destinations.more: its topics come with `terraform apply`")
    assert f"as version {before + 1}, in place of version {before}\n+ destinations.more\n+ seg" in dry.stdout
    assert await operator.version() == before

    (folder / "more.yaml").write_text("segments: {more: {name: More, when: {did: Order Completed, count: {ge: 9}}}}")
    published = operator.types("catalog", "publish", "--catalog", str(folder), "--detach")
    assert f"in force as version {before + 1}" in published.stdout, published.stderr
    stands = operator.types("catalog", "status")
    assert stands.stdout.startswith(f"version {before + 1} is in force\n"), stands.stderr
    assert "\nmore: " in stands.stdout


async def what_failed_is_put_back(operator: Operator) -> None:
    await operator.google.store.commit([Write(path=state_path(KEY), data=b"damaged")])
    order = {"type": "track", "event": "Order Completed", "userId": "ruth", "properties": {"revenue": 250}}
    await operator.client.call(order)

    async def is_given_up() -> bool:
        return bool(await operator.failed())

    await until(is_given_up)
    (id_,) = await operator.failed()
    listed, shown = operator.types("failed", "list"), operator.types("failed", "show", id_)
    assert id_ in listed.stdout, listed.stderr
    assert msgspec.json.decode(shown.stdout)["stage"] == "evaluate", shown.stderr

    await operator.google.store.commit([Write(path=state_path(KEY), data=None)])
    put_back = operator.types("failed", "replay", "--all", "--data", str(operator.archive))
    assert (put_back.returncode, put_back.stdout) == (0, f"{id_}: published again\n"), put_back.stderr
    assert await operator.failed() == []
    await operator.client.settle()
    assert "completed-buyer" in await operator.segments()


async def a_profile_is_rebuilt(operator: Operator) -> None:
    rebuilt = operator.types("rebuild", str(RUTH), "--data", str(operator.archive))
    assert "1 profiles rebuilt, 0 of them changed" in rebuilt.stderr
    assert "completed-buyer" in await operator.segments()


@pytest.mark.slow
async def test_a_folder_that_lost_its_documents_gets_them_back_from_its_archive(tmp_path: Path) -> None:
    async def seen() -> Sequence[Any]:
        await client.settle()
        return [await client.segments(RUTH), await client.segments(VISITOR), (await client.links(RUTH))["links"]]

    with running(tmp_path) as url:
        async with Client.connected(url) as client:
            await client.call({"type": "track", "event": "Order Completed", "anonymousId": "visitor"})
            await client.call({"type": "identify", "anonymousId": "visitor", "userId": "ruth"})
            await client.call({"type": "track", "event": "Product Added", "userId": "ruth"})
            before = await seen()
    (tmp_path / "segue.db").unlink()
    restored = segue("rebuild", "--all", "--data", str(tmp_path))
    assert (restored.returncode, restored.stdout) == (0, ""), restored.stderr
    with running(tmp_path) as url:
        async with Client.connected(url) as client:
            after = await seen()
    for then, now in zip(before[:2], after[:2], strict=True):
        assert (now["profile"], now["segments"]) == (then["profile"], then["segments"])
    assert after[2] == before[2]


@pytest.mark.slow
def test_without_credentials_an_operator_is_told_how_to_get_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [SEGUE, "failed", "list", "--platform", "google", "--project", "mine"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "who you are: `gcloud auth application-default login` tells it" in done.stderr
    assert "Traceback" not in done.stderr
