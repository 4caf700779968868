"""Whatever is sent to ingest: the answer of the table, nothing published if it is refused, and the next event works."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.functions.bad_input import CASES, EVERYWHERE, Case, call, whole
from tests.functions.ingesting import Ingest, ingesting

GOOD = Case("a good event", 200, whole(call()))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingest]:
    """One instance for all cases: none may leave it worse than it was."""
    async with ingesting(tmp_path_factory.mktemp("ingest")) as ingest:
        yield ingest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_ingest_answers_as_the_table_says_and_goes_on(case: Case, ingest: Ingest) -> None:
    answer = await ingest.answer(case)
    published = await ingest.messages()
    assert (answer.status_code, bool(published)) == (case.status, case.status < 400), answer.text
    assert (await ingest.answer(GOOD)).status_code == 200
    assert len(await ingest.messages()) == 1


LETTERS = {f"/v1/{letter}" for letter in "tipsgab"}
"""The same addresses once more, in short."""


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] * (path in LETTERS)) for path in EVERYWHERE]
)
async def test_every_address_answers_alike(path: str, ingest: Ingest) -> None:
    wrong = []
    for case in EVERYWHERE[path]:
        answer = await ingest.answer(case)
        expected = (case.status, case.status < 400 and case.method == "POST")
        if (answer.status_code, bool(await ingest.messages())) != expected:
            wrong.append((case.name, case.status, answer.status_code, answer.text))
    assert wrong == []


async def test_no_two_cases_have_one_name() -> None:
    names = [(case.name, case.path) for case in CASES]
    assert len(set(names)) == len(names)
