"""A process that appends and seals is killed again and again: what it had acknowledged is archived, once."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.message import EVENTS

APPENDING = """
import asyncio, sys
from pathlib import Path
from segue.adapters.embedded.archive import ArchiveFile
from segue.ports import Message

async def main(folder, first):
    archive = ArchiveFile.open(Path(folder), longest_tail=20)
    for number in range(int(first), 1_000_000):
        message = Message(id=f"{number:07}", type="test", source="//test", time=number * 600_000, data=b"{}")
        await archive.append("events", [message])
        print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""

KILLS = 6


async def archived(folder: Path) -> list[str]:
    archive = ArchiveFile.open(folder)
    read = [message.id async for message in archive.read(EVENTS)]
    await archive.close()
    return read


def sealed(folder: Path) -> bool:
    """Whether some of what was appended lies in a Parquet file: the last process may go on until then."""
    return any((folder / "archive").rglob("*.parquet"))


def test_what_was_acknowledged_survives_kills_amid_sealing(tmp_path: Path) -> None:
    moments, acknowledged = random.Random(5), -1
    for kill in range(KILLS):
        command = [sys.executable, "-c", APPENDING, str(tmp_path), str(max(acknowledged, 0))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                acknowledged = int(line)
                if moments.random() < 1 / 150 and (kill < KILLS - 1 or sealed(tmp_path)):
                    process.kill()
    read = asyncio.run(archived(tmp_path))
    assert read[: acknowledged + 1] == [f"{number:07}" for number in range(acknowledged + 1)]
    assert len(read) == len({*read})
