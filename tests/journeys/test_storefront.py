"""A real browser in the demo shop plays the mission's sentences; what it sees is kept in build/screenshots."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.browser import browser, page, visiting, visitor
from tests.journeys.running import ROOT, running

__all__ = ["browser", "page", "visitor"]

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCREENSHOTS = ROOT / "build" / "screenshots"
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = {
    "home": "/",
    "category": "/collections/dresses",
    "product": "/products/marlow-midi",
    "search": "/search?q=linen",
    "cart": "/cart",
    "checkout": "/checkout",
    "thanks": "/thanks",
    "privacy": "/privacy",
    "not-found": "/nowhere",
}
TOLD = (
    *("Page Viewed", "Promotion Viewed", "Products Searched", "Product Clicked", "Product Viewed", "Product Added"),
    *("Product Removed", "Cart Viewed", "Coupon Denied", "Coupon Applied", "Coupon Removed", "Checkout Started"),
    *("Order Completed", "Brochure Downloaded", "Newsletter Subscribed", "Identified"),
)

VISITOR_ID = "segue_anonymous_id"
IN_TIME_MS = 20_000

expect.set_options(timeout=IN_TIME_MS)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a shop where a cart is abandoned after five seconds."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(ROOT / "infra" / "catalog", folder / "catalog")
    segments = folder / "catalog" / "segments.yaml"
    written = segments.read_text(encoding="utf-8")
    assert "for: 30m" in written
    segments.write_text(written.replace("for: 30m", "for: 5s"), encoding="utf-8")
    with running(folder / "data", "--shop", "--catalog", str(folder / "catalog")) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def segue(shop: str) -> AsyncIterator[Client]:
    async with Client.connected(shop) as client:
        yield client


async def enter(page: Page, shop: str) -> None:
    """Come to the shop for the first time, and agree."""
    await page.goto(shop)
    await page.get_by_role("button", name="Yes, agree").click()
    await expect(segment(page, "new-visitor")).to_be_attached()


def segment(page: Page, id_: str) -> Locator:
    """The segment as the panel shows it, if the visitor is in it."""
    return page.locator(f'[data-segment="{id_}"]')


async def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


async def arrive(page: Page, heading: str) -> None:
    """Wait for a page, and stay until its scripts have run and told of it."""
    await expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
    await page.wait_for_load_state("load")


async def add(page: Page) -> None:
    await page.get_by_role("button", name="Add to cart").click()
    await arrive(page, "Your cart")


async def home(page: Page) -> None:
    await page.get_by_role("banner").get_by_role("link", name="Lisière").click()


async def id_of(visitor: BrowserContext) -> str | None:
    """The id that the visitor carries."""
    return next((each["value"] for each in await visitor.cookies() if each["name"] == VISITOR_ID), None)


async def stored(page: Page) -> list[str]:
    """The names of everything that the shop keeps in the browser."""
    names: list[str] = await page.evaluate("() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    return sorted([*names, *(each["name"] for each in await page.context.cookies())])


async def test_most_of_a_film_and_an_add_are_high_purchase_intent_and_the_next_page_has_its_hero(
    page: Page, shop: str
) -> None:
    await enter(page, shop)
    await page.get_by_role("link", name="Watch the film").click()
    await page.locator("video").evaluate(
        """film => new Promise((seen) => {
            film.playbackRate = 8;
            film.addEventListener("timeupdate", () => film.currentTime > film.duration * 0.8 && seen());
            film.play();
        })"""
    )
    await add(page)
    await expect(segment(page, "high-purchase-intent")).to_contain_text("since")
    await segment(page, "high-purchase-intent").get_by_text("Why").click()
    await expect(segment(page, "high-purchase-intent")).to_contain_text("Video Content Playing")
    await keep(page, "journey-high-purchase-intent-why")
    await home(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your favourite is waiting in the cart")
    await keep(page, "journey-high-purchase-intent-hero")


async def test_four_products_of_a_category_and_an_add_are_a_discount(page: Page, shop: str) -> None:
    await enter(page, shop)
    for name in ("Lund wide", "Pico cropped", "Arno pleated", "Fell cord"):
        await page.get_by_role("banner").get_by_role("link", name="Trousers").click()
        await page.get_by_role("main").get_by_role("link", name=name).click()
        await arrive(page, name)
    await add(page)
    await expect(segment(page, "category-browser")).to_be_visible()
    await home(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("10 % off in the category you are looking at")
    await keep(page, "journey-discount-hero")


async def test_an_open_page_changes_its_hero_by_what_is_done_in_another_tab(
    page: Page, visitor: BrowserContext, shop: str
) -> None:
    await enter(page, shop)
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Welcome! Find your first favourite")
    await page.evaluate("window.same = true")
    tab = await visitor.new_page()
    for product in ("lund-wide", "pico-cropped", "arno-pleated", "fell-cord"):
        await tab.goto(f"{shop}/products/{product}")
        await tab.wait_for_load_state("load")
    await add(tab)
    await expect(page.get_by_role("heading", level=1)).to_have_text("10 % off in the category you are looking at")
    hero = page.locator("[data-segue-slot=homepage-hero]")
    await expect(hero.get_by_role("link", name="See the offer")).to_have_attribute("href", "/collections/offers")
    await expect(hero).to_contain_text("Use the code CATEGORY10 in the cart.")
    assert await page.evaluate("same")
    assert await flaws(page, "journey-live-hero") == []


async def test_a_cart_that_is_left_is_abandoned_without_another_click(page: Page, shop: str) -> None:
    await enter(page, shop)
    await page.goto(f"{shop}/products/kit-crossbody")
    await add(page)
    await expect(segment(page, "new-visitor")).to_be_visible()
    await expect(segment(page, "cart-abandoner")).to_be_visible()
    await home(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Still thinking it over? Delivery is free today")
    await expect(page.get_by_role("region", name="Reminder")).to_contain_text("Your cart is as you left it.")
    assert await flaws(page, "journey-cart-abandoner-hero") == []


async def test_nothing_is_stored_or_sent_before_the_visitor_agrees_nor_after_a_refusal(
    page: Page, shop: str, segue: Client
) -> None:
    before = await segue.ledger()
    await page.goto(shop)
    await page.goto(f"{shop}/products/marlow-midi")
    assert await stored(page) == []
    await page.get_by_role("button", name="No, thank you").click()
    await expect(page.get_by_text("You did not agree")).to_be_attached()
    await page.goto(f"{shop}/collections/bags")
    assert await stored(page) == ["choice"]
    await segue.settle()
    assert await segue.ledger() == before


async def test_who_withdraws_is_in_no_segment_any_more_and_nothing_more_is_stored(
    page: Page, visitor: BrowserContext, shop: str, segue: Client
) -> None:
    await enter(page, shop)
    await page.goto(f"{shop}/products/kit-crossbody")
    await add(page)
    await expect(segment(page, "cart-abandoner")).to_be_visible()
    profile = ProfileRef("anonymous_id", await id_of(visitor) or "")
    assert (await segue.segments(profile))["segments"] != []

    await page.get_by_role("contentinfo").get_by_role("link", name="Your privacy").click()
    for switch in await page.get_by_role("switch").all():
        await switch.uncheck()
    await page.get_by_role("button", name="Keep this choice").click()
    await expect(page.get_by_text("You did not agree")).to_be_attached()
    await expect_forgotten(page)
    while (await segue.segments(profile))["segments"]:
        await page.wait_for_timeout(50)  # Segue hears of it a moment after the browser has forgotten
    await segue.settle()

    told = await segue.ledger()
    await page.goto(f"{shop}/products/marlow-midi")
    await add(page)
    await home(page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("New arrivals this week")
    await segue.settle()
    assert await segue.ledger() == told
    assert await stored(page) == ["cart", "choice"]


async def expect_forgotten(page: Page) -> None:
    """The browser keeps no id of the visitor any more, as soon as the tracker has heard of it."""
    while VISITOR_ID in await stored(page):
        await page.wait_for_timeout(50)


async def test_who_sees_what_is_known_and_has_it_erased_is_unknown(
    page: Page, visitor: BrowserContext, shop: str, segue: Client
) -> None:
    await enter(page, shop)
    await page.goto(f"{shop}/products/kit-crossbody")
    await add(page)
    id_ = await id_of(visitor) or ""
    profile = ProfileRef("anonymous_id", id_)
    await page.get_by_role("contentinfo").get_by_role("link", name="Your privacy").click()
    await segue.settle()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Show me all of it").click()
    exported = (await (await downloading.value).path()).read_text(encoding="utf-8")
    assert "Product Added" in exported
    assert id_ in exported
    await keep(page, "journey-privacy")

    await page.get_by_role("button", name="Erase me").click()
    await expect(page.get_by_text("You are forgotten")).to_be_visible()
    await keep(page, "journey-erased")
    await segue.settle()
    known = await segue.segments(profile)
    assert (known["known"], known["segments"]) == (False, [])
    assert await stored(page) == []
    await home(page)
    await expect(page.get_by_role("button", name="Yes, agree")).to_be_visible()
    await segue.settle()
    assert (await segue.segments(profile))["known"] is False


async def test_a_whole_visit_makes_a_buyer_who_is_the_same_visitor_after_subscribing(
    page: Page, visitor: BrowserContext, shop: str, segue: Client
) -> None:
    await enter(page, shop)
    await page.get_by_role("searchbox").fill("linen")
    await page.get_by_role("searchbox").press("Enter")
    await page.get_by_role("main").get_by_role("link", name="Nori linen trousers").click()
    await add(page)
    await page.get_by_role("button", name="Remove Nori linen trousers").click()
    await expect(page.get_by_text("There is nothing in it yet.")).to_be_visible()
    await page.goto(f"{shop}/products/nori-linen")
    await add(page)
    await page.get_by_label("Coupon").fill("nothing")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_text("There is no coupon NOTHING.")).to_be_visible()
    await page.get_by_label("Coupon").fill("SUMMER10")
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_role("button", name="Take it off").click()
    await expect(page.get_by_text("SUMMER10 is taken off again.")).to_be_visible()
    await page.get_by_role("link", name="To the checkout").click()
    for field in ("Name", "Street and number", "Postcode and city"):
        await page.get_by_label(field).fill("Somewhere")
    await page.get_by_role("button", name="Place the order").click()
    await expect(segment(page, "completed-buyer")).to_be_visible()
    async with page.expect_download():
        await page.get_by_role("link", name="Summer lookbook").click()
    await page.get_by_label("Your e-mail address").fill("ann@example.com")
    await page.get_by_role("button", name="Subscribe").click()
    await expect(page.get_by_text("The next letter from the studio is yours.")).to_be_visible()
    await expect(segment(page, "completed-buyer")).to_be_visible()
    await segue.settle()

    customer = next(each["value"] for each in await visitor.cookies() if each["name"] == "customer")
    held = [segment["id"] for segment in (await segue.segments(ProfileRef("user_id", customer)))["segments"]]
    assert {"completed-buyer", "new-visitor"} <= set(held)
    exported = json.dumps(await segue.export(ProfileRef("user_id", customer)))
    assert {name for name in TOLD if f'"{name}"' not in exported} == set()
    assert "ann@example.com" not in exported


async def test_the_shop_is_used_by_the_keyboard_alone(page: Page, shop: str) -> None:
    await enter(page, shop)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(f"{shop}/products/vera-loafer")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Add to cart").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your cart")).to_be_visible()
    toggle = page.get_by_role("complementary").get_by_role("button")
    await toggle.focus()
    await page.keyboard.press("Enter")
    await expect(segment(page, "new-visitor")).to_be_visible()
    await keep(page, "journey-panel-on-a-phone")
    await page.keyboard.press("Escape")
    await expect(segment(page, "new-visitor")).to_be_hidden()


@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_fits_and_is_accessible(browser: Browser, shop: str, width: str) -> None:
    """Before the visitor agrees, and after, with a full cart and the panel open; whatever axe-core finds is shown."""
    found = []
    async with visiting(browser) as visitor:
        page = await visitor.new_page()
        size = WIDTHS[width]
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        await page.goto(shop)
        found += await flaws(page, f"{width}-consent")
        await enter(page, shop)
        await page.goto(f"{shop}/products/tess-slip")
        await add(page)
        for name, path in PAGES.items():
            await page.goto(shop + path)
            await expect(segment(page, "new-visitor")).to_be_attached()
            found += await flaws(page, f"{width}-{name}")
        await page.goto(shop)
        if width == "phone":
            await page.get_by_role("complementary").get_by_role("button").click()
        await page.get_by_text("segments you are not in").click()
        await page.get_by_role("complementary").get_by_text("Completed buyer").click()
        await expect(page.get_by_role("complementary")).to_contain_text("one more")
        found += await flaws(page, f"{width}-panel")
    assert found == []


async def flaws(page: Page, name: str) -> list[str]:
    """What is wrong with a page, which is kept as it looks."""
    await keep(page, name)
    result = await Axe().run(page)
    too_wide = await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    found = [
        f"{name}: {flaw['id']}: {node['target']} {node['failureSummary']}"
        for flaw in result.response["violations"]
        for node in flaw["nodes"]
    ]
    return [*found, f"{name} is wider than the window"] if too_wide else found


async def test_who_wants_less_motion_gets_none(browser: Browser, shop: str) -> None:
    async with visiting(browser) as visitor:
        page = await visitor.new_page()
        await page.emulate_media(reduced_motion="reduce")
        await enter(page, shop)
        moving = await page.evaluate(
            "() => [...document.querySelectorAll('*')].filter((each) => {"
            " const style = getComputedStyle(each);"
            " return style.animationName !== 'none' || !/^(0s(, )?)+$/.test(style.transitionDuration); }).length"
        )
        assert moving == 0
