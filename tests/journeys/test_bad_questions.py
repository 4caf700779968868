"""Whatever the running lookup is asked: no 5xx, the next question is answered, and strangers learn nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from emulator.client import Client
from segue.domain.profile import ProfileRef
from segue.domain.visitor_token import issued
from tests.functions.bad_input import SECRET_KEY, WireCase
from tests.functions.bad_questions import CASES, FLAGS, HERO, WIRE, good
from tests.journeys.running import running
from tests.journeys.test_bad_input import ANSWER_WITHIN_S
from tests.journeys.test_bad_input import answer as answer_to

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

VISITORS = 10_000
AT_ONCE = 16


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One platform for all cases: none may leave it worse than it was."""
    with running(tmp_path_factory.mktemp("bad-questions")) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=ANSWER_WITHIN_S, trust_env=False) as http:
        yield http


async def assert_goes_on(http: httpx.AsyncClient) -> None:
    for path in CASES:
        assert (await http.post(path, content=good(path), auth=(SECRET_KEY, ""))).status_code == 200


@pytest.mark.parametrize("path", CASES)
async def test_every_address_answers_as_the_table_says(path: str, http: httpx.AsyncClient) -> None:
    wrong = [(case.name, status) for case in CASES[path] if (status := await answer_to(http, case)) != case.status]
    assert wrong == []
    await assert_goes_on(http)


@pytest.mark.parametrize("case", WIRE, ids=lambda case: case.name[:80])
async def test_bytes_that_are_no_request_are_answered_without_a_5xx(case: WireCase, http: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(case.sent)
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), ANSWER_WITHIN_S)
    writer.close()
    assert said[9:10] in (b"2", b"4", b"")
    await assert_goes_on(http)


async def test_a_question_that_comes_a_byte_at_a_time_is_not_waited_for(http: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(f"POST {FLAGS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    said = await asyncio.wait_for(reader.read(12), ANSWER_WITHIN_S)
    writer.close()
    assert said in (b"HTTP/1.1 408", b"")
    await assert_goes_on(http)


async def test_an_enumeration_of_10000_ids_tells_a_browser_nothing(url: str, http: httpx.AsyncClient) -> None:
    """Every hundredth of them is known. A stranger makes tokens for all, with a secret of their own, from a page of the
    site; and asks as the site would, without its key."""
    async with Client.connected(url) as client:
        known = range(0, VISITORS, 100)
        await client.batch([
            {"type": "track", "event": "Product Added", "anonymousId": f"id-{n}", "messageId": f"m-{n}"} for n in known
        ])  # fmt: skip
        await client.settle()
        assert (await client.segments(ProfileRef("anonymous_id", "id-100")))["known"]
    answers = set()

    async def enumerate_ids(numbers: range) -> None:
        for number in numbers:
            visitor = ProfileRef("anonymous_id", f"id-{number}")
            token = issued(b"a secret of the stranger's own", visitor, 4_000_000_000_000, 60_000).token
            headers = {"authorization": f"Bearer {token}", "origin": "http://localhost:8080"}
            told = await http.post(HERO, json={"context": {"targetingKey": visitor.value}}, headers=headers)
            varying = {"date", "server"}
            said = tuple((name, value) for name, value in told.headers.items() if name not in varying)
            answers.add((told.status_code, told.text, said))

    await asyncio.gather(*(enumerate_ids(range(first, VISITORS, AT_ONCE)) for first in range(AT_ONCE)))
    assert len(answers) == 1
    assert {status for status, _, _ in answers} == {401}
