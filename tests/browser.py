"""A real browser for tests: Debian's Chromium, driven by Playwright, as a person's browser looks to a page."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

LIKE_A_PERSON = "--disable-blink-features=AutomationControlled"
"""Without it `navigator.webdriver` is true, and a tracker that leaves bots out sees one."""


@asynccontextmanager
async def chromium(*arguments: str, keep_pages: bool = False) -> AsyncIterator[Browser]:
    """A headless browser of its own; `keep_pages`: those that are left come back from its memory.

    Where there is no Chromium the test is skipped; where CI is set it fails.
    """
    _require_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*ARGUMENTS, *arguments],
            ignore_default_args=["--disable-back-forward-cache"] if keep_pages else [],
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A visitor whom no page has seen: no cookies, no storage, and a user agent that does not say headless."""
    session = await browser.new_browser_cdp_session()
    agent: str = (await session.send("Browser.getVersion"))["userAgent"]
    await session.detach()
    context = await browser.new_context(user_agent=agent.replace("Headless", ""))
    try:
        yield context
    finally:
        await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a module, which are marked `asyncio(loop_scope="module")` and `browser`."""
    async with chromium(LIKE_A_PERSON) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A new visitor; each of their pages is a tab."""
    async with visiting(browser) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="module")
async def page(visitor: BrowserContext) -> Page:
    """A new visitor's first tab."""
    return await visitor.new_page()


def _require_chromium() -> None:
    if not CHROMIUM.exists():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"needs a browser; missing here: {CHROMIUM} (Debian and Ubuntu: chromium fonts-dejavu-core)")
