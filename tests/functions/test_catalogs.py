"""The catalogue in force: fresh within seconds, never waited for without need, and never lost once it was there."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from segue.adapters.system import ManualClock
from segue.catalogs import FRESH, STALE, Catalogs
from segue.domain.errors import Unavailable
from segue.metrics import NOTED
from segue.ports import PublishedCatalog

NOW = 1_715_342_400_000

HANGS_S = 30.0
"""Nothing here takes that long unless it waits for what never comes."""


def version(number: int, **sections: Any) -> PublishedCatalog:
    return PublishedCatalog(number, msgspec.json.encode(sections))


class Published:
    """The catalogue port of a test that sets what is published, holds answers back, and counts the reads."""

    def __init__(self, current: PublishedCatalog | None) -> None:
        self.now: PublishedCatalog | Unavailable | None = current
        self.reads = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def current(self) -> PublishedCatalog | None:
        self.reads += 1
        await self.answering.wait()
        if isinstance(self.now, Unavailable):
            raise self.now
        return self.now

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        raise AssertionError(f"nothing is published here, but {data!r} was (in the place of {expects})")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def rest() -> None:
    """Let a refresh under way come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_request_reads_the_catalogue_and_the_next_ones_use_it(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    assert catalogs.held is None
    clock.advance(FRESH)
    assert [(await catalogs.current()).version for _ in range(3)] == [1, 1, 1]
    assert catalogs.held is not None
    assert published.reads == 1


async def test_requests_that_come_together_share_one_read(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    answers = await asyncio.gather(*(catalogs.current() for _ in range(20)))
    assert ({each.version for each in answers}, published.reads) == ({1}, 1)


async def test_after_two_seconds_one_request_starts_a_refresh_and_goes_on_with_the_old(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.now = version(2)
    published.answering.clear()
    clock.advance(FRESH + 1)
    assert [(await catalogs.current()).version for _ in range(3)] == [1, 1, 1]
    published.answering.set()
    await rest()
    assert ((await catalogs.current()).version, published.reads) == (2, 2)


async def test_after_a_minute_requests_wait_for_the_refresh(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.now = version(2)
    clock.advance(STALE + 1)
    assert (await catalogs.current()).version == 2


async def test_a_refresh_that_takes_too_long_leaves_the_old_version_in_force(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.answering.clear()
    clock.advance(STALE + 1)
    assert (await catalogs.current(patience_s=0.01)).version == 1
    published.answering.set()
    await rest()


async def test_one_request_finds_out_that_a_refresh_takes_too_long_and_the_next_ones_do_not_wait_for_it(
    clock: ManualClock,
) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.answering.clear()
    clock.advance(STALE + 1)
    await catalogs.current(patience_s=0.01)
    async with asyncio.timeout(HANGS_S):
        assert (await catalogs.current(patience_s=2 * HANGS_S)).version == 1
    published.now = version(2)
    published.answering.set()
    await rest()
    assert (await catalogs.current()).version == 2


async def test_a_catalogue_that_cannot_be_read_leaves_the_old_version_in_force(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.now = Unavailable("down")
    for _ in range(3):
        clock.advance(STALE + 1)
        assert (await catalogs.current()).version == 1
    published.now = version(2)
    clock.advance(FRESH + 1)
    assert (await catalogs.current()).version == 2


@pytest.mark.parametrize(
    "broken",
    [
        PublishedCatalog(2, b"no JSON"),
        version(2, colours={}),
        version(2, slots={"hero": {"name": "Hero"}}),
        version(2, segments={"s": {"name": "S", "when": {"didd": "A"}}}),
        version(2, segments={"s": {"name": "S", "when": {"segment": "s"}}}),
    ],
    ids=["no JSON", "an unknown section", "a slot without content", "an unknown condition", "a circle"],
)
async def test_a_broken_version_is_named_in_the_log_once_and_the_old_one_stays(
    clock: ManualClock, broken: PublishedCatalog
) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    noted = NOTED.total(event="catalog_not_refreshed")
    published.now = broken
    for _ in range(3):
        clock.advance(STALE + 1)
        assert (await catalogs.current()).version == 1
    assert NOTED.total(event="catalog_not_refreshed") == noted + 1
    published.now = version(3)
    clock.advance(STALE + 1)
    assert (await catalogs.current()).version == 3


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda: None, "no catalogue has been published"),
        (lambda: Unavailable("down"), "the catalogue cannot be read"),
        (lambda: PublishedCatalog(1, b"{"), "catalogue version 1 is broken"),
    ],
)
async def test_without_any_version_it_is_said_why_until_there_is_one(
    clock: ManualClock, found: Callable[[], Any], said: str
) -> None:
    published = Published(found())
    catalogs = Catalogs(published, clock)
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"^{said}$"):
            await catalogs.current()
    published.now = version(2)
    assert (await catalogs.current()).version == 2


async def test_a_store_that_does_not_answer_is_not_taken_for_one_without_a_catalogue(clock: ManualClock) -> None:
    published = Published(version(1))
    published.answering.clear()
    catalogs = Catalogs(published, clock)
    with pytest.raises(Unavailable, match=r"^the catalogue cannot be read$"):
        await catalogs.current(patience_s=0.01)
    published.answering.set()
    assert (await catalogs.current()).version == 1


async def test_a_version_that_is_asked_for_is_read_now(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.now = version(3)
    assert (await catalogs.at_least(2)).version == 3
    assert ((await catalogs.at_least(2)).version, published.reads) == (3, 2)


async def test_a_version_that_came_after_a_read_began_is_read_again(clock: ManualClock) -> None:
    published = Published(version(1))
    catalogs = Catalogs(published, clock)
    await catalogs.current()
    published.answering.clear()
    clock.advance(FRESH + 1)
    await catalogs.current()
    asked = asyncio.create_task(catalogs.at_least(2))
    await rest()
    published.answering.set()
    await asyncio.sleep(0)
    published.now = version(2)
    assert ((await asked).version, published.reads) == (2, 3)


async def test_a_version_nobody_can_read_is_unavailable(clock: ManualClock) -> None:
    catalogs = Catalogs(Published(version(1)), clock)
    with pytest.raises(Unavailable, match="version 2"):
        await catalogs.at_least(2)


async def test_segments_compile_with_the_settings_of_their_catalogue(clock: ManualClock) -> None:
    segment = {"name": "S", "when": {"did": "A"}}
    published = Published(version(1, segments={"s": segment}, settings={"lateness": "2h", "max_age": "7d"}))
    program = (await Catalogs(published, clock).current()).program
    assert (set(program.segments), program.lateness, program.max_age) == ({"s"}, 7_200_000, 604_800_000)
