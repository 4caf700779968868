"""What the embedded files promise beyond the contract: group commit, full disks, damaged files, one owner."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.database import Database
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.domain.errors import Conflict, Unavailable
from segue.ports import ABSENT, Write

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)"


@asynccontextmanager
async def words(folder: Path) -> AsyncIterator[Database]:
    database = Database(folder / "words.db", SCHEMA)
    yield database
    await database.close()


def add(word: str, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO words VALUES (?)", (word,))


def listed(connection: sqlite3.Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY word")]


async def test_operations_asked_at_once_share_transactions(tmp_path: Path) -> None:
    statements: list[str] = []
    async with words(tmp_path) as database:
        await database.read(lambda connection: connection.set_trace_callback(statements.append))
        await asyncio.gather(*(database.write(partial(add, f"w{n}")) for n in range(500)))
        assert len(await database.read(listed)) == 500
    assert 1 <= statements.count("COMMIT") < 50


async def test_reads_that_nobody_waits_for_any_more_are_left_out(tmp_path: Path) -> None:
    released, statements = threading.Event(), list[str]()
    async with words(tmp_path) as database:
        await database.read(lambda connection: connection.set_trace_callback(statements.append))
        stuck = asyncio.ensure_future(database.read(lambda _: released.wait()))
        given_up = [asyncio.ensure_future(database.read(listed)) for _ in range(100)]
        await asyncio.sleep(0)
        for each in given_up:
            each.cancel()
        released.set()
        await stuck
        assert await database.read(listed) == []
    assert sum("SELECT word" in statement for statement in statements) == 1


async def test_an_operation_that_fails_undoes_itself_and_nobody_else(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add("half", connection)
        raise Conflict("somebody else came first")

    async with words(tmp_path) as database:
        answers = await asyncio.gather(
            database.write(partial(add, "before")),
            database.write(half),
            database.write(partial(add, "before")),
            database.write(partial(add, "after")),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [type(None), Conflict, Unavailable, type(None)]
        assert await database.read(listed) == ["after", "before"]


async def test_a_caller_that_gives_up_disturbs_nobody(tmp_path: Path) -> None:
    async with words(tmp_path) as database:
        given_up = asyncio.create_task(database.write(partial(add, "given up")))
        await asyncio.sleep(0)
        given_up.cancel()
        await database.write(partial(add, "kept"))
        assert "kept" in await database.read(listed)


async def test_what_was_asked_before_closing_is_done_and_nothing_after_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "words.db", SCHEMA)
    last = asyncio.create_task(database.write(partial(add, "last")))
    await asyncio.sleep(0)
    await database.close()
    await last
    with pytest.raises(Unavailable, match="is closed"):
        await database.write(partial(add, "too late"))
    async with words(tmp_path) as reopened:
        assert await reopened.read(listed) == ["last"]


async def test_a_full_disk_is_unavailable_and_leaves_what_was_there(tmp_path: Path) -> None:
    platform = EmbeddedPlatform.open(tmp_path, SystemClock(), max_pages=60)
    stored: list[str] = []

    async def fill_the_disk() -> None:
        for number in range(100):
            await platform.store.commit([Write(path=f"states/{number:03}", data=bytes(5_000), expects=ABSENT)])
            stored.append(f"{number:03}")

    with pytest.raises(Unavailable, match=r"^segue\.db: database or disk is full"):
        await fill_the_disk()
    assert len(stored) > 10
    assert [identifier async for identifier, _ in platform.store.scan("states")] == stored
    await platform.store.commit([Write(path=f"states/{stored[0]}", data=None)])
    await platform.store.commit([Write(path="states/again", data=bytes(3_000))])
    await platform.close()


async def test_a_full_disk_fails_a_whole_group_rather_than_half_of_it(tmp_path: Path) -> None:
    platform = EmbeddedPlatform.open(tmp_path, SystemClock(), max_pages=60)
    answers = await asyncio.gather(
        *(platform.store.commit([Write(path=f"states/{n:03}", data=bytes(5_000))]) for n in range(100)),
        return_exceptions=True,
    )
    kept = {identifier async for identifier, _ in platform.store.scan("states")}
    assert kept == {f"{n:03}" for n, answer in enumerate(answers) if answer is None}
    assert {type(answer) for answer in answers} <= {type(None), Unavailable}
    assert Unavailable in {type(answer) for answer in answers}
    await platform.close()


@pytest.mark.parametrize("name", ["segue.db", "archive.db", "catalog.db"])
async def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no database, and it is long enough to be looked at" * 100)
    with pytest.raises(Unavailable, match=f"{name}: cannot be opened"):
        EmbeddedPlatform.open(tmp_path, SystemClock())


async def test_a_page_damaged_later_is_unavailable(tmp_path: Path) -> None:
    platform = EmbeddedPlatform.open(tmp_path, SystemClock())
    for number in range(200):
        await platform.store.commit([Write(path=f"states/{number}", data=bytes(3_000))])
    await platform.close()
    with (tmp_path / "segue.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 150)
    damaged = EmbeddedPlatform.open(tmp_path, SystemClock())
    with pytest.raises(Unavailable, match=r"^segue\.db: database disk image is malformed"):
        _ = [found async for found in damaged.store.scan("states")]
    await damaged.close()


async def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first = EmbeddedPlatform.open(tmp_path, SystemClock())
    program = (
        "import sys; from pathlib import Path\n"
        "from segue.adapters.embedded.platform import EmbeddedPlatform\n"
        "from segue.adapters.system import SystemClock\n"
        "EmbeddedPlatform.open(Path(sys.argv[1]), SystemClock())"
    )
    second = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "has this data folder open" in second.stderr
    await first.close()
    third = EmbeddedPlatform.open(tmp_path, SystemClock())
    await third.close()


async def test_the_archive_may_be_open_twice(tmp_path: Path) -> None:
    platform = EmbeddedPlatform.open(tmp_path, SystemClock())
    archive = ArchiveFile.open(tmp_path)
    assert await archive.sizes(0) == await platform.archive.sizes(0) == {}
    await archive.close()
    await platform.close()
