"""The archive's sealed files: where they lie, which of them count, and how they come and go whole.

A file is `<topic>/received=<day>/<first>-<last>.parquet`: all messages of that topic and day with these numbers. A file
whose numbers lie within those of another one of its folder is what that one was made of, and does not count any more;
nor does one of the same numbers and an earlier revision, `<first>-<last>.<revision>.parquet`.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

UNFINISHED = ".tmp"


class Segment(NamedTuple):
    """A sealed file: the numbers of the first and the last message that it may hold."""

    first: int
    last: int
    path: Path
    revision: int = 0


def segment(folder: Path, first: int, last: int, revision: int = 0) -> Segment:
    """The file of these numbers in a day's folder."""
    name = f"{first:012d}-{last:012d}" + (f".{revision:06d}" if revision else "")
    return Segment(first, last, folder / f"{name}.parquet", revision)


def segments(folder: Path) -> Sequence[Segment]:
    """The files of a day's folder that count, by their numbers."""
    found = sorted(
        (_read(path) for path in folder.glob("*.parquet")), key=lambda one: (one.first, -one.last, -one.revision)
    )
    counting: list[Segment] = []
    for one in found:
        if not counting or one.last > counting[-1].last:
            counting.append(one)
    return counting


def superseded(folder: Path) -> Iterator[Path]:
    """The files of a day's folder that do not count: made into others, or never finished."""
    counting = {one.path for one in segments(folder)}
    yield from (path for path in folder.iterdir() if path not in counting)


def days(topic: Path) -> Sequence[Path]:
    """The folders of a topic's days, the earliest first."""
    return sorted(topic.glob("received=*"))


def sealed(topic: Path, day: str) -> int:
    """The number up to which all messages of a day are sealed."""
    return max((one.last for one in segments(topic / f"received={day}")), default=0)


def settle(unfinished: Path, finished: Path) -> None:
    """Give a file that is written its name, so that it is there whole or not at all, whatever happens."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(finished)
    for folder in finished.parents[:3]:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """While this lasts no file that may be read is deleted, by whatever process."""
    with (root / "readers").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def delete(root: Path, paths: Sequence[Path]) -> bool:
    """Delete files, and say so, unless somebody reads: then they are deleted another time."""
    with (root / "readers").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        for path in paths:
            path.unlink(missing_ok=True)
    return True


def _read(path: Path) -> Segment:
    numbers, _, revision = path.stem.partition(".")
    first, _, last = numbers.partition("-")
    return Segment(int(first), int(last), path, int(revision or 0))
