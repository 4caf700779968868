"""What the published catalogue promises, on every platform."""

import random

import pytest

from segue.domain.errors import Conflict
from segue.ports import Catalog, PublishedCatalog
from tests.contracts.conftest import Platform

FIRST, SECOND = b'{"segments": {}}', b'{"segments": {"buyers": {}}}'


@pytest.fixture
def catalog(platform: Platform) -> Catalog:
    return platform.catalog


async def test_before_anything_is_published_there_is_none(catalog: Catalog) -> None:
    assert await catalog.current() is None


async def test_what_was_published_last_is_current(catalog: Catalog) -> None:
    assert await catalog.publish(FIRST) == PublishedCatalog(1, FIRST)
    assert await catalog.current() == PublishedCatalog(1, FIRST)
    assert await catalog.publish(SECOND) == PublishedCatalog(2, SECOND)
    assert await catalog.current() == PublishedCatalog(2, SECOND)


async def test_the_same_bytes_are_no_new_version(catalog: Catalog) -> None:
    published = await catalog.publish(FIRST)
    assert await catalog.publish(FIRST) == published
    assert await catalog.current() == published


async def test_what_was_meant_to_follow_another_version_is_not_published(catalog: Catalog) -> None:
    with pytest.raises(Conflict):
        await catalog.publish(FIRST, expects=1)
    assert await catalog.publish(FIRST, expects=0) == PublishedCatalog(1, FIRST)
    with pytest.raises(Conflict):
        await catalog.publish(SECOND, expects=0)
    assert await catalog.publish(SECOND, expects=1) == PublishedCatalog(2, SECOND)


async def test_going_back_to_older_bytes_is_a_new_version(catalog: Catalog) -> None:
    for version, data in enumerate((FIRST, SECOND, FIRST), start=1):
        assert await catalog.publish(data) == PublishedCatalog(version, data)
    assert await catalog.current() == PublishedCatalog(3, FIRST)


async def test_a_catalogue_of_several_megabytes_comes_back_byte_for_byte(catalog: Catalog) -> None:
    incompressible = random.Random(0).randbytes(3_000_000)
    await catalog.publish(incompressible)
    assert await catalog.current() == PublishedCatalog(1, incompressible)
