"""A page that carries segue.js: what its visitor does arrives in Segue."""

import json

import pytest
from playwright.async_api import Page

from tests.site import Site, names, visitor_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_page_and_what_it_says_before_and_after_the_tracker_is_there_arrive(site: Site, page: Page) -> None:
    url = site.put("/said", "<script>segue.track('Before', {n: 1}); segue.identify('u-1', {plan: 'gold'})</script>")
    await page.goto(f"{url}?utm_source=mail#part")
    visitor = await visitor_of(page)
    await page.evaluate("segue.track('After', {n: 2})")
    events = await site.until(visitor, lambda found: "After" in names(found))

    assert sorted(names(events)) == ["After", "Before", "Identified", "Page Viewed"]
    after, before, identified, viewed = sorted(events, key=lambda event: event.name)
    assert (before.properties, after.properties) == ({"n": 1}, {"n": 2})
    assert identified.traits == {"plan": "gold"}
    assert [event.user_id for event in (before, identified, viewed, after)] == [None, "u-1", "u-1", "u-1"]
    assert viewed.properties["path"] == "/said"
    assert viewed.properties["title"] == "said"
    assert viewed.context["page"]["url"] == f"{url}?utm_source=mail"
    assert viewed.context["page"]["search"] == "?utm_source=mail"
    assert viewed.context["library"] == {"name": "segue.js"}


async def test_what_the_backend_signed_goes_with_every_request_and_is_not_kept(site: Site, page: Page) -> None:
    attributes = f'data-endpoint="{site.url}" data-off="pages scroll time"'
    await page.goto(site.put("/signed", "signed", f'{attributes} data-identity-token="of-the-page"'))
    await visitor_of(page)
    calls = ["segue.track('A')", "segue.identify('u-9', {}, {token: 'of-the-call'})", "segue.reset(); segue.track('B')"]
    for number, call in enumerate(calls, start=1):
        await page.evaluate(call)
        await site.until_posted(number)
    tokens = [json.loads(body)["context"].get("identityToken") for body in site.posted]
    assert tokens == ["of-the-page", "of-the-call", None]
    assert "of-the" not in await page.evaluate("JSON.stringify(localStorage)")


async def test_a_method_that_a_page_took_hold_of_before_the_tracker_was_there_goes_on_working(
    site: Site, page: Page
) -> None:
    await page.goto(site.put("/held", "<script>const {track} = segue; track('Early')</script>", 'data-off="pages"'))
    visitor = await visitor_of(page)
    await page.evaluate("track('Late')")
    events = await site.until(visitor, lambda found: "Late" in names(found))
    assert names(events) == ["Early", "Late"]


async def test_a_page_that_is_made_ahead_is_viewed_when_it_is_shown(site: Site, page: Page) -> None:
    """Playwright keeps Chromium from making pages ahead; here the page is only told that it is."""
    await page.add_init_script("Object.defineProperty(document, 'prerendering', {value: true, configurable: true})")
    await page.goto(site.put("/ahead", "<script>segue.track('Ahead')</script>", f'data-endpoint="{site.url}"'))
    site.posted.clear()
    await page.wait_for_timeout(300)
    assert (site.posted, await page.evaluate("localStorage.length")) == ([], 0)
    await page.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: len(found) == 2)
    assert sorted(names(events)) == ["Ahead", "Page Viewed"]
