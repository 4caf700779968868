"""How lookup reads: again from memory where a moment old will do, and not from a store that is known to be down."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from functions.lookup.breaker import DOWN_AFTER_MS, FAILURES, TRY_EVERY_MS, Breaker
from functions.lookup.reading import LONG_MS, MOST, Reader, Recent
from segue.adapters.system import ManualClock
from segue.domain.document import profile_path
from segue.domain.errors import Unavailable
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE
from segue.domain.visitor_token import issued
from segue.ports import Document, Store, Write
from tests.functions.looking_up import NOW, ReadAlone, Site, looking_up
from tests.functions.test_lookup import linked

RECENT_MS = 250


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


class Watched(ReadAlone):
    """The platform's store, and what was read from it; while it is `down` or `stuck` it does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: list[str] = []
        self.down = False
        self.stuck = False

    async def get(self, path: str) -> Document | None:
        self.read.append(path)
        if self.stuck:
            await asyncio.Event().wait()
        if self.down:
            raise Unavailable(f"{path}: the store is down")
        return await self._store.get(path)


async def hero(client: httpx.AsyncClient, visitor: str = "ann", **fields: object) -> tuple[str, str]:
    """The variant of the homepage's hero for the visitor, and the reason."""
    asked = {"profile": {"anonymous_id": visitor}, "slots": ["homepage-hero"], "deadline_ms": 10_000, **fields}
    answer = await client.post("/v1/decide", json=asked)
    assert answer.status_code == 200, answer.text
    decision = answer.json()["homepage-hero"]
    return decision["variant"], decision["reason"]


WELCOME, WAITING = ("welcome", "targeting_match"), ("complete-your-order", "targeting_match")


async def in_the_cart(site: Site, visitor: str) -> str:
    await site.happens(visitor, "Video Content Playing", progress=0.8)
    return await site.happens(visitor, "Product Added")


# What was just read


async def test_a_decision_is_by_the_document_that_was_read_a_moment_ago_and_by_no_older_one(site: Site) -> None:
    store = Watched(site.embedded.store)
    async with site.instance(store, RECENT_MS) as client:
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME
        await in_the_cart(site, "ann")
        site.clock.advance(RECENT_MS - 1)
        assert (await hero(client), len(store.read)) == (WELCOME, 1)
        site.clock.advance(1)
        assert (await hero(client), len(store.read)) == (WAITING, 2)


async def test_what_was_read_a_moment_ago_is_exact_in_time(site: Site) -> None:
    async with site.instance(recent_ms=RECENT_MS) as client:
        await site.happens("ann", "Product Viewed")
        site.clock.advance(86_400_000 - 1)
        assert await hero(client) == WELCOME
        site.clock.advance(1)
        assert await hero(client) == ("default", "default")


async def test_one_visitors_document_answers_for_nobody_else(site: Site) -> None:
    async with site.instance(recent_ms=RECENT_MS) as client:
        await in_the_cart(site, "ann")
        await site.happens("bob", "Product Viewed")
        for _ in range(2):
            assert [await hero(client, visitor) for visitor in ("ann", "bob", "eve")] == [
                WAITING,
                WELCOME,
                ("default", "unknown_visitor"),
            ]


async def test_that_a_visitor_is_unknown_is_not_remembered(site: Site) -> None:
    async with site.instance(recent_ms=RECENT_MS) as client:
        assert await hero(client) == ("default", "unknown_visitor")
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME


async def test_who_asks_for_an_event_or_for_the_segments_gets_nothing_from_memory(site: Site) -> None:
    async with site.instance(recent_ms=RECENT_MS) as client:
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME
        event = await in_the_cart(site, "ann")
        assert await hero(client, after=event) == WAITING
        answer = (await client.get("/v1/profiles/anonymous_id:ann/segments")).json()
        assert "high-purchase-intent" in [segment["id"] for segment in answer["segments"]]
        assert await hero(client) == WAITING


async def test_a_visitors_own_browser_gets_nothing_from_memory(site: Site) -> None:
    """An open page asks anew when it is told of a change, and is told once."""
    visitor = issued(site.settings.profile_secret, ProfileRef("anonymous_id", "ann"), NOW, MINUTE)
    headers = {"authorization": f"Bearer {visitor.token}", "origin": "http://localhost:8080"}
    asked = {"slots": ["homepage-hero"], "deadline_ms": 10_000}
    async with site.instance(recent_ms=RECENT_MS) as client:
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME
        await in_the_cart(site, "ann")
        answer = await client.post("/v1/decide", json=asked, headers=headers, auth=httpx.Auth())
        assert answer.json()["homepage-hero"]["variant"] == WAITING[0]


async def test_an_erased_visitor_is_forgotten_within_that_moment(site: Site) -> None:
    async with site.instance(recent_ms=RECENT_MS) as client:
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME
        path = profile_path(profile_key(site.settings.profile_secret, ProfileRef("anonymous_id", "ann")))
        states = path.replace("profiles", "states")
        await site.embedded.store.commit([Write(path=path, data=None), Write(path=states, data=None)])
        site.clock.advance(RECENT_MS)
        assert await hero(client) == ("default", "unknown_visitor")


async def test_a_visitor_who_turns_out_to_be_a_user_is_so_within_that_moment_and_from_memory_too(site: Site) -> None:
    store = Watched(site.embedded.store)
    async with site.instance(store, RECENT_MS) as client:
        await in_the_cart(site, "anna")
        assert await hero(client, "anna") == WAITING
        await linked(site)
        await site.update()
        assert await hero(client, "anna") == WAITING
        site.clock.advance(RECENT_MS)
        assert await hero(client, "anna") == WAITING
        read = len(store.read)
        assert (await hero(client, "anna"), len(store.read)) == (WAITING, read)


def test_no_more_are_kept_than_may_be_and_nobody_older_than_that() -> None:
    recent: Recent[int] = Recent(RECENT_MS)
    for number in range(MOST + 1):
        recent.put(f"{number}", number, NOW)
    assert (recent.get("0", NOW), recent.get("1", NOW), recent.get(f"{MOST}", NOW)) == (None, 1, MOST)
    recent.put("later", 0, NOW + RECENT_MS + 1)
    assert [recent.get(f"{number}", NOW) for number in (1, MOST)] == [None, None]


def test_what_a_slow_read_finds_does_not_replace_what_a_later_one_found() -> None:
    recent: Recent[str] = Recent(RECENT_MS)
    recent.put("ann", "later", NOW + 1)
    recent.put("ann", "slow", NOW)
    assert recent.get("ann", NOW + 1) == "later"


def test_nothing_is_recent_to_a_clock_that_was_put_back() -> None:
    recent: Recent[str] = Recent(RECENT_MS)
    recent.put("ann", "read", NOW)
    assert recent.get("ann", NOW - 1) is None


# A store that is down


def test_a_moments_trouble_leaves_everybody_reading() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.failed(NOW)
    assert breaker.admits(NOW + DOWN_AFTER_MS - 1)


def test_few_failures_leave_everybody_reading_however_long_it_takes() -> None:
    breaker = Breaker()
    for number in range(FAILURES - 1):
        breaker.failed(NOW + number * 60_000)
    assert breaker.admits(NOW + 3_600_000)


def test_a_store_that_is_down_is_tried_now_and_then_until_it_answers() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(NOW)
    begin = NOW + DOWN_AFTER_MS
    tries = [each for each in range(1_000) if breaker.admits(begin + each)]
    assert tries == [0, TRY_EVERY_MS, 2 * TRY_EVERY_MS, 3 * TRY_EVERY_MS]
    breaker.succeeded()
    assert all(breaker.admits(begin + 1_000 + each) for each in range(1_000))


async def test_nobody_waits_for_a_store_that_is_down_and_everybody_is_served_once_it_is_back(site: Site) -> None:
    store = Watched(site.embedded.store)
    async with site.instance(store) as client:
        await site.happens("ann", "Product Viewed")
        assert await hero(client) == WELCOME
        store.down = True
        for _ in range(FAILURES):
            assert await hero(client) == ("default", "store_unavailable")
        site.clock.advance(DOWN_AFTER_MS)
        read = len(store.read)
        answers = {await hero(client) for _ in range(100)}
        assert (answers, len(store.read) - read) == ({("default", "store_unavailable")}, 1)
        store.down = False
        assert await hero(client) == ("default", "store_unavailable")
        site.clock.advance(TRY_EVERY_MS)
        assert [await hero(client) for _ in range(2)] == [WELCOME, WELCOME]


async def test_a_store_that_stands_still_is_found_out_by_those_who_gave_up(site: Site) -> None:
    store, clock = Watched(site.embedded.store), ManualClock(NOW)
    reader = Reader(store, clock)
    store.stuck = True
    for waited in (LONG_MS - 1, *(LONG_MS for _ in range(FAILURES))):
        reading = asyncio.create_task(reader.get("profiles/a"))
        await asyncio.sleep(0)
        clock.advance(waited)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    clock.advance(DOWN_AFTER_MS)
    trying = asyncio.create_task(reader.get("profiles/a"))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await reader.get("profiles/a")
    trying.cancel()
    assert len(store.read) == 1 + FAILURES + 1
