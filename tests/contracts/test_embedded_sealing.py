"""Sealing the laptop's archive: wherever it is cut off, every message is there afterwards, once."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from segue.adapters.embedded.archive import MOST_FILES, ArchiveFile
from segue.domain.message import EVENTS, MEMBERSHIPS
from segue.domain.time import DAY, HOUR
from segue.ports import Message, SegmentSize
from tests.contracts.test_archive import ANNA, BEN, message, received, snapshot

MESSAGES = [message(f"{number:03}", time=(20 + 3 * number) * HOUR) for number in range(7)]
STEPS = 2 * 2 + 1
"""Written and renamed, for each of two days; then the tail is forgotten."""


async def read(archive: ArchiveFile, topic: str = EVENTS) -> list[Message]:
    return [each async for each in archive.read(topic)]


def files(folder: Path) -> list[Path]:
    return sorted((folder / "archive").rglob("*.parquet"))


async def sealed(folder: Path, messages: Sequence[Message]) -> None:
    """Open, append, seal, and close."""
    archive = ArchiveFile.open(folder)
    await archive.append(EVENTS, messages)
    await archive.seal()
    await archive.close()


async def cut_off(steps: AsyncGenerator[str, None], after: int) -> None:
    """Do so many steps and no more."""
    async with aclosing(steps):
        for _ in range(after):
            await anext(steps)


@pytest.mark.parametrize("after", range(1, STEPS + 1))
async def test_sealing_that_was_cut_off_anywhere_loses_and_doubles_nothing(tmp_path: Path, after: int) -> None:
    archive = ArchiveFile.open(tmp_path)
    await archive.append(EVENTS, MESSAGES)
    await cut_off(archive.sealing(), after)
    await archive.close()

    again = ArchiveFile.open(tmp_path)
    assert await read(again) == MESSAGES
    await again.append(EVENTS, MESSAGES[:1])
    more = message("later", time=42 * HOUR)
    await again.append(EVENTS, [more])
    assert await read(again) == [*MESSAGES, more]
    await again.seal()
    assert await read(again) == [*MESSAGES, more]
    assert not [*(tmp_path / "archive").rglob("*.tmp")]
    await again.close()


@pytest.mark.parametrize("step", ["merged", "replaced"])
async def test_a_day_of_many_files_gets_one_of_them_all_even_if_that_was_cut_off(tmp_path: Path, step: str) -> None:
    messages = [message(f"{number:03}", time=number) for number in range(MOST_FILES + 1)]
    for each in messages[:-1]:
        await sealed(tmp_path, [each])
    archive = ArchiveFile.open(tmp_path)
    await archive.append(EVENTS, messages[-1:])
    async with aclosing(archive.sealing()) as steps:
        async for done in steps:
            if done == step:
                break
    assert await read(archive) == messages
    await archive.close()
    await sealed(tmp_path, [])
    again = ArchiveFile.open(tmp_path)
    assert await read(again) == messages
    assert len(files(tmp_path)) == 1
    await again.close()


async def test_a_file_that_is_being_read_is_not_deleted(tmp_path: Path) -> None:
    messages = [message(f"{number:03}", time=number) for number in range(MOST_FILES + 2)]
    for each in messages[:-1]:
        await sealed(tmp_path, [each])
    archive = ArchiveFile.open(tmp_path)
    async with archive.scanned(EVENTS) as connection:
        await sealed(tmp_path, messages[-1:])
        counted = connection.execute("SELECT count(DISTINCT id) FROM events").fetchone()
    assert counted == (len(messages) - 1,)
    assert await read(archive) == messages
    await archive.close()


async def test_a_long_tail_is_sealed_by_itself(tmp_path: Path) -> None:
    archive = ArchiveFile.open(tmp_path, longest_tail=3)
    for each in MESSAGES:
        await archive.append(EVENTS, [each])
    await archive.close()
    assert files(tmp_path)
    again = ArchiveFile.open(tmp_path)
    assert await read(again) == MESSAGES
    await again.close()


async def test_files_lie_by_topic_and_by_the_day_on_which_it_was_received(tmp_path: Path) -> None:
    archive = ArchiveFile.open(tmp_path)
    await archive.append(EVENTS, [received("m1", ANNA, "e1"), message("m2", time=3 * DAY)])
    await archive.append(MEMBERSHIPS, [snapshot(BEN, 2, {}, at=2 * DAY)])
    await archive.seal()
    await archive.close()
    assert [str(file.parent.relative_to(tmp_path)) for file in files(tmp_path)] == [
        "archive/events/received=1970-01-01",
        "archive/events/received=1970-01-04",
        "archive/memberships/received=1970-01-03",
    ]


async def test_another_process_reads_while_one_seals(tmp_path: Path) -> None:
    writer, reader = ArchiveFile.open(tmp_path), ArchiveFile.open(tmp_path)
    await writer.append(MEMBERSHIPS, [snapshot(ANNA, 2, {"s": ((10, None),)}, at=10)])
    await writer.append(MEMBERSHIPS, [snapshot(ANNA, 4, {}, ("s", 20), at=20)])
    async for _ in writer.sealing():
        assert await reader.sizes(15) == {"s": SegmentSize(members=1, last_change=10)}
    await writer.close()
    await reader.close()
