"""Ingest serves the tracker to every page: small, kept where it may be, and as its integrity says."""

import gzip
import hashlib
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from emulator.tracker_command import loader
from functions.ingest.tracker import FOLDER, NAMES, scripts
from tests.functions.ingesting import Ingest, ingesting
from tests.journeys.running import segue
from tests.project.files import ROOT

LARGEST_TRACKER = 5_120
LARGEST_SNIPPET = 300
ANYBODY = {"Origin": "https://anybody.example"}


@pytest_asyncio.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(tmp_path) as ingest:
        yield ingest


def test_the_tracker_is_at_most_5_kib_as_it_is_loaded() -> None:
    assert len(scripts()["segue.js"].packed) <= LARGEST_TRACKER


@pytest.mark.parametrize("name", NAMES)
async def test_a_script_is_what_its_name_its_version_and_its_integrity_say(name: str, ingest: Ingest) -> None:
    script = scripts()[name]
    current = await ingest.http.get(f"/{name}", headers=ANYBODY)
    version = await ingest.http.get(script.path, headers=ANYBODY)
    for answer in (current, version):
        assert answer.status_code == 200
        assert answer.content == script.content
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert current.headers["cache-control"] == "public, max-age=3600"
    assert version.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.integrity == "sha256-" + b64encode(hashlib.sha256(version.content).digest()).decode()


async def test_who_has_it_already_gets_no_body(ingest: Ingest) -> None:
    tag = (await ingest.http.get("/segue.js")).headers["etag"]
    again = await ingest.http.get("/segue.js", headers={"If-None-Match": f"W/{tag}"})
    assert (again.status_code, again.content) == (304, b"")


async def test_who_cannot_unpack_gets_it_plain(ingest: Ingest) -> None:
    plain = await ingest.http.get("/segue.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress(scripts()["segue.js"].packed)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/segue/0000000000000000/segue.js", 404),
        ("GET", f"/segue/{scripts()['segue.js'].version}/else.js", 404),
        ("GET", "/segue-else.js", 404),
        ("POST", "/segue.js", 405),
    ],
)
async def test_another_version_another_name_and_another_method_are_refused(
    method: str, path: str, status: int, ingest: Ingest
) -> None:
    assert (await ingest.http.request(method, path)).status_code == status


def test_the_snippet_is_at_most_300_bytes() -> None:
    assert len(loader("pub_0123456789abcdef", "https://segue.example.com")) <= LARGEST_SNIPPET


def test_the_command_prints_the_snippet_and_the_integrity() -> None:
    script = scripts()["segue.js"]
    printed = segue("tracker", "snippet", "--key", "k", "--host", "https://segue.example")
    pinned = segue("tracker", "snippet", "--key", "k", "--host", "https://segue.example", "--pinned")
    assert '<script async src="https://segue.example/segue.js" data-key="k"></script>' in printed.stdout
    assert script.integrity in printed.stderr
    assert f'src="https://segue.example{script.path}" integrity="{script.integrity}" crossorigin' in pinned.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_is_served_is_made_from_the_source(name: str, tmp_path: Path) -> None:
    if not shutil.which("npm"):
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("needs npm to minify the source anew (Debian and Ubuntu: nodejs npm)")
    subprocess.run(["make", "tracker/node_modules"], cwd=ROOT, check=True, capture_output=True)
    made = shutil.copytree(FOLDER, tmp_path / "tracker", symlinks=True)
    subprocess.run(["npm", "run", "--silent", "build"], cwd=made, check=True, capture_output=True)
    assert (made / name).with_suffix(".min.js").read_bytes() == scripts()[name].content


def test_the_readme_shows_the_snippet_that_the_command_prints() -> None:
    assert loader("KEY", "https://segue.example.com") in (ROOT / "README.md").read_text(encoding="utf-8")
