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


def is_readable(path: str, answer: httpx.Response) -> bool:
    """Whether a refusal says in words what is wrong, and nothing that nobody should know."""
    said = answer.json()["errorDetails" if path.startswith(FLAGS) else "message"]
    return isinstance(said, str) and SECRET_KEY not in said


@pytest.mark.parametrize("path", CASES)
async def test_every_address_answers_as_the_table_says_and_goes_on(path: str, site: Site) -> None:
    wrong = []
    for case in CASES[path]:
        told = await answer(site.http, case)
        is_told = told.is_success or case.method == "HEAD" or is_readable(path, told)
        next_one = await site.http.post(path, content=good(path))
        if (told.status_code, is_told, next_one.status_code) != (case.status, True, 200):
            wrong.append((case.name, case.status, told.status_code, told.text))
    assert wrong == []
