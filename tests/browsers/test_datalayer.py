"""segue-datalayer.js: what a site tells Google Analytics or its consent platform already, it tells Segue too."""

from typing import Any

import pytest
from playwright.async_api import Page

from segue.domain.event import Event
from tests.site import Site, names, visitor_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TROUSERS = {
    "item_id": "t-1",
    "item_name": "Trousers",
    "item_brand": "Atelier",
    "item_category": "trousers",
    "item_variant": "blue",
    "price": "79.90",
    "quantity": 2,
    "index": 3,
}
PRODUCT = {
    "product_id": "t-1",
    "name": "Trousers",
    "brand": "Atelier",
    "category": "trousers",
    "variant": "blue",
    "price": 79.9,
    "quantity": 2,
    "position": 3,
}
ORDER = {"transaction_id": "o-1", "value": 159.8, "tax": 8, "shipping": "4.5", "coupon": "SPRING", "currency": "EUR"}

GTAG = "<script>window.dataLayer = window.dataLayer || []; function gtag() { dataLayer.push(arguments) }</script>"

CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "view_item",
        {"currency": "EUR", "items": [TROUSERS]},
        "Product Viewed",
        {**PRODUCT, "currency": "EUR", "value": 159.8},
    ),
    (
        "select_item",
        {"item_list_id": "l", "items": [TROUSERS]},
        "Product Clicked",
        {**PRODUCT, "list_id": "l", "value": 159.8},
    ),
    ("add_to_cart", {"items": [{"item_id": "x"}]}, "Product Added", {"product_id": "x"}),
    ("remove_from_cart", {"items": [{"item_id": "x"}]}, "Product Removed", {"product_id": "x"}),
    ("add_to_wishlist", {"items": [{"item_id": "x"}]}, "Product Added to Wishlist", {"product_id": "x"}),
    (
        "view_item_list",
        {"item_list_id": "l", "item_list_name": "Spring", "items": [TROUSERS]},
        "Product List Viewed",
        {"list_id": "l", "category": "Spring", "products": [PRODUCT]},
    ),
    ("view_cart", {"value": 5, "items": []}, "Cart Viewed", {"value": 5, "products": []}),
    (
        "begin_checkout",
        {"value": "159.8", "coupon": "SPRING", "items": [TROUSERS]},
        "Checkout Started",
        {"value": 159.8, "coupon": "SPRING", "products": [PRODUCT]},
    ),
    (
        "add_shipping_info",
        {"shipping_tier": "Ground", "items": []},
        "Checkout Step Completed",
        {"shipping_method": "Ground", "products": []},
    ),
    (
        "add_payment_info",
        {"payment_type": "Card", "items": []},
        "Payment Info Entered",
        {"payment_method": "Card", "products": []},
    ),
    (
        "purchase",
        {**ORDER, "items": [TROUSERS]},
        "Order Completed",
        {
            "order_id": "o-1",
            "total": 172.3,
            "revenue": 159.8,
            "shipping": 4.5,
            "tax": 8,
            "coupon": "SPRING",
            "currency": "EUR",
            "products": [PRODUCT],
        },
    ),
    ("refund", {"transaction_id": "o-1"}, "Order Refunded", {"order_id": "o-1", "products": []}),
    ("search", {"search_term": "blue"}, "Products Searched", {"query": "blue"}),
    (
        "select_promotion",
        {"promotion_id": "p", "promotion_name": "Spring", "creative_name": "Hero", "creative_slot": "top"},
        "Promotion Clicked",
        {"promotion_id": "p", "name": "Spring", "creative": "Hero", "position": "top"},
    ),
]


def bridged(site: Site, path: str, before: str = "", attributes: str = "", reads: str = "") -> str:
    """A page with both scripts, that says something in its `dataLayer` before they are there; its address."""
    script = f'<script async src="{site.segue}/segue-datalayer.js" {reads}></script>'
    return site.put(path, f"{GTAG}{before}{script}", f'data-off="pages clicks scroll time" {attributes}')


async def heard(site: Site, page: Page) -> list[Event]:
    """The events so far, without those that end a test."""
    visitor = await visitor_of(page)
    await page.evaluate("segue.track('Done')")
    events = await site.until(visitor, lambda found: "Done" in names(found))
    return [event for event in events if event.name != "Done"]


async def test_e_commerce_events_of_ga4_are_those_of_segment(site: Site, page: Page) -> None:
    await page.goto(bridged(site, "/shop"), wait_until="load")
    for name, said, _, _ in CASES:
        await page.evaluate("([name, said]) => gtag('event', name, said)", [name, said])
    events = await heard(site, page)
    assert [(event.name, event.properties) for event in events] == [(name, said) for _, _, name, said in CASES]


async def test_what_was_said_before_and_what_a_tag_manager_takes_is_read_too(site: Site, page: Page) -> None:
    before = """<script>gtag('js', new Date()); gtag('event', 'search', {search_term: 'early'});
        dataLayer.push({event: 'gtm.js'}, {ecommerce: null}, null, 'text', {event: 'toString'})</script>"""
    await page.goto(bridged(site, "/before", before), wait_until="load")
    length = await page.evaluate(
        "dataLayer.push({event: 'add_to_cart', ecommerce: {items: [{item_id: 'a'}, {item_id: 'b'}]}})"
    )
    events = await heard(site, page)
    assert length == 8
    assert names(events) == ["Products Searched", "Product Added", "Product Added"]
    assert [event.properties.get("product_id") for event in events] == [None, "a", "b"]


async def choice(page: Page) -> Any:
    return await page.evaluate("JSON.parse(localStorage.segue_consent ?? '{}').categoryPreferences ?? null")


async def test_the_answer_in_googles_consent_mode_is_the_visitors_and_a_default_is_not(site: Site, page: Page) -> None:
    before = "<script>gtag('consent', 'default', {analytics_storage: 'granted', ad_storage: 'denied'})</script>"
    await page.goto(
        bridged(site, "/google", before, 'data-consent="required"', 'data-reads="google"'), wait_until="load"
    )
    await page.wait_for_function("segue.loaded")
    assert await choice(page) is None
    await page.evaluate(
        "gtag('consent', 'update', {analytics_storage: 'granted', ad_storage: 'granted', ad_user_data: 'denied'})"
    )
    await visitor_of(page)
    assert await choice(page) == {"analytics": True, "advertising": False}
    await page.evaluate("gtag('consent', 'update', {analytics_storage: 'denied'})")
    assert await choice(page) is None
    assert await page.evaluate("segue.anonymousId()") is None


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (
            {"purpose": {"consents": {"1": True, "5": True, "6": True, "8": True, "9": True}}},
            {"analytics": True, "personalization": True, "advertising": False},
        ),
        ({"gdprApplies": False}, {"analytics": True, "personalization": True, "advertising": True}),
        ({"purpose": {"consents": {"5": True, "6": True, "8": True, "9": True}}}, None),
        ({"eventStatus": "cmpuishown", "gdprApplies": False}, None),
    ],
    ids=["agreed to some", "the law does not apply", "not to storing anything", "not answered yet"],
)
async def test_the_answer_in_a_tcf_platform_is_the_visitors(
    said: dict[str, Any], chosen: Any, site: Site, page: Page
) -> None:
    stub = "<script>window.__tcfapi = (command, version, heard) => { window.heard = heard }</script>"
    await page.goto(bridged(site, "/tcf", stub, 'data-consent="required"', 'data-reads="tcf"'), wait_until="load")
    await page.wait_for_function("segue.loaded")
    await page.evaluate("said => heard(said, true)", {"gdprApplies": True, "eventStatus": "useractioncomplete", **said})
    assert await choice(page) == chosen


async def test_who_objects_to_sale_and_sharing_is_not_asked_for_advertising(site: Site, page: Page) -> None:
    await page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    await page.goto(bridged(site, "/gpc", reads='data-reads="google gpc"'), wait_until="load")
    await visitor_of(page)
    assert await choice(page) == {"advertising": False}
    await page.evaluate("gtag('consent', 'update', {analytics_storage: 'granted', ad_storage: 'granted'})")
    assert await choice(page) == {"advertising": False, "analytics": True}
