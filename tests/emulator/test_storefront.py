"""The demo shop's server: it shows its pages whatever Segue answers, and nothing that a visitor sends can do harm."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zipfile import ZipFile

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from emulator.catalog import load
from emulator.client import Client
from emulator.storefront import cart as carts
from emulator.storefront import notes
from emulator.storefront.app import FOLDER, application
from emulator.storefront.assortment import CATEGORIES, COLLECTIONS, products
from emulator.storefront.cart import Cart
from emulator.storefront.cms import Cms
from emulator.storefront.notes import Note
from emulator.storefront.served import allowing, with_shop
from emulator.storefront.visitor import ANONYMOUS_ID, CHOICE, COOKIES
from segue.domain.profile import ProfileRef
from segue.domain.visitor_token import opened
from tests.functions.looking_up import looking_up
from tests.project.files import ROOT

SITE = "http://shop.test"
NOWHERE = "http://127.0.0.1:1"
PAGES = ("/", "/collections/dresses", "/products/marlow-midi", "/search?q=linen", "/cart", "/thanks", "/privacy")
OWN = {"origin": SITE}


@asynccontextmanager
async def visiting(segue: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A visitor of a shop that asks this Segue, and waits for it however slow the machine is."""
    shop = application(Cms(Client(segue, "demo-write-key", "demo-secret-key"), deadline_ms=1_500))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop), base_url=SITE) as browser:
        yield browser


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A visitor of a shop whose Segue has no answers."""
    segue = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette()), base_url=SITE)
    async with segue, visiting(segue) as browser:
        yield browser


def filled(*ids: str) -> str:
    cart = Cart()
    for id_ in ids:
        cart = cart.with_one_more(products()[id_])
    return carts.written(cart)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_shown_without_segue(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    assert page.status_code == 200
    assert "<h1" in page.text
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/pictures/marlow-midi.svg", "/static/shop.js"])
async def test_a_page_may_run_and_load_what_is_the_shops_alone(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    assert "default-src 'none'; script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"<script(?![^>]*src=)| on\w+=| style=", page.text) == []


async def test_every_product_is_drawn_and_is_in_its_category(browser: httpx.AsyncClient) -> None:
    assert {len(category.products) for category in CATEGORIES} == {5}
    for id_ in products():
        picture = await browser.get(f"/pictures/{id_}.svg")
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert (await browser.get(f"/products/{id_}")).status_code == 200


@pytest.mark.parametrize("id_", COLLECTIONS)
async def test_every_collection_has_something_in_it(browser: httpx.AsyncClient, id_: str) -> None:
    page = await browser.get(f"/collections/{id_}")
    assert page.text.count('class="card"') == len(COLLECTIONS[id_].products) > 0


@pytest.mark.parametrize(
    "path",
    ["/collections/x", "/products/x", "/pictures/x.svg", "/static/../app.py", "/x", "/me/segments/new-visitor/why"],
)
async def test_what_does_not_exist_is_404(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_what_a_visitor_types_is_shown_as_text(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/search", params={"q": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_a_form_of_another_site_is_refused(browser: httpx.AsyncClient) -> None:
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {}):
        answer = await browser.post("/cart/add", data={"product": "marlow-midi"}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/x\r\nset-cookie: a=b", ""],
)
async def test_a_form_leads_to_no_other_site(browser: httpx.AsyncClient, back: str) -> None:
    answer = await browser.post("/privacy", data={"back": back, "analytics": "on"}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_form_leads_back_to_where_it_was(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/privacy", data={"back": "/collections/new"}, headers=OWN)
    assert answer.headers["location"] == "/collections/new"


@pytest.mark.parametrize("body", [b"x" * 5_000, b"&".join(b"a=1" for _ in range(100)), b"product=%FF%FE", b"\xff"])
async def test_a_form_that_is_none_is_refused(browser: httpx.AsyncClient, body: bytes) -> None:
    answer = await browser.post("/cart/add", content=body, headers=OWN)
    assert 400 <= answer.status_code < 500


async def test_a_purchase_goes_from_the_product_to_the_thanks(browser: httpx.AsyncClient) -> None:
    added = await browser.post("/cart/add", data={"product": "tess-slip"}, headers=OWN)
    assert added.headers["location"] == "/cart"
    cart = (await browser.get("/cart")).text
    assert "Tess slip dress is in your cart." in cart
    assert "Product Added" in cart
    browser.cookies.delete("note")
    assert "Product Added" not in (await browser.get("/cart")).text
    await browser.post("/cart/coupon", data={"coupon": "summer10"}, headers=OWN)
    assert "€ 86.40" in (await browser.get("/checkout")).text
    ordered = await browser.post("/checkout", data={"name": "A"}, headers=OWN)
    assert ordered.headers["location"] == "/thanks"
    thanks = (await browser.get("/thanks")).text
    assert "Order Completed" in thanks
    assert "86.4" in thanks
    assert "There is nothing in it yet." in (await browser.get("/cart")).text


async def test_a_coupon_that_is_none_is_told_and_taken_for_nothing(browser: httpx.AsyncClient) -> None:
    browser.cookies.set("cart", filled("tess-slip"))
    await browser.post("/cart/coupon", data={"coupon": "free"}, headers=OWN)
    page = (await browser.get("/cart")).text
    assert "There is no coupon FREE." in page
    assert "€ 96.00" in page


async def test_a_subscriber_gets_a_number_that_no_address_leads_to(browser: httpx.AsyncClient) -> None:
    await browser.post("/newsletter", data={"email": "ann@example.com", "back": "/"}, headers=OWN)
    number = browser.cookies["customer"]
    assert number.startswith("customer-")
    page = await browser.get("/")
    assert number in page.text
    browser.cookies.delete("note")
    assert number not in (await browser.get("/")).text


@pytest.mark.parametrize(
    "cookie", ["", "..", "marlow-midi*0", "SUMMER10.x*1.marlow-midi*10", ".marlow-midi*²", "a" * 5_000, "\x00"]
)
def test_a_cart_that_is_none_of_this_shop_is_empty(cookie: str) -> None:
    assert carts.read(cookie).lines == ()


def test_a_cart_comes_back_as_it_was_written() -> None:
    cart = (
        Cart().with_one_more(products()["luna-clutch"]).with_one_more(products()["luna-clutch"]).with_coupon("SUMMER10")
    )
    assert carts.read(carts.written(cart)) == cart
    assert (cart.value, cart.total) == (680, 612)


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "####",
        notes.written(Note("none")),
        notes.written(Note("added", {"product": "x"})),
        "eyJraW5kIjoxfQ",
        "é",
    ],
)
def test_a_note_that_is_none_says_nothing(cookie: str) -> None:
    assert notes.read(cookie) is None


async def test_what_segue_knows_is_shown_of_the_cookies_visitor_alone(tmp_path: Path) -> None:
    async with looking_up(tmp_path) as site:
        await site.happens("ann", "Order Completed", revenue=80)
        async with visiting(site.http) as browser:
            browser.cookies.update({CHOICE: "analytics", ANONYMOUS_ID: "ann"})
            panel = (await browser.get("/me/panel?after=event-1&visitor=bob&anonymous_id=bob")).text
            assert 'data-segment="completed-buyer"' in panel
            assert "since <time" in panel
            assert "<code>Order Completed</code>" in (await browser.get("/me/segments/completed-buyer/why")).text
            assert (await browser.get("/me/segments/no-such-segment/why")).status_code == 404
            browser.cookies.set(ANONYMOUS_ID, "bob")
            assert "data-segment" not in (await browser.get("/me/panel")).text


async def test_who_asks_gets_all_that_is_known_of_them_alone(tmp_path: Path) -> None:
    async with looking_up(tmp_path) as site, visiting(site.http) as browser:
        await site.happens("ann", "Order Completed", revenue=80)
        assert (await browser.get("/me/data?visitor=ann")).status_code == 404
        browser.cookies.update({CHOICE: "analytics", ANONYMOUS_ID: "ann"})
        exported = await browser.get("/me/data")
        assert "Order Completed" in exported.text
        assert exported.headers["content-disposition"].startswith("attachment")


async def test_a_browser_gets_a_token_that_opens_its_own_visitor_alone(tmp_path: Path) -> None:
    async with looking_up(tmp_path) as site, visiting(site.http) as browser:
        bob = {"anonymous_id": "bob"}
        assert (await browser.post("/me/token", json=bob, headers=OWN)).status_code == 404
        browser.cookies.update({CHOICE: "analytics", ANONYMOUS_ID: "ann"})
        issued = (await browser.post("/me/token", json=bob, headers=OWN)).json()
        now = site.ports.clock.now()
        assert opened(site.settings.profile_secret, issued["token"], now) == ProfileRef("anonymous_id", "ann")
        assert (await browser.post("/me/token", json={}, headers={"origin": "http://evil.test"})).status_code == 403


async def test_who_is_not_known_is_forgotten_all_the_same(browser: httpx.AsyncClient) -> None:
    browser.cookies.update({CHOICE: "nothing", "cart": filled("tess-slip")})
    answer = await browser.post("/me/erase", headers=OWN)
    assert answer.headers["location"] == "/privacy?erased=yes"
    ended = [cookie for cookie in answer.headers.get_list("set-cookie") if "Max-Age=0; Path=/" in cookie]
    assert {cookie.partition("=")[0] for cookie in ended} == set(COOKIES)


async def test_who_could_not_be_erased_stays_known_to_the_browser(browser: httpx.AsyncClient) -> None:
    browser.cookies.update({CHOICE: "analytics", ANONYMOUS_ID: "ann"})
    answer = await browser.post("/me/erase", headers=OWN)
    assert (answer.status_code, "set-cookie" in answer.headers) == (503, False)


async def test_who_did_not_agree_is_not_asked_about(tmp_path: Path) -> None:
    async with looking_up(tmp_path) as site, visiting(site.http) as browser:
        await site.happens("ann", "Order Completed", revenue=80)
        browser.cookies.update({CHOICE: "nothing", ANONYMOUS_ID: "ann"})
        assert "You did not agree" in (await browser.get("/me/panel")).text
        assert (await browser.get("/me/segments/completed-buyer/why")).status_code == 404


async def test_the_hero_is_the_one_that_segue_decides(tmp_path: Path) -> None:
    async with looking_up(tmp_path) as site, visiting(site.http) as browser:
        await site.happens("ann", "Page Viewed")
        browser.cookies.update({CHOICE: "analytics", ANONYMOUS_ID: "ann"})
        assert "Welcome! Find your first favourite" in (await browser.get("/")).text


async def test_segues_paths_stay_segues() -> None:
    paths = ["/v1/batch", "/v1/nothing", "/_segue/ledger"]
    async with (
        with_shop(PlainTextResponse("Segue's"), NOWHERE) as front,
        httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url=SITE) as browser,
    ):
        assert {(await browser.get(path)).text for path in paths} == {"Segue's"}
        assert "Lisière" in (await browser.get("/")).text


def test_the_shops_own_address_may_send_wherever_it_is() -> None:
    documents = msgspec.json.decode(allowing(load(ROOT / "infra" / "catalog"), ["http://127.0.0.1:5000"]))
    assert documents["sources"]["shop"]["origins"][-2:] == ["http://127.0.0.1:5000", "http://localhost:5000"]


def test_the_wheel_holds_every_file_of_the_shop(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(ZipFile(wheel).namelist())
    files = {path.relative_to(ROOT).as_posix() for path in FOLDER.rglob("*.*") if "__pycache__" not in path.parts}
    assert {f"emulator/storefront/{name}" for name in ("templates/base.html", "static/shop.css")} <= files
    assert files - packed == set()


def test_the_film_is_small() -> None:
    assert (FOLDER / "static" / "marlow.webm").stat().st_size <= 150_000
