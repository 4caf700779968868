"""Tick tells each profile that is due, once, and only the profiles of the clock that ticks."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from segue.domain.message import EVENTS, TICK, ProfileDue
from segue.domain.profile import shard_of
from segue.domain.time import MINUTE, SECOND
from segue.ports import Message, Write
from tests.functions.pushing import NOW, Pushing, pushing, unavailable

GRACE = 10 * SECOND


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


async def make_due(site: Pushing, key: str, due: int, *, imported: bool = False) -> None:
    shard = shard_of(key, imported)
    await site.embedded.store.commit([Write(path=f"states/{key}", data=b"", due=due, shard=shard)])


async def told(site: Pushing) -> Sequence[ProfileDue]:
    return [msgspec.json.decode(message.data, type=ProfileDue) for message in await site.published(EVENTS)]


def tick(at: int | None = NOW, clock: str = "wall", time: int = NOW) -> Message:
    data = {"clock": clock} if at is None else {"at": at, "clock": clock}
    return Message(id="tick", type=TICK, source="//test", time=time, data=msgspec.json.encode(data))


@pytest.mark.parametrize(("due", "is_told"), [(NOW - GRACE - 1, True), (NOW - GRACE, True), (NOW - GRACE + 1, False)])
async def test_a_profile_is_told_once_it_was_due_the_grace_ago(due: int, is_told: bool, site: Pushing) -> None:
    """
    due            tick
     |--- grace ---|
    """
    await make_due(site, "a" * 32, due)
    assert await site.push("tick", tick()) == 204
    assert [entry.key for entry in await told(site)] == ["a" * 32] * is_told


async def test_profiles_of_all_shards_are_told(site: Pushing) -> None:
    keys = {f"{number:08x}{'0' * 24}" for number in range(64)}
    for key in keys:
        await make_due(site, key, NOW - MINUTE)
    assert await site.push("tick", tick()) == 204
    assert {entry.key for entry in await told(site)} == keys
    assert {entry.at for entry in await told(site)} == {NOW - GRACE}


async def test_each_clock_ticks_for_its_own_profiles(site: Pushing) -> None:
    await make_due(site, "a" * 32, NOW - MINUTE)
    await make_due(site, "b" * 32, NOW - MINUTE, imported=True)
    await site.push("tick", tick(clock="import"))
    assert [entry.key for entry in await told(site)] == ["b" * 32]
    await site.push("tick", tick(clock="wall"))
    assert [entry.key for entry in await told(site)] == ["b" * 32, "a" * 32]


async def test_a_repeated_tick_says_the_very_same(site: Pushing) -> None:
    await make_due(site, "a" * 32, NOW - MINUTE)
    for _ in range(2):
        await site.push("tick", tick())
    first, again = await site.published(EVENTS)
    assert first == again


async def test_the_grace_is_the_catalogues(site: Pushing) -> None:
    await site.publish_catalog(settings={"grace": "2m"})
    site.restart()
    await make_due(site, "a" * 32, NOW - MINUTE)
    await site.push("tick", tick())
    assert await told(site) == []


async def test_a_tick_of_the_schedule_means_its_own_time(site: Pushing) -> None:
    await make_due(site, "a" * 32, NOW - MINUTE)
    await site.push("tick", tick(at=None, time=NOW))
    assert await told(site) == [ProfileDue(key="a" * 32, at=NOW - GRACE)]


async def test_a_schedules_message_has_its_id_and_time_from_pubsub(site: Pushing) -> None:
    await make_due(site, "a" * 32, NOW - MINUTE)
    headers = {
        "ce-type": "segue.tick",
        "ce-source": "//segue/scheduler",
        "ce-specversion": "1.0",
        "x-goog-pubsub-message-id": "77",
        "x-goog-pubsub-publish-time": "2024-05-10T12:00:00Z",
    }
    assert (await site.request("tick", b'{"clock": "wall"}', headers)).status_code == 204
    assert await told(site) == [ProfileDue(key="a" * 32, at=NOW - GRACE)]


@pytest.mark.parametrize("call", ["due", "publish"])
async def test_a_tick_that_did_not_reach_all_comes_back(call: str, site: Pushing) -> None:
    await make_due(site, "a" * 32, NOW - MINUTE)
    site.broken.breaks[call] = unavailable()
    assert await site.push("tick", tick()) == 503
    assert await site.push("tick", tick()) == 204
    assert {entry.key for entry in await told(site)} == {"a" * 32}


async def test_an_unknown_clock_is_recorded(site: Pushing) -> None:
    assert await site.push("tick", tick(clock="moon")) == 204
    (failed,) = await site.failed()
    assert (failed.stage, failed.topic) == ("tick", "ticks")
