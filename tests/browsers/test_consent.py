"""Where consent is required, segue.js keeps and sends nothing before it is given, and nothing after its withdrawal."""

from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from segue.domain.event import Event
from tests.site import Site, names, visitor_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CHANGED = "Segment Consent Preference Updated"


def consent_of(event: Event) -> tuple[dict[str, bool], str | None]:
    """What the visitor had chosen when it happened, and the version of the text they read."""
    consent = event.context["consent"]
    return consent["categoryPreferences"], consent.get("version")


async def kept(page: Page) -> dict[str, Any]:
    """What the browser keeps for the site: storage and cookies."""
    storage = await page.evaluate("({...localStorage, ...sessionStorage})")
    cookies = {cookie["name"]: cookie["value"] for cookie in await page.context.cookies()}
    return {**storage, **cookies}


async def asked_first(site: Site, page: Page, path: str, more: str = "") -> list[str]:
    """Open a page that requires consent; the bodies of what is sent to Segue from now on."""
    sent: list[str] = []
    page.context.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await page.goto(site.put(path, "<button>Add</button>", f'data-consent="required" data-cookie {more}'))
    await page.wait_for_function("segue.loaded")
    return sent


async def test_before_consent_nothing_is_kept_and_nothing_is_sent(site: Site, page: Page) -> None:
    sent = await asked_first(site, page, "/asked")
    await page.evaluate(
        "segue.track('Held'); segue.identify('u-1', {plan: 'gold'}); segue.consent({personalization: true})"
    )
    await page.click("button")
    assert await page.evaluate("segue.anonymousId()") is None
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.goto(site.put("/other", "other", 'data-consent="required"'))
    await page.close()
    assert sent == []


async def test_what_was_held_is_sent_once_the_visitor_agrees(site: Site, page: Page) -> None:
    sent = await asked_first(site, page, "/agreed")
    await page.evaluate("segue.track('Held')")
    assert (await kept(page), sent) == ({}, [])
    await page.evaluate("segue.consent({analytics: true, advertising: false}, {version: 'v3'})")
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: CHANGED in names(found))

    assert sorted(names(events)) == ["Held", "Page Viewed", CHANGED]
    assert [consent_of(event) for event in events] == [({"analytics": True, "advertising": False}, "v3")] * 3
    assert (await kept(page))["segue_anonymous_id"] == visitor

    await page.goto(site.put("/next", "next", 'data-consent="required" data-cookie'))
    assert await visitor_of(page) == visitor
    await page.evaluate("segue.consent({analytics: true, advertising: false}, {version: 'v3'})")
    await page.evaluate("segue.track('Done')")
    events = await site.until(visitor, lambda found: "Done" in names(found))
    assert names(events).count(CHANGED) == 1
    assert consent_of(events[-1]) == ({"analytics": True, "advertising": False}, "v3")


async def test_what_was_held_is_dropped_when_the_visitor_refuses(site: Site, page: Page) -> None:
    sent = await asked_first(site, page, "/refused")
    await page.evaluate("segue.track('Held'); segue.consent({analytics: false}); segue.track('After')")
    await page.click("button")
    await page.evaluate("segue.consent({analytics: true})")
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: CHANGED in names(found))
    assert names(events) == [CHANGED]
    assert len(sent) == 1


async def test_withdrawal_is_the_last_that_is_heard_and_nothing_stays(site: Site, page: Page) -> None:
    sent = await asked_first(site, page, "/withdrawn")
    await page.evaluate("segue.consent({analytics: true}); segue.identify('u-2')")
    visitor = await visitor_of(page)
    await site.until(visitor, lambda found: "Identified" in names(found))
    await page.evaluate("segue.consent({analytics: false})")
    events = await site.until(visitor, lambda found: names(found).count(CHANGED) == 2)
    assert consent_of(events[-1]) == ({"analytics": False}, None)
    assert await kept(page) == {}

    before = len(sent)
    await page.evaluate("segue.track('After')")
    await page.click("button")
    assert await page.evaluate("segue.anonymousId()") is None
    await page.reload()
    await page.wait_for_function("segue.loaded")
    assert (await kept(page), len(sent)) == ({}, before)


async def test_of_what_could_not_be_delivered_yet_only_the_withdrawal_itself_stays_until_it_is(
    site: Site, page: Page
) -> None:
    url = site.put("/outage", "outage", f'data-consent="required" data-endpoint="{site.url}"')
    await page.goto(url)
    await page.wait_for_function("segue.loaded")
    await page.evaluate("segue.consent({analytics: true})")
    visitor = await visitor_of(page)
    await site.until(visitor, lambda found: CHANGED in names(found))
    site.faults = [(503, {})] * 20
    await page.evaluate("localStorage.segue_queue_other = '[]'; segue.track('Undelivered')")
    await page.evaluate("segue.consent({analytics: false})")
    await page.goto("about:blank")
    site.faults = []
    await page.goto(url)
    events = await site.until(visitor, lambda found: names(found).count(CHANGED) == 2)
    assert consent_of(events[-1]) == ({"analytics": False}, None)
    assert "Undelivered" not in names(events)
    await page.wait_for_function("!Object.keys(localStorage).length")


async def test_another_tab_of_the_same_visitor_stops_with_it(site: Site, visitor: BrowserContext) -> None:
    first, second = await visitor.new_page(), await visitor.new_page()
    url = site.put("/tabs", "tab")
    await first.goto(url)
    id_ = await visitor_of(first)
    await second.goto(url)
    assert await visitor_of(second) == id_
    await first.evaluate("segue.consent({analytics: false})")
    await second.wait_for_function("segue.anonymousId() === null")
    assert await second.evaluate("segue.track('After')") is None


async def test_where_nobody_is_asked_a_refusal_is_remembered_and_nothing_else(site: Site, page: Page) -> None:
    url = site.put("/unasked", "unasked")
    await page.goto(url)
    visitor = await visitor_of(page)
    await page.evaluate("segue.consent({analytics: false})")
    await site.until(visitor, lambda found: CHANGED in names(found))
    assert set(await kept(page)) == {"segue_consent"}
    await page.goto(url)
    await page.wait_for_function("segue.loaded")
    assert await page.evaluate("segue.track('After')") is None
    assert set(await kept(page)) == {"segue_consent"}


async def test_the_cookie_lets_the_server_know_the_visitor_and_brings_the_id_back(site: Site, page: Page) -> None:
    url = site.put("/cookie", "cookie", "data-cookie")
    await page.goto(url)
    visitor = await visitor_of(page)
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["value"], cookie["sameSite"]) == ("segue_anonymous_id", visitor, "Lax")
    await page.evaluate("localStorage.clear()")
    await page.goto(url)
    assert await visitor_of(page) == visitor


async def test_reset_makes_somebody_new_of_the_visitor(site: Site, page: Page) -> None:
    await page.goto(site.put("/reset", "reset"))
    before = await visitor_of(page)
    await page.evaluate("segue.identify('u-3')")
    await page.evaluate("segue.reset()")
    after = await visitor_of(page)
    assert after != before
    await page.evaluate("segue.track('After')")
    events = await site.until(after, lambda found: "After" in names(found))
    assert [event.user_id for event in events] == [None]
    assert "segue_user_id" not in await kept(page)
