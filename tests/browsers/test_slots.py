"""The slots of a page: segue.js fills them with what Segue decides, in time, as text, and without a jump."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import BrowserContext, Page, Request, Route, expect

from emulator.client import DEMO_SECRET_KEY
from tests.site import Site, names, visitor_of
from tests.site import site as made

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DEFINITIONS = Path(__file__).with_name("slots.yaml")

BANNER = """
<main><h1>Shop</h1>
<section data-segue-slot="banner" aria-label="Banner">
  <h2 data-segue-text="headline">The shop's own</h2>
  <p data-segue-text="words">Delivered.</p>
  <p><a data-segue-href="link" href="/own">See more</a></p>
</section>
<p id="below">Below</p></main>
"""

QUIET = 'data-off="clicks scroll time" data-token-url="/token"'
"""Nothing but page views, and what slots tell."""

LIVE = f"{QUIET} data-live"

IN_TIME_MS = 15_000

expect.set_options(timeout=IN_TIME_MS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with made(tmp_path_factory.mktemp("slots"), DEFINITIONS) as site:
        yield site


async def slowly(route: Route) -> None:
    await asyncio.sleep(0.5)
    await route.continue_()


async def become_gold(page: Page) -> None:
    await page.evaluate("segue.identify(null, {plan: 'gold'})")


async def shifts(page: Page) -> float:
    """How much of the page has jumped since it was opened: its cumulative layout shift."""
    found: float = await page.evaluate(
        """() => new Promise((resolve) => {
            let sum = 0;
            new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
                .observe({type: "layout-shift", buffered: true});
            requestAnimationFrame(() => setTimeout(() => resolve(sum), 100));
        })"""
    )
    return found


async def test_a_slot_has_the_default_of_segue_for_a_stranger_and_the_variant_on_the_next_page(
    site: Site, page: Page
) -> None:
    await page.goto(site.put("/banner", BANNER, QUIET))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    await expect(page.get_by_role("link")).to_have_attribute("href", "https://shop.example.com/")
    await become_gold(page)
    await page.reload()
    await expect(page.get_by_role("heading", level=2)).to_have_text("Only for gold")
    await expect(page.get_by_role("link")).to_have_attribute("href", "/gold?from=banner#top")
    await expect(page.locator("section")).to_have_attribute("data-segue-variant", "for-gold")
    assert await shifts(page) == 0
    assert (await Axe().run(page)).response["violations"] == []


async def test_what_a_page_asks_before_the_script_is_there_and_after_is_answered(site: Site, page: Page) -> None:
    early = "<script>window.early = segue.decide(['banner', 'nowhere'])</script>"
    await page.goto(site.put("/asked", early, QUIET))
    answer = await page.evaluate("early")
    assert answer["banner"]["content"]["headline"] == "Welcome to all"
    assert answer["nowhere"]["content"] is None
    after = await page.evaluate(
        "async () => { segue.identify(null, {plan: 'gold'}); return await segue.decide(['banner']); }"
    )
    assert (after["banner"]["variant"], after["banner"]["includes_after"]) == ("for-gold", True)


async def test_without_the_script_a_question_is_answered_with_nothing(site: Site, page: Page) -> None:
    await page.route("**/segue.js", lambda route: route.abort())
    await page.goto(site.put("/blocked", BANNER, QUIET))
    assert await page.evaluate("segue.decide(['banner'])") == {}
    await expect(page.get_by_role("heading", level=2)).to_have_text("The shop's own")


@pytest.mark.parametrize("fault", ["stopped", "refusing", "slow", "token", "nonsense"])
async def test_where_no_answer_comes_in_time_the_default_stays_and_nothing_is_raised(
    fault: str, site: Site, page: Page
) -> None:
    """And it stays for good: an answer that comes after the deadline replaces nothing."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    async def faulty(route: Route) -> None:
        if fault == "stopped":
            await route.abort()
        elif fault == "refusing":
            await route.fulfill(status=503)
        elif fault == "nonsense":
            await route.fulfill(body="<html>")
        else:
            await slowly(route)

    await page.route("**/token" if fault == "token" else "**/v1/decide", faulty)
    await page.goto(site.put(f"/{fault}", BANNER, f'{QUIET} data-endpoint="{site.url}" data-deadline="300"'))
    await page.wait_for_function("window.segue?.loaded")
    assert await page.evaluate("segue.decide(['banner'])") == {}
    await page.wait_for_timeout(1_500)
    await expect(page.get_by_role("heading", level=2)).to_have_text("The shop's own")
    assert errors == []
    assert await shifts(page) == 0


async def test_a_script_that_comes_late_replaces_nothing_under_the_readers_eyes_but_what_is_further_down(
    site: Site, page: Page
) -> None:
    async def late(route: Route) -> None:
        await asyncio.sleep(1.5)
        await route.continue_()

    await page.route("**/segue.js", late)
    body = f"{BANNER}<div style='height: 3000px'></div><p data-segue-slot=banner data-segue-text=words>Further down</p>"
    await page.goto(site.put("/late", body, f'{QUIET} data-deadline="1200"'))
    await expect(page.locator("p[data-segue-slot]")).to_have_text("Delivered tomorrow.")
    await expect(page.get_by_role("heading", level=2)).to_have_text("The shop's own")


ATTACKED = """
<main data-segue-slot="attack">
  <h2 data-segue-text="headline"></h2>
  <a id="link" data-segue-href="link">link</a>
  <a id="spaced" data-segue-href="spaced">spaced</a>
  <a id="data" data-segue-href="data">data</a>
  <svg><a data-segue-href="link"><text>link</text></a></svg>
  <img data-segue-src="picture" alt="">
  <img id="quoted" data-segue-alt="quoted" data-segue-title="quoted" src="/none.png" data-segue-onerror="code">
  <iframe data-segue-src="data" data-segue-srcdoc="headline"></iframe>
  <div data-segue-style="quoted" data-segue-innerhtml="headline" data-segue-onclick="code"></div>
  <script type="text/plain" data-segue-text="code" data-segue-src="link"></script>
  <style data-segue-text="quoted"></style>
  <template data-segue-variant="another"><p>Another</p></template>
</main>
"""


async def test_content_is_never_markup_nor_code(site: Site, page: Page) -> None:
    await page.goto(site.put("/attack", ATTACKED, QUIET))
    await expect(page.locator("main")).to_have_attribute("data-segue-variant", "default")
    await expect(page.get_by_role("heading", level=2)).to_contain_text("<script>window.hurt = 2</script>")
    for refused in ("#link", "#spaced", "#data", "main > img:not([id])"):
        await expect(page.locator(refused)).to_be_hidden()
    assert await page.locator("main a[href], main img[src^=data], main svg [*|href]").count() == 0
    await page.locator("#quoted").hover(force=True)
    refused_attributes = "[style], [srcdoc], [onclick], [onerror], [onmouseover], iframe[src], script[src]"
    assert await page.locator("main").locator(refused_attributes).count() == 0
    assert await page.locator("main script, main style").evaluate_all("all => all.map((each) => each.text)") == [
        "",
        None,
    ]
    assert await page.evaluate("window.hurt") is None


TEMPLATES = """
<aside data-segue-slot="banner" aria-label="Banner"><p>The shop's own</p>
  <template data-segue-variant="for-gold">
    <figure><img data-segue-src="picture" data-segue-alt="alt" width="40" height="40">
    <figcaption data-segue-text="headline"></figcaption></figure>
    <p data-segue-text="nothing">is hidden</p>
  </template>
</aside>
"""


async def test_a_variant_with_a_template_is_drawn_by_it_and_others_by_the_pages_own_content(
    site: Site, page: Page
) -> None:
    await page.goto(site.put("/templates", TEMPLATES, QUIET))
    slot = page.locator("aside")
    await expect(slot).to_have_attribute("data-segue-variant", "default")
    await expect(slot).to_have_text("The shop's own")
    await become_gold(page)
    await page.reload()
    await expect(slot.get_by_role("img", name="A gold parcel")).to_have_attribute("src", "/gold.png")
    await expect(slot).to_have_text("Only for gold")
    await expect(slot.locator("> p")).to_be_hidden()


async def test_what_the_sites_server_filled_is_left_until_the_decision_is_another(site: Site, page: Page) -> None:
    filled = BANNER.replace("data-segue-slot", 'data-segue-variant="default" data-segue-slot')
    await page.goto(site.put("/filled", filled, LIVE))
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: "Content Viewed" in names(found))
    told = [event.properties for event in events if event.name == "Content Viewed"]
    assert told == [{"slot": "banner", "variant": "default"}]
    headline = page.get_by_role("heading", level=2)
    await expect(headline).to_have_text("The shop's own")
    await become_gold(page)
    await expect(headline).to_have_text("Only for gold")


async def test_a_strict_policy_for_scripts_and_styles_is_kept(site: Site, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    await page.goto(site.put_strict("/strict", BANNER, QUIET))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    assert complaints == []


async def test_shorter_content_moves_nothing(site: Site, page: Page) -> None:
    long = BANNER.replace("Delivered.", "Delivered in the days that follow. " * 20)
    top = "document.querySelector('#below').getBoundingClientRect().top"
    await page.route("**/v1/decide", slowly)
    await page.goto(site.put("/shorter", long, QUIET))
    before = await page.evaluate(top)
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    assert abs(await page.evaluate(top) - before) < 0.1
    await page.evaluate("document.querySelector('h1').style.marginTop = '300px'")
    assert await shifts(page) > 0.1


async def test_what_was_seen_is_told_once_and_what_was_not_is_not(site: Site, page: Page) -> None:
    further = (
        "<div style='height: 3000px'></div><p data-segue-slot=attack data-segue-text=headline id=end>Further down</p>"
    )
    await page.goto(site.put("/seen", BANNER + further, QUIET))
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: "Content Viewed" in names(found))
    await expect(page.locator("#end")).to_have_attribute("data-segue-variant", "default")
    assert [event.properties for event in events if event.name == "Content Viewed"] == [
        {"slot": "banner", "variant": "default"}
    ]
    await page.locator("#end").scroll_into_view_if_needed()
    await page.evaluate("scrollTo(0, 0)")
    await page.wait_for_timeout(1_500)
    await page.locator("#end").scroll_into_view_if_needed()
    events = await site.until(visitor, lambda found: names(found).count("Content Viewed") == 2)
    assert sorted(event.properties["slot"] for event in events if event.name == "Content Viewed") == [
        "attack",
        "banner",
    ]


async def test_before_consent_and_after_its_withdrawal_nothing_is_asked_and_nothing_is_told(
    site: Site, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    await page.goto(site.put("/consent", BANNER, f'{QUIET} data-consent="required" data-live'))
    await page.wait_for_function("segue.loaded")
    assert await page.evaluate("segue.decide(['banner'])") == {}
    assert asked == []
    await page.evaluate("segue.consent({analytics: true})")
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    visitor = await visitor_of(page)
    await page.evaluate("segue.consent({analytics: false})")
    events = await site.until(visitor, lambda found: names(found).count("Segment Consent Preference Updated") == 2)
    asked.clear()
    await page.wait_for_timeout(2_000)
    assert await page.evaluate("segue.decide(['banner'])") == {}
    assert asked == []
    assert "Content Viewed" not in names(await site.events(visitor)), names(events)


async def test_a_token_is_asked_for_once_and_again_before_it_expires(site: Site, page: Page) -> None:
    site.tokens.clear()
    await page.goto(site.put("/token-url", BANNER, QUIET))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    await page.evaluate("Promise.all([segue.decide(['banner']), segue.decide(['banner'])])")
    assert len(site.tokens) == 1
    await page.evaluate("{ const now = Date.now; Date.now = () => now() + 880_000; }")
    answer = await page.evaluate("segue.decide(['banner'])")
    assert answer["banner"]["variant"] == "default"
    assert len(site.tokens) == 2


async def test_a_token_of_the_page_is_used_until_it_is_refused(site: Site, page: Page) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.method == "POST" else None)
    attributes = 'data-off="pages clicks scroll time"'
    await page.goto(site.put("/first", "first", f'{attributes} data-token-url="/token"'))
    await page.evaluate("segue.decide(['banner'])")
    good = site.tokens[-1]
    site.tokens.clear()
    await page.goto(site.put("/own", BANNER, f'{attributes} data-token="{good}"'))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    assert site.tokens == []
    await page.goto(site.put("/refused", BANNER, f'{attributes} data-token="{good}x" data-token-url="/token"'))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    assert len(site.tokens) == 1
    await page.goto(site.put("/refused-for-good", BANNER, f'{attributes} data-token="{good}x"'))
    await page.wait_for_function("segue.loaded")
    assert await page.evaluate("segue.decide(['banner'])") == {}
    await expect(page.get_by_role("heading", level=2)).to_have_text("The shop's own")


async def test_another_visitor_has_another_token(site: Site, page: Page) -> None:
    await page.goto(site.put("/reset", BANNER, QUIET))
    await become_gold(page)
    assert (await page.evaluate("segue.decide(['banner'])"))["banner"]["variant"] == "for-gold"
    await page.evaluate("segue.reset()")
    assert (await page.evaluate("segue.decide(['banner'])"))["banner"]["variant"] == "default"
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")


TRIAL = "<h1>Shop</h1>{above}<p data-segue-slot=trial data-segue-text=headline>The shop's own</p>"


async def test_a_visitor_keeps_their_arm_and_their_exposure_is_told_once_when_they_have_seen_it(
    site: Site, page: Page
) -> None:
    slot = page.locator("[data-segue-slot]")
    await page.goto(site.put("/trial-below", TRIAL.format(above="<div style='height: 3000px'></div>"), QUIET))
    await expect(slot).to_have_attribute("data-segue-variant", re.compile("short|long"))
    arm = await slot.get_attribute("data-segue-variant")
    visitor = await visitor_of(page)
    await page.wait_for_timeout(1_500)
    assert "Experiment Viewed" not in names(await site.events(visitor))
    await page.goto(site.put("/trial", TRIAL.format(above=""), QUIET))
    await site.until(visitor, lambda found: names(found).count("Content Viewed") == 1)
    await page.reload()
    await site.until(visitor, lambda found: names(found).count("Content Viewed") == 2)
    await page.evaluate("segue.decide(['trial'])")
    await page.evaluate("segue.track('Done')")
    events = await site.until(visitor, lambda found: "Done" in names(found))
    exposures = [event for event in events if event.name == "Experiment Viewed"]
    assert [(event.properties["experiment_id"], event.properties["variation_id"]) for event in exposures] == [
        ("wording", arm)
    ]


async def test_a_login_changes_no_arm_though_the_user_would_be_drawn_another(site: Site, page: Page) -> None:
    await page.goto(site.put("/stranger", "<h1>Shop</h1>", QUIET))
    shown = (await page.evaluate("segue.decide(['trial'])"))["trial"]["experiment"]["arm"]
    async with httpx.AsyncClient(base_url=site.segue, auth=(DEMO_SECRET_KEY, ""), trust_env=False) as server:
        for number in range(50):
            user = {"profile": {"user_id": f"user-{number}"}}
            asked = {**user, "slots": ["trial"], "deadline_ms": 10_000}
            if (await server.post("/v1/decide", json=asked)).json()["trial"]["experiment"]["arm"] != shown:
                break
        token = (await server.post("/v1/tokens", json=user)).json()["token"]
    await page.goto(site.put("/user", "<h1>Shop</h1>", f'data-off="pages clicks scroll time" data-token="{token}"'))
    assert (await page.evaluate("segue.decide(['trial'])"))["trial"]["experiment"]["arm"] == shown


async def test_who_asks_by_their_own_code_is_exposed_by_the_answer(site: Site, page: Page) -> None:
    await page.goto(site.put("/asked-trial", "<h1>Shop</h1>", QUIET))
    answer = await page.evaluate("segue.decide(['trial'])")
    visitor = await visitor_of(page)
    events = await site.until(visitor, lambda found: "Experiment Viewed" in names(found))
    told = [event for event in events if event.name == "Experiment Viewed"]
    assert [event.message_id for event in told] == [answer["trial"]["experiment"]["exposure"]["messageId"]]


async def test_an_open_page_changes_with_its_visitor_and_only_where_the_decision_did(site: Site, page: Page) -> None:
    body = f"{BANNER}<p id=other data-segue-slot=attack data-segue-text=code>Other</p>"
    await page.goto(site.put("/live", body, LIVE))
    headline = page.get_by_role("heading", level=2)
    await expect(headline).to_have_text("Welcome to all")
    await expect(page.locator("#other")).to_have_attribute("data-segue-variant", "default")
    await page.get_by_role("link").focus()
    await page.evaluate(
        "new MutationObserver(() => { window.touched = true; })"
        ".observe(document.querySelector('#other'), {attributes: true, childList: true, characterData: true})"
    )
    await page.wait_for_timeout(2_500)  # a page that was read for a while
    await become_gold(page)
    await expect(headline).to_have_text("Only for gold")
    await expect(page.get_by_role("link")).to_be_focused()
    assert await page.evaluate("window.touched") is None
    await page.evaluate("segue.identify(null, {plan: 'silver'})")
    await expect(headline).to_have_text("Welcome to all")


async def test_what_another_tab_does_changes_this_one(site: Site, visitor: BrowserContext, page: Page) -> None:
    await page.goto(site.put("/tab", BANNER, LIVE))
    await expect(page.get_by_role("heading", level=2)).to_have_text("Welcome to all")
    other = await visitor.new_page()
    await other.goto(site.put("/other-tab", "<h1>Other</h1>", QUIET))
    await visitor_of(other)
    await become_gold(other)
    await expect(page.get_by_role("heading", level=2)).to_have_text("Only for gold")


async def test_a_stream_is_opened_anew_before_its_token_expires_and_for_another_visitor_and_closed_after_a_withdrawal(
    site: Site, page: Page
) -> None:
    opened: list[str] = []
    closed: list[str] = []
    page.on("request", lambda request: opened.append(request.url) if "/v1/stream" in request.url else None)
    page.on("requestfailed", lambda request: closed.append(request.url) if "/v1/stream" in request.url else None)

    async def until(streams: list[str], count: int) -> None:
        async with asyncio.timeout(IN_TIME_MS / 1_000):
            while len(streams) < count:  # noqa: ASYNC110  (they come when they come)
                await asyncio.sleep(0.05)

    await page.goto(site.put("/streams", BANNER, LIVE))
    await until(opened, 1)
    await page.wait_for_timeout(1_000)  # two tokens of the same second are the same
    await page.evaluate("{ const now = Date.now; Date.now = () => now() + 880_000; }")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await until(opened, 2)
    await page.evaluate("segue.reset()")
    await until(opened, 3)
    await page.evaluate("segue.consent({analytics: false})")
    await until(closed, 3)
    assert len(set(opened)) == 3
    assert closed == opened
