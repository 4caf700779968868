"""A real browser in the magazine: its home page fits its visitor, as its editor wishes, with or without Segue."""

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator import beside
from emulator.client import Client
from emulator.server import listening
from tests.browser import browser, page, visiting, visitor
from tests.contracts.receiver import serving
from tests.journeys.running import ROOT, SEGUE, running

__all__ = ["browser", "page", "visitor"]

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCREENSHOTS = ROOT / "build" / "screenshots"
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
USUAL = "New arrivals this week"
DISCOUNT = "10 % off in the category you are looking at"
ENDED_WITHIN_S = 30.0
NOBODY_LISTENS = "http://127.0.0.1:1"
VISITOR_ID = "segue_anonymous_id"

expect.set_options(timeout=20_000)


class Magazine(NamedTuple):
    """Where the magazine and its Segue answer, how its editor logs in, and the folder of its files."""

    url: str
    segue: str
    password: str
    data: Path


@pytest.fixture(scope="module")
def magazine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Magazine]:
    """As `segue run --cms` starts it."""
    data = tmp_path_factory.mktemp("magazine")
    command = [SEGUE, "run", "--cms", "--port", "0", "--data", str(data), "--catalog", "infra/catalog"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            segue = re.search(r"answers at (\S+)", process.stdout.readline())
            opened = re.search(r"open at (\S+)/ .* log in as editor with (\S+),", process.stdout.readline())
            assert segue
            assert opened
            yield Magazine(opened[1], segue[1], opened[2], data / "cms")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(ENDED_WITHIN_S)
    assert process.returncode == 0


async def agree(page: Page, url: str) -> None:
    await page.goto(url)
    await page.get_by_role("button", name="Yes, agree").click()


async def browse_trousers(page: Page) -> None:
    """Look at four of a category, and put one into the bag: what makes a category browser."""
    for name in ("Lund wide", "Pico cropped", "Arno pleated", "Fell cord"):
        await page.get_by_text(f"Look closer at {name}").click()
    await page.get_by_role("button", name="Into the bag: Lund wide").click()
    await expect(page.get_by_role("status")).to_contain_text(re.compile("Lund wide|New"))


async def headline_is(page: Page, words: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(words)


async def keep(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.evaluate("scrollTo(0, 0)")
    await page.screenshot(path=SCREENSHOTS / f"cms-{name}.png", full_page=True, animations="disabled")


async def test_a_stranger_sees_the_default_and_a_category_browser_the_discount_on_the_next_page_view(
    page: Page, magazine: Magazine
) -> None:
    await agree(page, magazine.url)
    await headline_is(page, USUAL)
    await browse_trousers(page)
    await page.reload()
    await headline_is(page, DISCOUNT)
    await expect(page.get_by_text("because you are in the segment category-browser")).to_be_visible()
    await keep(page, "discount")


async def test_an_open_page_changes_by_itself_and_forgets_who_withdraws(page: Page, magazine: Magazine) -> None:
    await agree(page, magazine.url)
    await browse_trousers(page)
    await headline_is(page, DISCOUNT)
    await expect(page.get_by_role("status")).to_have_text(f"New: {DISCOUNT}")
    await keep(page, "changed")
    await page.get_by_role("button", name="Your privacy").click()
    await page.get_by_role("button", name="No, thank you").click()
    await headline_is(page, USUAL)
    assert await page.context.cookies() == []


async def test_before_the_visitor_agrees_nothing_is_stored_or_sent(page: Page, magazine: Magazine) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(magazine.url)
    await browse_trousers(page)
    await page.reload()
    await headline_is(page, USUAL)
    assert {url for url in asked if url.startswith(magazine.segue)} == {f"{magazine.segue}/segue.js"}
    assert await page.context.cookies() == []


async def test_no_cache_keeps_what_was_made_for_one_visitor(magazine: Magazine) -> None:
    browsing = [
        {"type": "track", "event": event, "anonymousId": "browser-1", "properties": product}
        for event, product in (
            *(("Product Viewed", {"product_id": f"t-{number}", "category": "trousers"}) for number in range(4)),
            ("Product Added", {"product_id": "t-1"}),
        )
    ]
    async with Client.connected(magazine.segue) as segue:
        for call in browsing:
            await segue.call(call)
        await segue.settle()
    async with httpx.AsyncClient(base_url=magazine.url, trust_env=False) as http:
        story = (await http.get("/linen/")).headers
        assert story["cache-control"] == "max-age=60"
        await asyncio.sleep(1.1)  # a page that is made now would say another second
        assert (await http.get("/linen/")).headers["expires"] == story["expires"]
        for address in ("/", await live_address(http)):
            theirs = await http.get(address, headers={"cookie": f"{VISITOR_ID}=browser-1"})
            assert DISCOUNT in theirs.text
            for somebody in (await http.get(address), await http.get(address, headers={"cookie": f"{VISITOR_ID}=v2"})):
                assert USUAL in somebody.text
                assert DISCOUNT not in somebody.text
                assert somebody.headers["cache-control"] == theirs.headers["cache-control"] == "private, no-store"
                assert "Cookie" in somebody.headers["vary"]
        pages = await asyncio.gather(
            *(http.get("/", headers={"cookie": f"{VISITOR_ID}={['browser-1', f'v{n}'][n % 2]}"}) for n in range(40))
        )
        assert any(DISCOUNT in each.text for each in pages[0::2])
        assert all(DISCOUNT not in each.text for each in pages[1::2])
        for cookie in ("browser-1 ", "../browser-1", "user_id:42", "%0d%0a", "x" * 101):
            assert USUAL in (await http.get("/", headers={"cookie": f"{VISITOR_ID}={cookie!r}"})).text
        assert (await http.get("/token")).status_code == 404
        token = await http.get("/token", headers={"cookie": f"{VISITOR_ID}=browser-1"})
        assert token.headers["cache-control"] == "private, no-store"
        assert set(token.json()) == {"token", "expires_at"}


async def test_whatever_a_client_sends_is_answered_and_fails_nothing(magazine: Magazine) -> None:
    nowhere = "4ac3c351-5b83-4b80-aeb8-40c67884c88a"
    paths = [
        *("/%00", "/%ff%fe/", "/a/b/c/d/", "/?x=%00", "/pictures/nothing.svg", "/static/../settings.py"),
        *("/static/%2e%2e/%2e%2e/cms.sqlite3", "/static/", "/token?x=1", "/admin/pages/99999999999999999999/"),
        *(f"/heroes/{page}/{nowhere}" for page in ("0", "2", "3", "999999999999999", "9" * 30, "-1", "a")),
    ]
    cookies = ["", "=", "segue_anonymous_id", f"{VISITOR_ID}=%00", f"{VISITOR_ID}=v;last_message={'m' * 100}"]
    async with httpx.AsyncClient(base_url=magazine.url, trust_env=False) as http:
        for path in paths:
            assert (await http.get(path)).status_code < 500, path
        for cookie in cookies:
            assert USUAL in (await http.get("/", headers={"cookie": cookie})).text
        for method in ("POST", "PUT", "DELETE", "TRACE"):
            assert (await http.request(method, "/token")).status_code in (403, 404, 405)
        assert (await http.get("/", headers={"host": "somewhere.example"})).status_code == 400


async def test_a_page_asks_segue_for_its_visitor_s_flags_and_nothing_else(magazine: Magazine, tmp_path: Path) -> None:
    shutil.copytree(magazine.data, tmp_path / "cms", ignore=shutil.ignore_patterns("catalog"))
    asked: list[str] = []

    async def refuse(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(status_code=404)

    listener = listening(0)
    url = beside.address(listener)
    async with serving(Starlette(routes=[Route("/{path:path}", refuse, methods=["GET", "POST"])])) as segue:
        with beside.magazine(listener, segue.rstrip("/"), tmp_path / "cms"):
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
                assert USUAL in (await http.get("/")).text
                assert asked == []
                assert USUAL in (await http.get("/", headers={"cookie": f"{VISITOR_ID}=v"})).text
    flags = "/ofrep/v1/evaluate/flags"
    assert set(asked) == {f"{flags}/segment.category-browser", f"{flags}/journal-hero"}


async def live_address(http: httpx.AsyncClient) -> str:
    """Where the home page's hero is, by itself."""
    found = re.search(r'data-live="(/heroes/[^"]+)"', (await http.get("/")).text)
    assert found
    return found[1]


async def test_when_segue_stops_the_next_page_has_the_default_and_nothing_fails(
    page: Page, magazine: Magazine, tmp_path: Path
) -> None:
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    shutil.copytree(magazine.data, tmp_path / "cms")
    listener = listening(0)
    url = beside.address(listener)
    with ExitStack() as magazine_open:
        with running(tmp_path / "data", "--catalog", str(catalog_for(url, tmp_path / "catalog"))) as segue:
            magazine_open.enter_context(beside.magazine(listener, segue, tmp_path / "cms"))
            await agree(page, url)
            await browse_trousers(page)
            await page.reload()
            await headline_is(page, DISCOUNT)
        await page.reload()
        await headline_is(page, USUAL)
        await browse_trousers(page)
        await headline_is(page, USUAL)
        await keep(page, "without-segue")
    assert failures == []


def catalog_for(url: str, folder: Path) -> Path:
    """The demo's catalogue, with this site among the origins."""
    shutil.copytree(ROOT / "infra" / "catalog", folder)
    sources = folder / "sources.yaml"
    sources.write_text(sources.read_text().replace("origins: [", f'origins: ["{url}", '))
    return folder


async def test_an_editor_chooses_slot_segments_and_words_and_publishes_them(
    page: Page, browser: Browser, magazine: Magazine
) -> None:
    await page.set_viewport_size({"width": 1280, "height": 2400})
    await log_in(page, magazine.url, magazine.password)
    await edit(page, magazine.url)
    await page.get_by_role("checkbox", name="Bargain hunter").first.check()
    await page.get_by_role("textbox", name="Headline").first.fill("Made for you")
    await page.get_by_role("combobox", name="Then, what Segue has for the visitor in the slot").select_option(
        "homepage-hero"
    )
    await page.get_by_role("textbox", name="Headline").last.fill("Fresh from the studio")
    await keep(page, "editor")
    await page.get_by_role("button", name="Toggle preview").click()
    previewed = page.frame_locator("#w-preview-iframe").get_by_role("heading", level=1)
    await expect(previewed).to_have_text("Fresh from the studio")
    await page.get_by_label("Preview mode").select_option("Category browser")
    await expect(previewed).to_have_text("Made for you")
    await keep(page, "preview")
    await publish(page)
    async with visiting(browser) as newcomer:
        seen = await newcomer.new_page()
        await seen.goto(magazine.url)
        await headline_is(seen, "Fresh from the studio")
        async with seen.expect_request(lambda sent: '"Content Viewed"' in (sent.post_data or "")) as told:
            await agree(seen, magazine.url)
            await headline_is(seen, "Welcome! Find your first favourite")
        assert '{"slot":"homepage-hero","variant":"welcome"}' in ((await told.value).post_data or "")
        await browse_trousers(seen)
        await seen.reload()
        await headline_is(seen, "Made for you")


async def test_an_editor_goes_on_while_segue_is_away(
    page: Page, magazine: Magazine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await log_in(page, magazine.url, magazine.password)
    await edit(page, magazine.url)
    shutil.copytree(magazine.data, tmp_path / "cms")
    listener = listening(0)
    url = beside.address(listener)
    with beside.magazine(listener, NOBODY_LISTENS, tmp_path / "cms"):
        await log_in(page, url, magazine.password)
        await edit(page, url)
        await page.get_by_role("textbox", name="Headline").last.fill("While Segue is away")
        await publish(page)
        await edit(page, url)
        await expect(page.get_by_role("combobox", name="Then, what")).not_to_have_value("")
        await page.goto(url)
        await headline_is(page, "While Segue is away")
    assert f"desk at {url}/admin/: log in as before" in capfd.readouterr().out


async def test_a_page_that_becomes_private_is_kept_for_nobody(magazine: Magazine) -> None:
    async with (
        httpx.AsyncClient(base_url=magazine.url, trust_env=False, timeout=60) as http,
        httpx.AsyncClient(base_url=magazine.url, trust_env=False, timeout=60) as editor,
    ):
        await editor.get("/admin/login/")
        await post(editor, "/admin/login/", username="editor", password=magazine.password)
        home = (await live_address(http)).split("/")[2]
        below = re.findall(r"/admin/pages/(\d+)/edit/", (await editor.get(f"/admin/pages/{home}/")).text)
        assert (await http.get("/linen/")).status_code == 200
        privacy = f"/admin/pages/{below[-1]}/privacy/"
        try:
            await post(editor, privacy, restriction_type="login")
            refused = await http.get("/linen/")
            assert (refused.status_code, "no-store" in refused.headers["cache-control"]) == (302, True)
            theirs = await editor.get("/linen/")
            assert (theirs.status_code, "no-store" in theirs.headers["cache-control"]) == (200, True)
            assert (await http.get("/linen/")).status_code == 302
        finally:
            await post(editor, privacy, restriction_type="none")
        assert (await http.get("/linen/")).status_code == 200


async def post(http: httpx.AsyncClient, path: str, **said: str) -> None:
    """A form of the editors' desk, sent."""
    form = {"csrfmiddlewaretoken": http.cookies["csrftoken"], **said}
    assert (await http.post(path, data=form)).status_code in (200, 302)


async def edit(page: Page, url: str) -> None:
    """Open the home page's form, which has its editor's choices."""
    await page.goto(f"{url}/admin/pages/")
    await page.get_by_role("link", name="The journal", exact=True).click()
    await expect(page.get_by_role("checkbox", name="Category browser").first).to_be_checked()


async def publish(page: Page) -> None:
    await page.get_by_role("button", name="More actions").click()
    await page.get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("published")).to_be_visible()


async def log_in(page: Page, url: str, password: str) -> None:
    await page.goto(f"{url}/admin/")
    await page.get_by_label("Username").fill("editor")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_fits_and_is_accessible(browser: Browser, magazine: Magazine, width: str) -> None:
    async with visiting(browser) as context:
        page = await context.new_page()
        await page.set_viewport_size({"width": WIDTHS[width][0], "height": WIDTHS[width][1]})
        for name, path in (("home", "/"), ("story", "/linen/"), ("not-found", "/nowhere/")):
            await page.goto(magazine.url + path)
            await page.wait_for_load_state("load")
            if name == "home":
                await page.get_by_text("Look closer").first.click()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            found = await Axe().run(page)
            assert [(flaw["id"], flaw["nodes"][0]["html"]) for flaw in found.response["violations"]] == []
            await keep(page, f"{name}-{width}")
