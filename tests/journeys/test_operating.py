"""An operator's commands do to a deployment on Google Cloud, by its project alone, what they do to a laptop's."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from emulator.client import Client
from segue.adapters.google.platform import GooglePlatform
from segue.domain.document import FAILED_EVENTS, state_path
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Write
from tests.journeys import operated
from tests.journeys.running import ROOT, SEGUE, running

PROJECT = "segue-laptop"
SECRET = "a secret of the operator's tests"  # noqa: S105  # no other platform has it
RUTH = ProfileRef("user_id", "ruth")
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

    async def segments(self) -> set[str]:
        """What Ruth is in, once nothing is on its way any more."""
        await self.client.settle()
        return {segment["id"] for segment in (await self.client.segments(RUTH))["segments"]}


@pytest.fixture
async def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    """With a deployment at work on the emulators."""
    monkeypatch.setenv("SEGUE_PROFILE_SECRET", SECRET)
    async with deployed(tmp_path / "data") as operator:
        yield operator


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
async def test_a_deployment_is_operated_by_its_project(operator: Operator, tmp_path: Path) -> None:
    wrong = operator.types("failed", "list", project="another")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "Error: project another, database catalog: no catalogue was ever published there; is it the right one?\n",
    )
    await a_catalogue_is_tried_and_published(operator, tmp_path)
    await what_failed_is_put_back(operator)
    await a_profile_is_rebuilt(operator)


async def a_catalogue_is_tried_and_published(operator: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    shutil.copytree(ROOT / "infra" / "catalog", folder, ignore=shutil.ignore_patterns("*.md"))
    (folder / "more.yaml").write_text("segments: {more: {name: More, when: {did: Order Completed, count: {ge: 9}}}}")
    before = await operator.version()
    dry = operator.types("catalog", "publish", "--catalog", str(folder), "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert f"as version {before + 1}, in place of version {before}\n+ segments.more\n" in dry.stdout
    assert await operator.version() == before

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
    assert "completed-buyer" in await operator.segments()


async def a_profile_is_rebuilt(operator: Operator) -> None:
    rebuilt = operator.types("rebuild", str(RUTH), "--data", str(operator.archive))
    assert "1 profiles rebuilt, 0 of them changed" in rebuilt.stderr
    assert "completed-buyer" in await operator.segments()


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
    assert len(done.stderr.splitlines()) == 1
