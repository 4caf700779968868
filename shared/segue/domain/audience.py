"""The members of a segment as files for a receiver: rows, parts, and the manifest that says which files count.

An export is whole or it is none: its files are written first, under names that follow from their content, and then the
manifest takes the place of the one before, if that is still the one that was read.
"""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from segue.domain.destination import Format, IdentifierName, Storage
from segue.domain.errors import Invalid, Unavailable
from segue.domain.time import DAY

SCHEMA = 1
"""The newest shape of a manifest that this code reads, and the one it writes."""

ROWS = 250_000
"""About so many members are in a file at most, and worked through at once."""

Kind: TypeAlias = Literal["full", "delta"]


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a segment who consented to all `purposes`, each by an identifier, hashed or not. `granted_unsaid`
    are the purposes that count as granted until something is said of them, `max_age` (ms) how old what is said may be
    when it comes."""

    segment: str
    identifier: IdentifierName
    hashed: bool
    purposes: tuple[str, ...] = ()
    granted_unsaid: tuple[str, ...] = ()
    max_age: int = 30 * DAY


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an export. `path` is relative to the manifest; `entered` and `exited` are its rows of each kind,
    `bytes` and `sha256` (hex) tell of the file as it lies there. The SHA-256 of its identifiers
    begins with the bits `part`."""

    path: str
    part: str
    entered: int
    exited: int
    bytes: int
    sha256: str


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """All members at the instant `at` (epoch ms), or who entered and exited since the export before. `members` is how
    many there are with it."""

    kind: Kind
    at: int
    members: int
    files: tuple[File, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`: a full export and every delta since, the oldest first. `identifier` is what the column of all
    their files is called."""

    schema: int = SCHEMA
    destination: str
    segment: str
    identifier: str
    format: Format
    exports: tuple[Export, ...]

    @property
    def newest(self) -> Export:
        return self.exports[-1]


class Rows(NamedTuple):
    """Who entered and who exited, each in order; of a full export everybody entered."""

    entered: Sequence[str]
    exited: Sequence[str] = ()


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export has come that stands on the version `base` of the manifest ('': there is none), and on the
    storage as it was defined then (see `definition`): whatever changes of either, it begins anew. It has
    `2 ** depth` parts, of which `parts_done` are; `files` are theirs."""

    base: str
    storage: str
    kind: Kind
    depth: int
    parts_done: int = 0
    files: tuple[File, ...] = ()

    @property
    def parts(self) -> int:
        """How many there are."""
        return 1 << self.depth

    @property
    def part(self) -> str | None:
        """The part that is next, as the bits that its identifiers' SHA-256 begins with; None once all are done."""
        return _bits(self.parts_done, self.depth) if self.parts_done < self.parts else None


def manifest_path(segment: str) -> str:
    """Where the manifest of a segment is, behind a storage's prefix."""
    return f"{segment}/manifest.json"


def file_path(segment: str, file: File) -> str:
    """Where a file of a segment is, behind a storage's prefix."""
    return f"{segment}/{file.path}"


def encode(manifest: Manifest) -> bytes:
    """The manifest as it lies in the bucket."""
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"


def decode(data: bytes) -> Manifest:
    """Raises Invalid for what is no manifest, and Unavailable for one that newer code wrote."""
    try:
        schema = msgspec.json.decode(data, type=_Shape).schema
        if schema > SCHEMA:
            raise Unavailable(f"manifest.json: schema {schema} was written by newer code than this, {SCHEMA}")
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(str(error), "manifest.json") from None
    if not found.exports or found.exports[0].kind != "full":
        raise Invalid("expected a full export, and then deltas", "manifest.json.exports")
    return found


def kind_of_next(manifest: Manifest | None, storage: Storage, at: int) -> Kind:
    """A full export is due if there is none, if it would be of another kind, or if the newest one is old."""
    if manifest is None or (manifest.identifier, manifest.format) != (storage.column, storage.format):
        return "full"
    return "full" if at - manifest.exports[0].at >= storage.full_every else "delta"


def definition(storage: Storage) -> str:
    """The version of a storage's definition: the same for the same definition, and for no other."""
    return hashlib.sha256(storage.model_dump_json().encode()).hexdigest()[:16]


def begun(base: str, manifest: Manifest | None, storage: Storage, kind: Kind, members: int, rows: int) -> Progress:
    """An export of which nothing is done, in as many parts as files of about so many rows need."""
    most, depth = max(members, manifest.newest.members if manifest else 0), 0
    while (1 << depth) * rows < most:
        depth += 1
    return Progress(base=base, storage=definition(storage), kind=kind, depth=depth)


def advanced(progress: Progress, file: File | None) -> Progress:
    """The export with its next part done, for which there may be no file: nothing changed."""
    files = (*progress.files, file) if file else progress.files
    return msgspec.structs.replace(progress, parts_done=progress.parts_done + 1, files=files)


def completed(
    manifest: Manifest | None, destination: str, segment: str, storage: Storage, progress: Progress, at: int
) -> Manifest:
    """The manifest with an export whose parts are all done."""
    before = manifest if manifest and progress.kind == "delta" else None
    members = sum(file.entered - file.exited for file in progress.files) + (before.newest.members if before else 0)
    export = Export(kind=progress.kind, at=at, members=members, files=progress.files)
    return Manifest(
        destination=destination,
        segment=segment,
        identifier=storage.column,
        format=storage.format,
        exports=(*before.exports, export) if before else (export,),
    )


def changes(told: set[str], now: Sequence[str]) -> Rows:
    """Who entered and exited since the receiver was told of these."""
    return Rows([each for each in now if each not in told], sorted(told.difference(now)))


def told(contents: Iterable[Rows], part: str) -> set[str]:
    """Of a part, who is a member by a full export and the deltas after it, in their order."""
    members: set[str] = set()
    for rows in contents:
        members.update(each for each in rows.entered if in_part(each, part))
        members.difference_update(rows.exited)
    return members


def in_part(identifier: str, part: str) -> bool:
    """Whether an identifier's SHA-256 begins with these bits, at most 32."""
    return not part or _bits(int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:4]), 32).startswith(part)


def overlaps(file: File, part: str) -> bool:
    """Whether a file may have identifiers of a part."""
    return file.part.startswith(part) or part.startswith(file.part)


def packed(storage: Storage, kind: Kind, at: int, part: str, rows: Rows) -> tuple[File, bytes]:
    """The file of a part, and what is in it. The same rows always have the same bytes and the same name."""
    lines = _WRITERS[storage.format](storage.column, kind, rows)
    data = gzip.compress(lines.encode(), mtime=0)
    digest = hashlib.sha256(data).hexdigest()
    name = "-".join(filter(None, [str(at), kind, part, digest[:16]]))
    file = File(
        path=f"{name}.{storage.format}.gz",
        part=part,
        entered=len(rows.entered),
        exited=len(rows.exited),
        bytes=len(data),
        sha256=digest,
    )
    return file, data


def is_whole(file: File, data: bytes) -> bool:
    """Whether these bytes are what the manifest says of the file."""
    return hashlib.sha256(data).hexdigest() == file.sha256


def unpacked(manifest: Manifest, kind: Kind, data: bytes) -> Rows:
    """What is in a file of an export of this kind."""
    return _READERS[manifest.format](manifest.identifier, kind, gzip.decompress(data).decode())


class _Shape(msgspec.Struct):
    schema: int


def _bits(number: int, length: int) -> str:
    return format(number, f"0{length}b") if length else ""


def _told_as(rows: Rows) -> Iterator[tuple[str, str]]:
    yield from (("entered", identifier) for identifier in rows.entered)
    yield from (("exited", identifier) for identifier in rows.exited)


def _csv(column: str, kind: Kind, rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    if kind == "full":
        writer.writerow([column])
        writer.writerows([_safe(identifier)] for identifier in rows.entered)
    else:
        writer.writerow(["change", column])
        writer.writerows((change, _safe(identifier)) for change, identifier in _told_as(rows))
    return text.getvalue()


def _from_csv(_column: str, kind: Kind, text: str) -> Rows:
    found = csv.reader(io.StringIO(text, newline=""))
    next(found)
    changed = (("entered", each[0]) if kind == "full" else (each[0], each[1]) for each in found)
    return _rows((change, cell.removeprefix("'")) for change, cell in changed)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What makes a spreadsheet calculate a cell, and what is put in front so that it does not."""


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _jsonl(column: str, kind: Kind, rows: Rows) -> str:
    told = ({column: each} if kind == "full" else {"change": change, column: each} for change, each in _told_as(rows))
    return "".join(f"{msgspec.json.encode(line).decode()}\n" for line in told)


def _from_jsonl(column: str, _kind: Kind, text: str) -> Rows:
    lines = (msgspec.json.decode(line, type=dict[str, str]) for line in text.split("\n") if line)
    return _rows((line.get("change", "entered"), line[column]) for line in lines)


def _rows(found: Iterable[tuple[str, str]]) -> Rows:
    rows: Mapping[str, list[str]] = {"entered": [], "exited": []}
    for change, identifier in found:
        rows[change].append(identifier)
    return Rows(**rows)


_WRITERS = {"csv": _csv, "jsonl": _jsonl}
_READERS = {"csv": _from_csv, "jsonl": _from_jsonl}
