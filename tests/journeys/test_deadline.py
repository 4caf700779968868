"""With its store stopped, slowed by 2 s or answering errors, lookup answers 10,000 of 10,000 with content in time."""

import asyncio
import fcntl
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from emulator.client import Client
from emulator.google_emulators import GoogleEmulators
from tests.bench.measurement import percentile
from tests.emulators import stopped
from tests.function_on_google import function_on_google, publish
from tests.journeys.faulty_wire import SLOW_S, State, wired
from tests.journeys.hurried import Answered, asked, post
from tests.journeys.running import running

pytestmark = pytest.mark.slow

LOOKUPS = 10_000
DEADLINE_MS = 1_900
"""Below the 2 s that the store is slowed by, and above what a busy machine keeps a process waiting for."""

HEALS_WITHIN_S = 30.0
VISITORS = [f"visitor-{number}" for number in range(200)]

Fault = Callable[[], AbstractAsyncContextManager[None]]


def questions(number: int) -> Iterator[bytes]:
    """About one visitor after the other, in turn as Segue's own and as OFREP's."""
    for each in range(number):
        visitor = VISITORS[each // 2 % len(VISITORS)]
        asked = {"profile": {"anonymous_id": visitor}, "slots": ["homepage-hero"], "deadline_ms": DEADLINE_MS}
        context = {"targetingKey": visitor, "segue_deadline_ms": DEADLINE_MS}
        yield post("/ofrep/v1/evaluate/flags", {"context": context}) if each % 2 else post("/v1/decide", asked)


def reason(answer: Answered) -> str:
    """Why the homepage's hero has the content that it has."""
    assert answer.status == 200, answer
    found = json.loads(answer.body)
    if "homepage-hero" in found:
        content, why = found["homepage-hero"]["content"], found["homepage-hero"]["reason"]
    else:
        flag = next(each for each in found["flags"] if each["key"] == "homepage-hero")
        content, why = flag["value"], flag["metadata"]["segue_reason"]
    assert content["headline"], answer
    return str(why)


async def assert_kept(url: str, fault: Fault) -> None:
    """The deadline, and the content; and after the fault the visitors' own again."""
    await until_healed(url)
    asking = asyncio.create_task(asked(url, [*questions(LOOKUPS)]))
    await asyncio.sleep(0.1)
    async with fault():
        answers = await asking
    reasons, taken = Counter(map(reason, answers)), [answer.ms for answer in answers]
    shares = {share: round(percentile(taken, share), 1) for share in (0.5, 0.9, 0.99, 0.999, 1.0)}
    late = sum(ms > DEADLINE_MS for ms in taken)
    print(f"\n{len(answers)} answers, {late} late; ms by share {shares}; {dict(reasons)}")
    assert (len(answers), late) == (LOOKUPS, 0)
    assert reasons["deadline"] + reasons["store_unavailable"] > LOOKUPS / 2
    await until_healed(url)


async def until_healed(url: str) -> None:
    async with asyncio.timeout(HEALS_WITHIN_S):
        while {reason(answer) for answer in await asked(url, [*questions(2 * len(VISITORS))])} != {"targeting_match"}:
            continue


# Embedded: the database is held, again and again or for good, or it has lost its table


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("embedded")
    with running(folder) as url:
        asyncio.run(_visit(url))
        yield url, folder / "segue.db"


async def _visit(url: str) -> None:
    async with Client.connected(url) as client:
        for visitor in VISITORS:
            event = {"type": "track", "event": "Product Viewed", "anonymousId": visitor, "messageId": visitor}
            await client.call(event)
        await client.settle()


@asynccontextmanager
async def held(database: Path) -> AsyncIterator[None]:
    """Nobody else reads or writes: all locks of SQLite's write-ahead log are taken, bytes 120 to 127 of its index."""
    with open(f"{database}-shm", "r+b") as index:  # noqa: ASYNC230  # it is not read
        while not _locked(index):  # noqa: ASYNC110  # the other side of a lock tells nobody
            await asyncio.sleep(0.001)
        yield


def _locked(index: IO[bytes]) -> bool:
    with suppress(BlockingIOError):
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 120)
        return True
    return False


@asynccontextmanager
async def slowed(database: Path) -> AsyncIterator[None]:
    async def again_and_again() -> None:
        while True:
            async with held(database):
                await asyncio.sleep(SLOW_S)
            await asyncio.sleep(0.05)

    holding = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        holding.cancel()


@asynccontextmanager
async def failing(database: Path) -> AsyncIterator[None]:
    await asyncio.to_thread(_rename, database, "documents", "elsewhere")
    try:
        yield
    finally:
        await asyncio.to_thread(_rename, database, "elsewhere", "documents")


def _rename(database: Path, table: str, name: str) -> None:
    connection = sqlite3.connect(database, timeout=60, isolation_level=None)
    connection.execute(f"ALTER TABLE {table} RENAME TO {name}")
    connection.close()


@pytest.mark.parametrize("fault", [held, slowed, failing])
async def test_on_the_embedded_platform_every_lookup_is_answered_in_time(
    embedded: tuple[str, Path], fault: Callable[[Path], AbstractAsyncContextManager[None]]
) -> None:
    url, database = embedded
    await assert_kept(url, lambda: fault(database))


# Google: the emulator stands still, or the network between does, slows down or breaks


@pytest.mark.google
@pytest.mark.parametrize("state", ["still", "slow", "broken"])
async def test_on_google_every_lookup_is_answered_in_time(
    emulators: GoogleEmulators, project: str, state: State
) -> None:
    async with wired(emulators.firestore.port) as (wire, address):

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            wire.turn(state)
            yield
            wire.turn("whole")

        async with _lookup(emulators, project, FIRESTORE_EMULATOR_HOST=address) as url:
            await assert_kept(url, fault)


@pytest.mark.google
async def test_on_an_emulator_that_stands_still_every_lookup_is_answered_in_time(
    emulators: GoogleEmulators, project: str
) -> None:
    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        with stopped(emulators.firestore):
            yield

    async with _lookup(emulators, project) as url:
        await assert_kept(url, fault)


@asynccontextmanager
async def _lookup(emulators: GoogleEmulators, project: str, **environment: str) -> AsyncIterator[str]:
    await publish(emulators, project, VISITORS)
    with function_on_google(emulators, project, **environment) as (host, port):
        yield f"http://{host}:{port}"
