"""Whatever is sent to the running platform: no 5xx, nothing changed by what is refused, and the next event works."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.functions.bad_input import CASES, EVERYWHERE, WIRE, Case, WireCase
from tests.journeys.running import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER_WITHIN_S = 15.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One platform for all cases: none may leave it worse than it was."""
    with running(tmp_path_factory.mktemp("bad-input")) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_WITHIN_S, trust_env=False) as http:
        yield http


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def segue(url: str) -> AsyncIterator[Client]:
    async with Client.connected(url) as client:
        yield client


async def answer(http: httpx.AsyncClient, case: Case) -> int:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in case.chunks():
            yield piece

    auth = httpx.BasicAuth(case.key, "") if case.key is not None else None
    request = http.build_request(case.method, case.path, content=pieces(), headers=dict(case.headers))
    try:
        return (await http.send(request, auth=auth)).status_code
    except httpx.WriteError:  # the server has answered and hung up before it had read everything
        return 413


async def published(segue: Client) -> int:
    await segue.settle()
    ledger = await segue.ledger()
    assert ledger["published"] == sum(count for name, count in ledger.items() if name != "published")
    assert ledger["failed"] == 0
    return ledger["published"]


async def assert_goes_on(segue: Client, name: str) -> None:
    """An event goes in, and its visitor is known."""
    visitor = ProfileRef("anonymous_id", f"after {name:.100}")
    await segue.call({"type": "track", "event": "A", "anonymousId": visitor.value, "messageId": "m"})
    await segue.settle()
    assert (await segue.segments(visitor))["known"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:80])
async def test_a_request_is_answered_as_the_table_says(case: Case, http: httpx.AsyncClient, segue: Client) -> None:
    before = await published(segue)
    assert await answer(http, case) == case.status
    assert (await published(segue) > before) == (case.status < 400)
    await assert_goes_on(segue, case.name)


@pytest.mark.slow
@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_address_answers_alike(path: str, http: httpx.AsyncClient, segue: Client) -> None:
    wrong = [(case.name, status) for case in EVERYWHERE[path] if (status := await answer(http, case)) != case.status]
    assert wrong == []
    await published(segue)
    await assert_goes_on(segue, path)


@pytest.mark.parametrize("case", WIRE, ids=lambda case: case.name[:80])
async def test_bytes_that_are_no_request_are_answered_without_a_5xx(
    case: WireCase, http: httpx.AsyncClient, segue: Client
) -> None:
    before = await published(segue)
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(case.sent)
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), ANSWER_WITHIN_S)
    writer.close()
    assert said[9:10] in (b"2", b"4", b"")
    assert (await published(segue) > before) == (said[9:10] == b"2")
    await assert_goes_on(segue, case.name)


@pytest.mark.slow
async def test_a_request_that_comes_a_byte_at_a_time_is_not_waited_for(http: httpx.AsyncClient, segue: Client) -> None:
    """16: slow loris. Ten seconds for the body, then 408, or the connection is closed."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(b"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    said = await asyncio.wait_for(reader.read(12), ANSWER_WITHIN_S)
    writer.close()
    assert said in (b"HTTP/1.1 408", b"")
    await assert_goes_on(segue, "slow loris")
