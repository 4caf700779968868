"""One site and one Segue for all tests of a module; each test is a visitor of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.site import Site
from tests.site import site as made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with made(tmp_path_factory.mktemp("site")) as site:
        yield site
