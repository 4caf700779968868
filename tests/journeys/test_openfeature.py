"""OpenFeature's SDKs, as they are released, read the slots and segments of a running Segue through OFREP.

In Python and in Node with the secret key; in Chromium from another origin, with a visitor's token.
"""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import httpx
import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, Response

from emulator.client import DEMO_SECRET_KEY, Client
from segue.domain.profile import ProfileRef
from tests.journeys.openfeature_python import evaluated
from tests.journeys.running import ROOT, running
from tests.journeys.test_sdks import SDKS, require_packages, site

__all__ = ["site"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.sdk]

MORE: Mapping[str, Any] = {
    "experiments": {"size": {"name": "Size", "status": "running", "arms": [{"id": "small"}, {"id": "large"}]}},
    "slots": {
        "banner": {
            "name": "Banner",
            "variants": [
                {"name": f"{arm}-one", "experiment": "size", "arm": arm, "content": {"scale": 1.5, "columns": 3}}
                for arm in ("small", "large")
            ],
            "default": {},
        },
        "advertisement": {
            "name": "Advertisement",
            "purposes": ["advertising"],
            "variants": [{"name": "new", "segment": "new-visitor", "content": {"text": "For you"}}],
            "default": {"text": "For everybody"},
        },
    },
}
"""A slot that an experiment fills, and one that wants consent."""

NOBODY_LISTENS = "http://127.0.0.1:1"
WITHIN_S = 20.0
POLL_S = 0.05

Details: TypeAlias = Mapping[str, Any]
"""What an SDK tells of a flag: `value`, `variant`, `reason`, `errorCode` and `flagMetadata`."""

Ask: TypeAlias = Callable[[str, Sequence["Question"]], Awaitable[Sequence[Details]]]
"""Asks the Segue at an address, by an SDK."""


Event: TypeAlias = tuple[str, Mapping[str, Any]]
"""An event's name and properties."""


class Question(NamedTuple):
    """A flag by its type, about whom it is asked, and what the code takes otherwise."""

    type: str
    flag: str
    otherwise: Any
    context: Mapping[str, Any]


@pytest.fixture(scope="module")
def segue(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[str]:
    """A Segue that the site's pages may ask."""
    data = tmp_path_factory.mktemp("openfeature")
    with running(data / "segue", "--catalog", catalog(data, site)) as url:
        yield url


def catalog(folder: Path, site: str) -> str:
    found = shutil.copytree(ROOT / "infra" / "catalog", folder / "catalog")
    sources = found / "sources.yaml"
    sources.write_text(sources.read_text().replace("http://localhost:8080", site))
    (found / "more.yaml").write_bytes(msgspec.json.encode(MORE))
    return str(found)


async def does(url: str, visitor: str, *events: Event) -> str:
    """What the visitor does now, evaluated once this returns; the message id of the last event."""
    async with Client.connected(url) as client:
        for number, (event, properties) in enumerate(events):
            id_ = f"{visitor}-{event}-{number}"
            call = {"type": "track", "event": event, "anonymousId": visitor, "properties": properties, "messageId": id_}
            await client.call(call)
        await client.settle()
    return id_


async def by_python(url: str, questions: Sequence[Question]) -> Sequence[Details]:
    return await asyncio.to_thread(evaluated, url, DEMO_SECRET_KEY, [each._asdict() for each in questions])


async def by_node(url: str, questions: Sequence[Question]) -> Sequence[Details]:
    require_packages()
    process = await asyncio.create_subprocess_exec(
        *("node", "openfeature_server.cjs", url, DEMO_SECRET_KEY),
        cwd=SDKS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(msgspec.json.encode([each._asdict() for each in questions]))
    assert process.returncode == 0
    found: Sequence[Details] = msgspec.json.decode(told)
    return found


WELCOME = {"block": "hero", "headline": "Welcome! Find your first favourite", "link": "/collections/best-sellers"}
NEW_ARRIVALS = {"block": "hero", "headline": "New arrivals this week", "link": "/collections/new"}
OTHERWISE = {"block": "of the code"}

ADDED: Event = ("Product Added", {})
WATCHED: Event = ("Video Content Playing", {"progress": 0.8})

BANNER, ADVERTISEMENT = (Question("Object", slot, OTHERWISE, {}) for slot in ("banner", "advertisement"))

servers = pytest.mark.parametrize("ask", [by_python, by_node], ids=["python", "node"])


def told(details: Details) -> tuple[Any, Any, Any, Any]:
    return details["value"], details.get("variant"), details["reason"], details.get("errorCode")


@servers
async def test_a_server_reads_slots_and_segments(segue: str, ask: Ask) -> None:
    visitor = f"visitor of {ask.__name__}"
    await does(segue, visitor, ADDED)
    about = {"targetingKey": visitor, "anonymous_id": visitor}
    hero, member, other, unknown = await ask(segue, [
        Question("Object", "homepage-hero", OTHERWISE, about),
        Question("Boolean", "segment.new-visitor", False, about),
        Question("Boolean", "segment.bargain-hunter", True, about),
        Question("Object", "homepage-hero", OTHERWISE, {"targetingKey": "anonymous_id:a stranger"}),
    ])  # fmt: skip
    assert told(hero) == (WELCOME, "welcome", "TARGETING_MATCH", None)
    assert hero["flagMetadata"] == {"segue_reason": "targeting_match", "segment": "new-visitor"}
    assert told(member) == (True, "member", "TARGETING_MATCH", None)
    assert told(other) == (False, "none", "STATIC", None)
    assert told(unknown) == (NEW_ARRIVALS, "default", "STATIC", None)


@servers
async def test_a_server_is_told_of_experiments_and_of_what_is_withheld(segue: str, ask: Ask) -> None:
    visitor = f"third visitor of {ask.__name__}"
    await does(segue, visitor, ADDED)
    about = {"anonymous_id": visitor}
    banner, withheld = await ask(segue, [each._replace(context=about) for each in (BANNER, ADVERTISEMENT)])
    assert_split_and_disabled(banner, withheld)


def assert_split_and_disabled(banner: Details, withheld: Details) -> None:
    assert (banner["value"], banner["reason"]) == ({"scale": 1.5, "columns": 3}, "SPLIT")
    assert banner["variant"] == f"{banner['flagMetadata']['arm']}-one"
    assert banner["flagMetadata"]["experiment"] == "size"
    assert told(withheld) == ({"text": "For everybody"}, "default", "DISABLED", None)
    assert withheld["flagMetadata"]["segue_reason"] == "no_consent"


@servers
async def test_a_server_sees_what_an_event_changed(segue: str, ask: Ask) -> None:
    visitor = f"another visitor of {ask.__name__}"
    await does(segue, visitor, ADDED)
    watched = await does(segue, visitor, WATCHED)
    about = {"targetingKey": visitor, "segue_after": watched, "segue_deadline_ms": 5_000}
    (hero,) = await ask(segue, [Question("Object", "homepage-hero", OTHERWISE, about)])
    assert (hero["variant"], hero["reason"]) == ("complete-your-order", "TARGETING_MATCH")


@servers
async def test_a_server_is_told_what_is_wrong_and_goes_on_with_its_own_content(segue: str, ask: Ask) -> None:
    about = {"targetingKey": "anybody"}
    wrong = await ask(segue, [
        Question("Object", "nowhere", OTHERWISE, about),
        Question("Boolean", "homepage-hero", True, about),
        Question("Object", "homepage-hero", OTHERWISE, {}),
        Question("Object", "homepage-hero", OTHERWISE, {"user_id": True}),
    ])  # fmt: skip
    codes = ["FLAG_NOT_FOUND", "TYPE_MISMATCH", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"]
    assert [(each["errorCode"], each["reason"]) for each in wrong] == [(code, "ERROR") for code in codes]
    assert [each["value"] for each in wrong] == [OTHERWISE, True, OTHERWISE, OTHERWISE]


@servers
async def test_a_server_whose_segue_is_gone_goes_on_with_its_own_content(ask: Ask) -> None:
    (hero,) = await ask(NOBODY_LISTENS, [Question("Object", "homepage-hero", OTHERWISE, {"targetingKey": "anybody"})])
    assert (hero["value"], hero["reason"]) == (OTHERWISE, "ERROR")


# As the README has it


def example(language: str, beginning: str, url: str) -> str:
    """The README's example in a language that begins so, about this Segue."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (found,) = [block for block in blocks if block.startswith(beginning)]
    return str(found).replace("https://segue.example.com", url)


async def test_the_readmes_example_in_python_gets_the_visitors_content(segue: str) -> None:
    await does(segue, "reader-1", ADDED)
    code = example("python", "from openfeature", segue).replace("SECRET_KEY", DEMO_SECRET_KEY).replace("0.3", "10")
    names: dict[str, Any] = {"cookies": {"segue_anonymous_id": "reader-1"}}
    await asyncio.to_thread(exec, code, names)
    assert names["hero"] == WELCOME


async def test_the_readmes_example_in_node_gets_the_visitors_content(segue: str) -> None:
    require_packages()
    await does(segue, "reader-2", ADDED)
    names = f"const SECRET_KEY = '{DEMO_SECRET_KEY}', cookies = {{segue_anonymous_id: 'reader-2'}}"
    block = example("js", 'const { OpenFeature } = require("@openfeature/server-sdk")', segue)
    script = f"{names}; (async () => {{ {block}; console.log(JSON.stringify(hero)) }})()"
    process = await asyncio.create_subprocess_exec("node", "-e", script, cwd=SDKS, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert msgspec.json.decode(said) == WELCOME


# In a browser


class Shop:
    """A page of the site that asks Segue through OpenFeature, and what it was answered over the network."""

    def __init__(self, page: Page, site: str, segue: str) -> None:
        self.page = page
        self.answers: list[Response] = []
        self.streams: list[Response] = []
        self._site = site
        self._segue = segue
        page.on("response", self._noted)

    async def opened(self, token: str, **options: Any) -> str | None:
        """Load the page, and begin with this token; what the provider failed with."""
        await self.page.goto(f"{self._site}/openfeature.html")
        await self.page.wait_for_function("window.loaded")
        await self.page.evaluate("token => { window.token = token }", token)
        await self.page.evaluate("([url, options]) => begin(url, options)", [self._segue, options])
        return await self.page.evaluate("window.failure")  # type: ignore[no-any-return]

    async def told(self, *questions: Question) -> Sequence[Details]:
        return await self.page.evaluate("questions => told(questions)", [each._asdict() for each in questions])  # type: ignore[no-any-return]

    async def until(self, flag: str, variant: str) -> None:
        """Wait until a slot has this variant in the page."""
        wanted = "([flag, variant]) => told([{type: 'Object', flag, otherwise: {}}])[0].variant === variant"
        await self.page.wait_for_function(wanted, arg=[flag, variant], timeout=WITHIN_S * 1_000)

    async def until_answered(self, status: int) -> None:
        """Wait until an answer has this status."""
        async with asyncio.timeout(WITHIN_S):
            while status not in self.statuses():  # noqa: ASYNC110  # the page asks when it does
                await asyncio.sleep(POLL_S)

    async def until_listening(self, times: int = 1) -> None:
        """Wait until so many streams of events have begun."""
        async with asyncio.timeout(WITHIN_S):
            while [each.status for each in self.streams].count(200) < times:  # noqa: ASYNC110  # the page listens by itself
                await asyncio.sleep(POLL_S)

    def statuses(self) -> list[int]:
        return [each.status for each in self.answers if each.request.method == "POST"]

    def _noted(self, response: Response) -> None:
        if "/ofrep/" in response.url:
            self.answers.append(response)
        elif "/v1/stream" in response.url:
            self.streams.append(response)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(page: Page, site: str, segue: str) -> Shop:
    require_packages()
    return Shop(page, site, segue)


async def token_of(url: str, visitor: ProfileRef, lifetime_s: int = 900) -> str:
    """As the site's own server has it issued."""
    async with httpx.AsyncClient(base_url=url, auth=(DEMO_SECRET_KEY, ""), trust_env=False) as http:
        answer = await http.post(
            "/v1/tokens", json={"profile": {visitor.kind: visitor.value}, "lifetime_s": lifetime_s}
        )
        token: str = answer.json()["token"]
        return token


def visitor(name: str) -> ProfileRef:
    return ProfileRef("anonymous_id", name)


HERO = Question("Object", "homepage-hero", OTHERWISE, {})


@pytest.mark.browser
async def test_a_page_of_another_origin_reads_slots_and_segments_with_a_token(segue: str, shop: Shop) -> None:
    await does(segue, "web-1", ADDED)
    assert await shop.opened(await token_of(segue, visitor("web-1"))) is None
    hero, member, other = await shop.told(
        HERO,
        Question("Boolean", "segment.new-visitor", False, {}),
        Question("Boolean", "segment.bargain-hunter", True, {}),
    )
    assert told(hero) == (WELCOME, "welcome", "TARGETING_MATCH", None)
    assert told(member) == (True, "member", "TARGETING_MATCH", None)
    assert told(other) == (False, "none", "STATIC", None)
    assert shop.statuses() == [200]


@pytest.mark.browser
async def test_a_page_is_told_of_experiments_and_of_what_is_withheld(segue: str, shop: Shop) -> None:
    await does(segue, "web-9", ADDED)
    await shop.opened(await token_of(segue, visitor("web-9")))
    assert_split_and_disabled(*await shop.told(BANNER, ADVERTISEMENT))


@pytest.mark.browser
async def test_a_page_is_told_what_is_wrong_and_goes_on_with_its_own_content(segue: str, shop: Shop) -> None:
    await shop.opened(await token_of(segue, visitor("web-2")))
    wrong = await shop.told(
        Question("Object", "nowhere", OTHERWISE, {}),
        Question("Boolean", "segment.completed-buyer", True, {}),
        Question("String", "homepage-hero", "own", {}),
    )
    assert [each["errorCode"] for each in wrong] == ["FLAG_NOT_FOUND", "FLAG_NOT_FOUND", "TYPE_MISMATCH"]
    assert [each["value"] for each in wrong] == [OTHERWISE, True, "own"]


@pytest.mark.browser
async def test_a_page_sees_what_an_event_changed_and_asks_for_no_answer_twice(segue: str, shop: Shop) -> None:
    """It polls, without server-sent events: what has not changed is not sent again."""
    await does(segue, "web-3", ADDED)
    await shop.opened(await token_of(segue, visitor("web-3")), pollInterval=150, changeDetection="polling")
    assert [told(each)[1] for each in await shop.told(HERO)] == ["welcome"]
    await shop.until_answered(304)
    await does(segue, "web-3", WATCHED)
    await shop.until("homepage-hero", "complete-your-order")
    assert {*shop.statuses()} == {200, 304}
    assert shop.statuses().count(200) == 2
    changes = await shop.page.evaluate("window.changes")
    assert any("homepage-hero" in changed for changed in changes)


@pytest.mark.browser
async def test_a_page_that_stays_open_is_told_of_a_change_and_asks_once(segue: str, shop: Shop) -> None:
    """As the provider does by itself, by server-sent events."""
    await does(segue, "web-8", ADDED)
    await shop.opened(await token_of(segue, visitor("web-8")))
    await shop.until_listening()
    assert shop.statuses() == [200]
    await does(segue, "web-8", WATCHED)
    await shop.until("homepage-hero", "complete-your-order")
    assert shop.statuses() == [200, 200]


@pytest.mark.browser
async def test_a_page_whose_token_has_ended_listens_with_the_next_one(segue: str, shop: Shop) -> None:
    await does(segue, "web-9", ADDED)
    await shop.opened(await token_of(segue, visitor("web-9"), lifetime_s=2))
    await shop.until_listening()
    await shop.page.evaluate("token => { window.token = token }", await token_of(segue, visitor("web-9")))
    await shop.until_listening(2)
    await does(segue, "web-9", WATCHED)
    await shop.until("homepage-hero", "complete-your-order")


@pytest.mark.browser
async def test_a_page_sees_no_other_visitor_whatever_its_context_says(segue: str, shop: Shop) -> None:
    await does(segue, "web-4", ADDED)
    await shop.opened(await token_of(segue, visitor("web-5")))
    for context in ({"targetingKey": "web-4"}, {"targetingKey": "anonymous_id:web-4", "anonymous_id": "web-4"}):
        await shop.page.evaluate("context => about(context)", context)
        assert [told(each) for each in await shop.told(HERO)] == [(NEW_ARRIVALS, "default", "STATIC", None)]


@pytest.mark.browser
async def test_a_page_without_a_good_token_goes_on_with_its_own_content(segue: str, shop: Shop) -> None:
    await does(segue, "web-6", ADDED)
    expiring = await token_of(segue, visitor("web-6"), lifetime_s=1)
    await asyncio.sleep(1.1)
    for token in ("", "a.b.c", "demo-write-key", expiring):
        failure = await shop.opened(token, cacheMode="disabled")
        assert "Initialization failed" in str(failure)
        (hero,) = await shop.told(HERO)
        assert (hero["value"], hero["reason"]) == (OTHERWISE, "ERROR")
    assert {*shop.statuses()} == {401}


@pytest.mark.browser
async def test_a_page_of_a_strange_site_reads_nothing(segue: str, site: str, page: Page) -> None:
    """The same files at another origin, which no source names."""
    require_packages()
    await does(segue, "web-7", ADDED)
    stranger = Shop(page, site.replace("localhost", "127.0.0.1"), segue)
    failure = await stranger.opened(await token_of(segue, visitor("web-7")), cacheMode="disabled")
    assert failure is not None
    (hero,) = await stranger.told(HERO)
    assert (hero["value"], hero["reason"]) == (OTHERWISE, "ERROR")
