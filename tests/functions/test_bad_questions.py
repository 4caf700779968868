"""Whatever lookup is asked: the answer of the table, and the next question is answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.functions.bad_input import SECRET_KEY, Case
from tests.functions.bad_questions import CASES, FLAGS, good
from tests.functions.looking_up import Site, looking_up


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path) as site:
        yield site


async def answer(http: httpx.AsyncClient, case: Case) -> httpx.Response:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in case.chunks():
            yield chunk

    auth = httpx.BasicAuth(case.key, "") if case.key is not None else httpx.Auth()
    return await http.request(case.method, case.path, content=chunks(), headers=dict(case.headers), auth=auth)


@pytest.mark.parametrize("path", CASES)
async def test_every_address_answers_as_the_table_says_and_goes_on(path: str, site: Site) -> None:
    wrong = []
    for case in CASES[path]:
        told = await answer(site.http, case)
        if told.status_code != case.status or (await site.http.post(path, content=good(path))).status_code != 200:
            wrong.append((case.name, case.status, told.status_code, told.text))
    assert wrong == []


async def test_what_is_refused_is_refused_in_words_that_can_be_read(site: Site) -> None:
    for path, cases in CASES.items():
        for case in cases:
            if case.status < 400 or case.method == "HEAD":
                continue
            told = (await answer(site.http, case)).json()
            said = told["errorDetails"] if path.startswith(FLAGS) else told["message"]
            assert isinstance(said, str), case.name
            assert SECRET_KEY not in said
