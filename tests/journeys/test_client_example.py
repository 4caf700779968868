"""The example of a site without a server of its own: its page asks Segue itself, and changes while it is open."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, expect

from emulator.tracker_command import QUEUE
from tests.browser import browser, page, visitor
from tests.journeys.running import ROOT, running

__all__ = ["browser", "page", "visitor"]

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EXAMPLE = ROOT / "emulator" / "examples" / "client"
IN_TIME_MS = 20_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example's address, beside a Segue whose address stands in its page."""
    folder = tmp_path_factory.mktemp("client")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    catalog = shutil.copytree(ROOT / "infra" / "catalog", folder / "catalog")
    _replace(catalog / "sources.yaml", "http://127.0.0.1:8090", f"http://127.0.0.1:{port}")
    pages = shutil.copytree(EXAMPLE / "pages", folder / "pages")
    with running(folder / "data", "--catalog", str(catalog)) as segue:
        _replace(pages / "index.html", "http://127.0.0.1:8080", segue)
        environment = {**os.environ, "SEGUE": segue, "PORT": str(port), "PAGES": str(pages)}
        with subprocess.Popen([sys.executable, EXAMPLE / "serve.py"], env=environment) as process:
            try:
                yield _answering(port)
            finally:
                process.terminate()


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def _answering(port: int) -> str:
    """The site's address, once it answers."""
    while True:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return f"http://127.0.0.1:{port}"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_shows_what_the_visitor_does_without_being_loaded_again(page: Page, site: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    headline = page.get_by_role("heading", level=1)
    await page.goto(site)
    await page.wait_for_function("window.segue?.loaded")
    await expect(headline).to_have_text("New arrivals this week")
    await page.get_by_role("button", name="Yes, agree").click()
    await expect(headline).to_have_text("Welcome! Find your first favourite", timeout=IN_TIME_MS)
    await page.evaluate("window.same = true")
    for button in await page.get_by_role("main").get_by_role("button").all():
        await button.click()
    await expect(headline).to_have_text("10 % off in the category you are looking at", timeout=IN_TIME_MS)
    await expect(page.get_by_role("link")).to_have_attribute("href", "/collections/offers")
    assert await page.evaluate("same")
    assert errors == []
    assert (await Axe().run(page)).response["violations"] == []
    await page.screenshot(path=_screenshot("example-client"))


def _screenshot(name: str) -> Path:
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


@pytest.mark.parametrize("body", ["", "{", "[]", '{"anonymous_id": 1}', '{"a":' * 2_000, "[" * 100_000])
async def test_what_asks_for_no_token_is_refused(site: str, body: str) -> None:
    async with httpx.AsyncClient(base_url=site, trust_env=False) as http:
        assert (await http.post("/token", content=body)).status_code in (400, 413)


def test_its_page_carries_the_snippet_that_the_command_prints() -> None:
    assert QUEUE in (EXAMPLE / "pages" / "index.html").read_text(encoding="utf-8")
