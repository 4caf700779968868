"""What segue.js takes on arrives once, whatever the network, the server or the visitor does meanwhile."""

import json
from collections import Counter

import pytest
from playwright.async_api import BrowserContext, Page, Route

from segue.domain.event import Event
from tests.browser import chromium
from tests.site import Fault, Site, names, visitor_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SAID = [f"Said {number}" for number in range(5)]

THROUGH_THE_SITE = 'data-endpoint="{url}" data-off="pages clicks scroll time"'
"""The calls go by the site, which gives the faults; nothing is captured besides."""


async def say(page: Page) -> None:
    for name in SAID:
        await page.evaluate("name => segue.track(name)", name)


def once(events: list[Event]) -> Counter[str]:
    """How often each event is in the archive, by its message id: once, unless a client sent it again."""
    return Counter(event.message_id for event in events)


async def opened(site: Site, page: Page, path: str) -> str:
    await page.goto(site.put(path, path, THROUGH_THE_SITE.format(url=site.url)))
    site.posted.clear()
    return await visitor_of(page)


@pytest.mark.parametrize(
    "faults",
    [
        [(500, {})],
        [(503, {}), (500, {})],
        [(429, {"Retry-After": "1"})],
        [(429, {}), (502, {})],
    ],
    ids=str,
)
async def test_what_a_server_cannot_take_now_is_sent_again_and_arrives_once(
    faults: list[Fault], site: Site, page: Page
) -> None:
    visitor = await opened(site, page, "/faults")
    site.faults = list(faults)
    await say(page)
    events = await site.until(visitor, lambda found: set(names(found)) >= set(SAID))
    assert sorted(names(events)) == SAID
    assert set(once(events).values()) == {1}
    first, *_, last = (json.loads(body) for body in site.posted[: len(faults) + 1])
    assert [call["messageId"] for call in first["batch"]] == [call["messageId"] for call in last["batch"]][:1]
    assert first["sentAt"] < last["sentAt"]


async def test_a_page_that_stays_open_goes_on_sending(site: Site, page: Page) -> None:
    """Chromium lets 64 KiB outlive a page at a time, and refuses what is more."""
    await page.goto(site.put("/long", "long", 'data-off="pages clicks scroll time"'))
    visitor = await visitor_of(page)
    await page.evaluate(
        """async () => {
            for (let number = 0; number < 200; number++) {
                segue.track("Long", {text: "x".repeat(500)});
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
        }"""
    )
    events = await site.until(visitor, lambda found: len(found) == 200)
    assert names(events) == ["Long"] * 200


async def test_what_a_server_refuses_for_good_is_not_sent_again(site: Site, page: Page) -> None:
    visitor = await opened(site, page, "/refused")
    site.faults = [(400, {})]
    await page.evaluate("segue.track('Refused')")
    await page.evaluate("segue.track('Taken')")
    events = await site.until(visitor, lambda found: "Taken" in names(found))
    assert names(events) == ["Taken"]
    assert [len(json.loads(body)["batch"]) for body in site.posted] == [1, 1]


async def test_retry_after_is_waited_for(site: Site, page: Page) -> None:
    await page.clock.install()
    visitor = await opened(site, page, "/later")
    site.faults = [(429, {"Retry-After": "20"})]
    async with page.expect_response("**/v1/batch") as answer:
        await page.evaluate("segue.track('Waits')")
    assert (await answer.value).status == 429
    await page.evaluate("segue.track('Waits too')")
    await page.clock.run_for(19_000)
    assert len(site.posted) == 1
    await page.clock.run_for(11_500)
    events = await site.until(visitor, lambda found: len(found) == 2)
    assert names(events) == ["Waits", "Waits too"]
    assert len(site.posted) == 2


async def test_an_answer_that_is_lost_on_its_way_doubles_nothing(site: Site, page: Page) -> None:
    lost: list[str] = []

    async def lose(route: Route) -> None:
        if lost:
            await route.continue_()
            return
        lost.append(route.request.post_data or "")
        await route.fetch()
        await route.abort()

    visitor = await opened(site, page, "/lost")
    await page.route("**/v1/batch", lose)
    await page.evaluate("segue.track('Once')")
    await site.until(visitor, lambda found: len(site.posted) > 1 and len(found) > 1)
    events = await site.events(visitor)
    assert set(names(events)) == {"Once"}
    assert len(once(events)) == 1


async def test_what_happens_without_a_network_arrives_when_it_is_back(site: Site, page: Page) -> None:
    visitor = await opened(site, page, "/offline")
    await page.context.set_offline(True)
    await say(page)
    await page.wait_for_timeout(200)
    assert site.posted == []
    await page.context.set_offline(False)
    events = await site.until(visitor, lambda found: set(names(found)) >= set(SAID))
    assert names(events) == SAID
    assert set(once(events).values()) == {1}


async def test_what_a_page_could_not_send_the_next_one_sends(site: Site, page: Page) -> None:
    visitor = await opened(site, page, "/outage")
    site.faults = [(503, {})] * 50
    await say(page)
    await page.wait_for_timeout(200)
    await page.goto("about:blank")
    site.faults = []
    await opened(site, page, "/after")
    await page.evaluate("segue.track('After')")
    events = await site.until(visitor, lambda found: set(names(found)) >= {*SAID, "After"})
    assert sorted(names(events)) == ["After", *SAID]
    assert set(once(events).values()) == {1}
    # The archive has them before the page has its answers.
    await page.wait_for_function("!Object.keys(localStorage).some((name) => name.includes('queue'))")


@pytest.mark.parametrize("leave", ["close", "navigate", "click"])
async def test_a_page_that_is_left_at_once_still_delivers(
    leave: str, site: Site, page: Page, visitor: BrowserContext
) -> None:
    await page.goto(site.put("/known", "known"))
    id_ = await visitor_of(page)
    short = await visitor.new_page()
    tag = "<a href='about:blank' onclick='segue.track(\"Left\")'>leave</a>"
    await short.goto(site.put(f"/left-{leave}", tag))
    await short.wait_for_function("segue.loaded")
    if leave == "close":
        await short.evaluate("segue.track('Left')")
        await short.close(run_before_unload=True)
    elif leave == "navigate":
        await short.evaluate("segue.track('Left'); location = 'about:blank'")
    else:
        await short.click("a")
    events = await site.until(id_, lambda found: "Left" in names(found) and "Page Engaged" in names(found))
    assert set(once([event for event in events if event.name == "Left"]).values()) == {1}
    assert ("Element Clicked" in names(events)) == (leave == "click")


async def test_without_keepalive_the_last_events_go_by_a_beacon(site: Site, page: Page) -> None:
    await page.add_init_script("delete Request.prototype.keepalive")
    await page.goto(site.put("/beacon", "beacon"))
    visitor = await visitor_of(page)
    await page.evaluate(
        "segue.track('Left'); document.dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pagehide'))"
    )
    await page.goto("about:blank")
    events = await site.until(visitor, lambda found: "Left" in names(found))
    assert "Left" in names(events)


async def test_much_at_once_goes_in_parts_that_outlive_a_page(site: Site, page: Page) -> None:
    visitor = await opened(site, page, "/much")
    await page.evaluate("for (let n = 0; n < 60; n++) segue.track('Much', {n, text: 'é'.repeat(1000)})")
    events = await site.until(visitor, lambda found: len(found) >= 60)
    assert [event.properties["n"] for event in events] == list(range(60))
    assert max(len(body.encode()) for body in site.posted) < 65_536


async def test_what_cannot_be_sent_at_all_does_not_hold_up_the_rest_nor_break_the_page(site: Site, page: Page) -> None:
    visitor = await opened(site, page, "/odd")
    await page.evaluate(
        """const circle = {}; circle.circle = circle;
        segue.track("Circle", circle); segue.track("Large", {text: "x".repeat(100_000)}); segue.track("Good")"""
    )
    events = await site.until(visitor, lambda found: "Good" in names(found))
    assert names(events) == ["Good"]


async def test_a_robot_is_left_out(site: Site) -> None:
    async with chromium() as browser:
        page = await browser.new_page()
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        await page.goto(site.put("/robot", "<button>Add</button>"))
        await page.wait_for_function("segue.loaded")
        await page.click("button")
        assert await page.evaluate("segue.track('Said') ?? segue.consent({analytics: true}) ?? null") is None
        assert await page.evaluate("localStorage.length") == 0
        await page.goto("about:blank")
        assert sent == []


async def test_a_page_that_comes_back_from_the_browsers_memory_is_viewed_again(site: Site) -> None:
    async with chromium("--disable-blink-features=AutomationControlled", keep_pages=True) as browser:
        context = await browser.new_context(user_agent="a person's")
        page = await context.new_page()
        await page.goto(site.put("/back", "back"))
        visitor = await visitor_of(page)
        await page.evaluate("window.same = true")
        await page.goto(site.put("/forth", "forth"))
        await page.go_back(wait_until="commit")
        assert await page.evaluate("window.same")
        events = await site.until(visitor, lambda found: names(found).count("Page Viewed") == 3)
    views = [event.properties for event in events if event.name == "Page Viewed"]
    assert [view["path"] for view in views] == ["/back", "/forth", "/back"]
    assert len({view["page_view_id"] for view in views}) == 3
