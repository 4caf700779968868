"""The browser that other tests use is one a page takes for a person's."""

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_page_is_shown_and_its_script_runs(page: Page) -> None:
    await page.set_content("<title>Trousers</title><script>document.title += ' ' + 6 * 7</script>")
    assert await page.title() == "Trousers 42"


async def test_a_page_cannot_tell_it_from_a_persons_browser(page: Page) -> None:
    assert await page.evaluate("[navigator.webdriver, /Headless/.test(navigator.userAgent)]") == [False, False]
