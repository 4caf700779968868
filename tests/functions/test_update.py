"""Update keeps the newest snapshot on the public profile, whatever order the snapshots come in."""

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from segue.domain.document import PublicProfile, encode, profile_path
from segue.domain.errors import Conflict
from segue.ports import Write
from tests.functions.pushing import ADA, KEY, NOW, Pushing, changed, pushing, snapshot, unavailable


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


async def test_a_snapshot_becomes_the_public_profile(site: Pushing) -> None:
    entry = changed(3, known_until=NOW + 5, memberships={"viewer": ((NOW, None),)}, approximate=("viewer",))
    assert await site.push("update", snapshot(entry)) == 204
    assert await site.public() == PublicProfile(
        profile=ADA,
        seq=3,
        catalog=1,
        at=NOW,
        known_until=NOW + 5,
        memberships={"viewer": ((NOW, None),)},
        approximate=("viewer",),
    )


@pytest.mark.parametrize("order", [*permutations((1, 2, 5))], ids=str)
async def test_the_newest_snapshot_wins_in_any_order(order: tuple[int, ...], site: Pushing) -> None:
    for seq in order:
        assert await site.push("update", snapshot(changed(seq))) == 204
    public = await site.public()
    assert public
    assert public.seq == 5


async def test_a_snapshot_that_is_not_newer_is_read_for_and_not_written(site: Pushing) -> None:
    for _ in range(2):
        await site.push("update", snapshot(changed(1)))
    path = profile_path(KEY)
    assert site.broken.calls == [f"get {path}", f"commit {path}", f"get {path}"]


async def test_whoever_comes_second_reads_again(site: Pushing) -> None:
    site.broken.breaks["commit"] = [Conflict("somebody came first")]
    assert await site.push("update", snapshot(changed(1))) == 204
    assert await site.public()


async def test_while_the_store_is_down_the_snapshot_comes_back(site: Pushing) -> None:
    site.broken.breaks = {"get": unavailable(), "commit": unavailable()}
    assert [await site.push("update", snapshot(changed(1))) for _ in range(3)] == [503, 503, 204]


async def test_a_corrupt_public_profile_is_left_alone_and_the_snapshot_recorded(site: Pushing) -> None:
    await site.embedded.store.commit([Write(path=profile_path(KEY), data=b"{}")])
    assert await site.push("update", snapshot(changed(1))) == 204
    (failed,) = await site.failed()
    assert (failed.stage, failed.topic) == ("update", "memberships")
    assert "corrupt" in failed.reason


async def test_a_public_profile_of_newer_code_is_left_to_that(site: Pushing) -> None:
    await site.push("update", snapshot(changed(1)))
    public = await site.public()
    assert public
    newer = encode(msgspec.structs.replace(public, schema=public.schema + 1))
    await site.embedded.store.commit([Write(path=profile_path(KEY), data=newer)])
    assert await site.push("update", snapshot(changed(2))) == 503
    assert await site.failed() == []
