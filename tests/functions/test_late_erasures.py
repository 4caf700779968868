"""What is written into an archive behind our back, after a visitor was erased, goes too."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from functions.privacy.privacy import LATELY, Eraser
from segue.domain.message import ERASURES_DUE, PROFILE_ERASED, ErasuresDue, ProfileErased
from segue.domain.time import DAY
from tests.bigquery import Subscribed, bigquery
from tests.functions.pushing import KEY, NOW, Pushing, pushing


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


@pytest.mark.parametrize(("after", "left"), [(DAY, 0), (LATELY, 1)])
async def test_what_came_late_of_whoever_was_erased_lately_is_erased_once_a_day(
    site: Pushing, after: int, left: int
) -> None:
    late = site.received(site.event("Product Viewed"))
    with bigquery() as (tables, url):
        eraser = Eraser(msgspec.structs.replace(site.ports, archive=Subscribed.to(tables, url)))
        await eraser(site.message(PROFILE_ERASED, ProfileErased(key=KEY, at=NOW)))
        tables.write("events", [late])
        site.clock.advance(after)
        await eraser(site.message(ERASURES_DUE, ErasuresDue()))
        assert len([row for row in tables.rows("events") if KEY in row]) == left


async def test_where_nobody_was_erased_nothing_is_asked_of_the_archive(site: Pushing) -> None:
    assert await site.push("privacy", site.message(ERASURES_DUE, ErasuresDue())) == 204
