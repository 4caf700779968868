"""What segue.js sees by itself: clicks, scrolling, engaged time, videos and the pages of single-page sites."""

import wave
from typing import Any

import pytest
from playwright.async_api import Page

from segue.domain.event import Event
from tests.site import Site, names, visitor_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FORM = """
<a id="offer" class="card big" href="/trousers?size=38#top" data-track-product-id="p-7"> Blue
   trousers </a>
<button class="one two three four five six"><b>Add to cart</b></button>
<div data-track="hero" data-track-slot="top"><input value="secret-1"><i>picture</i></div>
<div role="button" tabindex="0">Menu</div>
<form onsubmit="return false">
  <input id="name" value="secret-2"><input type="password" data-track value="secret-3">
  <input autocomplete="cc-number" data-track value="secret-4">
  <button id="with-field">Pay <input value="secret-5"><textarea>secret-6</textarea></button>
  <div contenteditable role="button" id="editor">secret-7</div>
  <p data-no-track><button id="private">secret-8</button></p>
  <input type="submit" value="secret-9">
</form>
<p id="text">secret-10</p>
"""

FRAMES = """async () => { for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame) }"""
"""Waits until the browser has told of a scroll, and the tracker has seen it."""

TALL = "<div style='height: 400vh'>tall</div>"


DRIFT_S = 2.5
"""A page's clock goes on between the steps of a test; so much at most, on a slow machine."""


async def captured(site: Site, page: Page, *, until: str) -> list[Event]:
    """The events of the page's visitor, up to one that is sent now."""
    visitor = await visitor_of(page)
    await page.evaluate("name => segue.track(name)", until)
    found = await site.until(visitor, lambda events: until in names(events))
    return [event for event in found if event.name != until]


def said(events: list[Event], name: str) -> list[dict[str, Any]]:
    return [event.properties for event in events if event.name == name]


async def test_a_click_tells_what_was_clicked(site: Site, page: Page) -> None:
    await page.goto(site.put("/clicks", FORM))
    await page.evaluate("addEventListener('click', event => event.preventDefault())")
    await page.click("#offer")
    await page.click("b")
    await page.click("i")
    await page.click("[role=button]")
    link, button, hero, menu = said(await captured(site, page, until="Done"), "Element Clicked")

    assert link == {
        "tag": "a",
        "id": "offer",
        "classes": ["card", "big"],
        "href": f"{site.url}/trousers",
        "text": "Blue trousers",
        "product_id": "p-7",
    }
    assert button == {"tag": "button", "classes": ["one", "two", "three", "four", "five"], "text": "Add to cart"}
    assert hero == {"tag": "div", "classes": [], "track": "hero", "slot": "top"}
    assert (menu["tag"], menu["text"]) == ("div", "Menu")


async def test_a_double_click_is_one_and_a_middle_click_counts(site: Site, page: Page) -> None:
    await page.goto(site.put("/double", "<button>Add</button>"))
    await page.dblclick("button")
    await page.click("button", button="middle", delay=5)
    await page.click("button", button="right")
    events = await captured(site, page, until="Done")
    assert [click["text"] for click in said(events, "Element Clicked")] == ["Add", "Add"]


async def test_what_people_type_and_what_is_marked_private_is_never_sent(site: Site, page: Page) -> None:
    await page.goto(site.put("/private", FORM))
    for selector in [
        "#name",
        "[type=password]",
        "[autocomplete]",
        "[data-track] input",
        "#editor",
        "#private",
        "#text",
    ]:
        await page.click(selector)
        await page.keyboard.type("secret-typed")
    await page.click("#with-field", position={"x": 2, "y": 2})
    await page.click("[type=submit]")
    events = await captured(site, page, until="Done")

    clicks = said(events, "Element Clicked")
    assert [click["tag"] for click in clicks] == ["div", "button", "input"]
    assert "secret" not in str([(event.properties, event.context) for event in events])


async def test_a_click_inside_a_shadow_tree_is_seen_and_privacy_outside_it_holds(site: Site, page: Page) -> None:
    body = "<div id='open'></div><div data-no-track><div id='private'></div></div>"
    await page.goto(site.put("/shadow", body))
    await page.evaluate(
        """() => { for (const id of ["open", "private"])
        document.getElementById(id).attachShadow({mode: "open"}).innerHTML = `<button>${id}</button>` }"""
    )
    await page.click("#open button")
    await page.click("#private button")
    clicks = said(await captured(site, page, until="Done"), "Element Clicked")
    assert [click["text"] for click in clicks] == ["open"]


async def test_each_depth_is_told_once(site: Site, page: Page) -> None:
    await page.goto(site.put("/tall", TALL))
    for share in [0.3, 0.1, 0.5, 1, 0.2]:
        await page.evaluate(
            "share => scrollTo(0, share * document.documentElement.scrollHeight - share * innerHeight)", share
        )
        await page.evaluate(FRAMES)
    events = said(await captured(site, page, until="Done"), "Page Scrolled")
    assert [event["depth"] for event in events] == [25, 50, 75, 90, 100]
    assert len({event["page_view_id"] for event in events}) == 1


async def test_a_page_shorter_than_its_window_was_seen_whole(site: Site, page: Page) -> None:
    await page.goto(site.put("/short", "short"))
    visitor = await visitor_of(page)
    await page.goto("about:blank")
    events = await site.until(visitor, lambda found: "Page Scrolled" in names(found))
    assert [(event["depth"], event["short_page"]) for event in said(events, "Page Scrolled")] == [(100, True)]


async def test_engaged_time_stops_half_a_minute_after_the_last_sign_of_life(site: Site, page: Page) -> None:
    await page.clock.install()
    await page.goto(site.put("/time", TALL))
    await visitor_of(page)
    await page.clock.run_for(20_000)
    await page.mouse.move(5, 5)
    await page.clock.run_for(100_000)
    events = said(await captured(site, page, until="Done"), "Page Engaged")

    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert sum(event["delta"] for event in events) == pytest.approx(events[-1]["total"])
    assert [event["delta"] for event in events] == pytest.approx([15, 15, 15, 5], abs=DRIFT_S)
    assert len({event["page_view_id"] for event in events}) == 1


async def test_the_time_zone_is_asked_for_once_and_not_while_a_page_starts(site: Site, page: Page) -> None:
    await page.clock.install()
    await page.goto(site.put("/zone", "zone"))
    visitor = await visitor_of(page)
    await page.clock.run_for(16_000)
    await page.reload()
    events = await site.until(visitor, lambda found: names(found).count("Page Viewed") == 2)
    views = [event for event in events if event.name == "Page Viewed"]
    zone = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert [view.context.get("timezone") for view in views] == [None, zone]


async def test_time_in_which_the_page_is_hidden_or_out_of_focus_does_not_count(site: Site, page: Page) -> None:
    await page.clock.install()
    await page.goto(site.put("/away", TALL))
    await visitor_of(page)
    await page.clock.run_for(4_000)
    await page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    await page.clock.run_for(20_000)
    await page.evaluate("document.hasFocus = () => true; dispatchEvent(new Event('focus'))")
    await page.clock.run_for(3_000)
    await page.evaluate(
        """Object.defineProperty(document, "hidden", {value: true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"))"""
    )
    await page.clock.run_for(20_000)
    events = said(await captured(site, page, until="Done"), "Page Engaged")
    assert [event["total"] for event in events] == pytest.approx([4, 7], abs=DRIFT_S)


async def test_a_new_address_without_a_load_is_a_page_and_the_time_stays_with_the_old_one(
    site: Site, page: Page
) -> None:
    await page.clock.install()
    await page.goto(site.put("/first", TALL))
    visitor = await visitor_of(page)
    await page.clock.run_for(5_000)
    await page.evaluate("history.pushState({}, '', '/second?x=1'); document.title = 'Second'")
    await page.clock.run_for(100)
    await page.evaluate("history.replaceState({}, '', '/second?x=1#part'); location.hash = 'other'")
    await page.evaluate("history.pushState({}, '', '/third'); segue.page('By name', {n: 3})")
    await page.clock.run_for(100)
    await page.evaluate("history.go(-2)")
    await page.wait_for_url("**/second?x=1#part")
    await page.clock.run_for(100)
    events = await site.until(visitor, lambda found: names(found).count("Page Viewed") == 4)

    pages = said(events, "Page Viewed")
    assert [view["path"] for view in pages] == ["/first", "/second", "/third", "/second"]
    assert [view.get("name") for view in pages] == [None, None, "By name", None]
    assert [view["referrer"] for view in pages][1:3] == [f"{site.url}/first", f"{site.url}/second?x=1"]
    assert pages[1]["title"] == "Second"
    assert len({view["page_view_id"] for view in pages}) == 4
    (engaged,) = [event for event in events if event.name == "Page Engaged" and event.properties["total"] > 1]
    assert engaged.properties["total"] == pytest.approx(5, abs=DRIFT_S)
    assert engaged.properties["page_view_id"] == pages[0]["page_view_id"]
    assert engaged.context["page"]["path"] == "/first"


@pytest.fixture(scope="module")
def film(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """/film.wav, which a video element plays: silence of 24 seconds."""
    path = tmp_path_factory.mktemp("film") / "film.wav"
    with wave.open(str(path), "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(1)
        made.setframerate(8_000)
        made.writeframes(b"\x80" * 8_000 * 24)
    site.files["/film.wav"] = path


VIDEO = "<video id='film' title='How it is made' muted data-track-product-id='p-7' src='/film.wav' {more}></video>"


@pytest.mark.usefixtures("film")
async def test_a_video_is_told_of_by_what_was_played_of_it(site: Site, page: Page) -> None:
    await page.goto(site.put("/video", VIDEO.format(more="")))
    await visitor_of(page)
    await page.evaluate(
        """async () => {
            const video = document.querySelector("video");
            const happens = (name) => new Promise((done) => video.addEventListener(name, done, {once: true}));
            video.playbackRate = 4;
            await video.play();
            await happens("timeupdate");
            video.pause();
            await happens("pause");
            await video.play();
            await happens("ended");
        }"""
    )
    events = [event for event in await captured(site, page, until="Done") if event.name.startswith("Video")]

    assert names(events)[:5] == [
        "Video Playback Started",
        "Video Content Started",
        "Video Playback Paused",
        "Video Playback Resumed",
        "Video Content Playing",
    ]
    assert names(events)[-2:] == ["Video Content Completed", "Video Playback Completed"]
    assert set(names(events)[4:-2]) == {"Video Content Playing"}
    assert len({event.properties["session_id"] for event in events}) == 1
    last = events[-1].properties
    assert (last["asset_id"], last["title"], last["product_id"]) == ("film", "How it is made", "p-7")
    assert last["total_length"] == 24
    assert last["progress"] == pytest.approx(1, abs=0.02)
    quarters = [int(event.properties["progress"] * 4) for event in events]
    assert quarters == sorted(quarters)
    assert {1, 2, 3} <= set(quarters)


@pytest.mark.usefixtures("film")
async def test_who_jumps_to_the_end_of_a_video_has_not_watched_it(site: Site, page: Page) -> None:
    await page.goto(site.put("/jump", VIDEO.format(more="")))
    await visitor_of(page)
    await page.evaluate(
        """async () => {
            const video = document.querySelector("video");
            const happens = (name) => new Promise((done) => video.addEventListener(name, done, {once: true}));
            await video.play();
            await happens("timeupdate");
            video.currentTime = 23.5;
            await happens("ended");
        }"""
    )
    events = await captured(site, page, until="Done")
    (completed,) = said(events, "Video Content Completed")
    assert completed["position"] == pytest.approx(24, abs=0.1)
    assert completed["progress"] < 0.1
    assert "Video Playback Paused" not in names(events)


@pytest.mark.usefixtures("film")
async def test_a_video_that_decorates_is_left_out(site: Site, page: Page) -> None:
    await page.goto(site.put("/loop", VIDEO.format(more="loop") + f"<p data-no-track>{VIDEO.format(more='')}</p>"))
    await visitor_of(page)
    await page.evaluate(
        """async () => { for (const video of document.querySelectorAll("video")) {
            await video.play();
            await new Promise((done) => video.addEventListener("timeupdate", done, {once: true}));
        } }"""
    )
    assert not [name for name in names(await captured(site, page, until="Done")) if name.startswith("Video")]


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ("clicks", {"Page Viewed", "Page Scrolled", "Page Engaged"}),
        ("scroll time", {"Page Viewed", "Element Clicked"}),
        ("pages clicks scroll time video", set()),
    ],
)
async def test_each_kind_can_be_switched_off(off: str, left: set[str], site: Site, page: Page) -> None:
    await page.goto(site.put("/off", "<button>Add</button>" + TALL, f'data-off="{off}"'))
    visitor = await visitor_of(page)
    await page.click("button")
    await page.evaluate("history.pushState({}, '', '/off-2')")
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await page.evaluate(FRAMES)
    await page.evaluate("segue.track('Done')")
    await page.goto("about:blank")
    events = await site.until(visitor, lambda found: {"Done", *left} <= {*names(found)})
    assert set(names(events)) == {"Done", *left}
