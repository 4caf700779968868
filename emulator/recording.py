"""Recorded logs: which formats there are, and a file, packed or plain, as Segment calls."""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from emulator import eshop, rees46, segment
from segue.domain.errors import Invalid
from segue.domain.event import Json

Call: TypeAlias = dict[str, Json]
"""A Segment call as its JSON object."""

Dirt: TypeAlias = Counter[str]
"""How often each kind of dirt was met in a log."""

Reader: TypeAlias = Callable[[Iterable[bytes], Dirt], Iterator[Call]]

FORMATS: Mapping[str, Reader] = {"rees46": rees46.calls, "eshop": eshop.calls, "segment": segment.calls}
BEGINNINGS = {"rees46": rees46.HEADER, "eshop": eshop.HEADER, "segment": "{"}


def recognised(path: Path) -> str:
    """The format of a log by how it begins. Raises `Invalid` if it begins like none."""
    with path.open("rb") as file:
        first = next(_lines(file, path, Counter()), b"").decode(errors="replace").strip()
    for name, beginning in BEGINNINGS.items():
        if first.startswith(beginning):
            return name
    raise Invalid(f"expected a log ({' or '.join(FORMATS)}), found a file that begins {first[:60]!r}", str(path))


def calls(file: BinaryIO, path: Path, format_name: str, dirt: Dirt) -> Iterator[Call]:
    """The calls of an open log in the file's order. `path` says by its suffix whether the file is packed."""
    return FORMATS[format_name](_lines(file, path, dirt), dirt)


def _lines(file: BinaryIO, path: Path, dirt: Dirt) -> Iterator[bytes]:
    """The lines of a file; one that ends in the middle of its packing is read as far as it goes."""
    lines = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file
    try:
        yield from lines
    except (EOFError, gzip.BadGzipFile, zlib.error):
        dirt["cut file"] += 1
