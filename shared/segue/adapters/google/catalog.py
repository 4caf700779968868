"""The published catalogue, in a Firestore database of its own: the only one that ingest may read.

`parts/{digest}-{n}` hold the compressed bytes, named by their content, so that writing them again changes nothing;
`versions/{number}` and `catalog/current` say which they are. Both come to be in one commit, conditional on the pointer.
"""

import asyncio
import hashlib
import zlib

import msgspec

from segue.domain.errors import Conflict, Unavailable
from segue.ports import ABSENT, Document, PublishedCatalog, Store, Write

_CURRENT = "catalog/current"
_PART = 900_000  # bytes; a document holds less than 1 MiB


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which parts are a version. `digest` is the SHA-256 of its uncompressed bytes, in hex."""

    version: int
    digest: str
    parts: int


class FirestoreCatalog:
    """`ports.Catalog`. What was read last is kept, so that an unchanged catalogue costs one read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest: PublishedCatalog | None = None

    async def current(self) -> PublishedCatalog | None:
        document = await self._store.get(_CURRENT)
        if document is None:
            return None
        pointer = msgspec.json.decode(document.data, type=Pointer)
        if self._latest is None or self._latest.version != pointer.version:
            self._latest = PublishedCatalog(pointer.version, await self._read(pointer))
        return self._latest

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        """Raises Conflict also if somebody else published in the meantime; then nothing was published."""
        document = await self._store.get(_CURRENT)
        before = (
            msgspec.json.decode(document.data, type=Pointer) if document else Pointer(version=0, digest="", parts=0)
        )
        if expects not in (None, before.version):
            raise Conflict(f"expected version {expects} of the catalogue to be current, found {before.version}")
        digest = hashlib.sha256(data).hexdigest()
        if digest == before.digest:
            return PublishedCatalog(before.version, data)
        parts = _parts(data)
        for number, part in enumerate(parts):
            await self._store.commit([Write(path=_path(digest, number), data=part)])
        await self._flip(document, Pointer(version=before.version + 1, digest=digest, parts=len(parts)))
        return PublishedCatalog(before.version + 1, data)

    async def _flip(self, before: Document | None, pointer: Pointer) -> None:
        data = msgspec.json.encode(pointer)
        expects = before.version if before else ABSENT
        await self._store.commit(
            [
                Write(path=f"versions/{pointer.version}", data=data, expects=ABSENT),
                Write(path=_CURRENT, data=data, expects=expects),
            ]
        )

    async def _read(self, pointer: Pointer) -> bytes:
        paths = [_path(pointer.digest, number) for number in range(pointer.parts)]
        parts = await asyncio.gather(*(self._store.get(path) for path in paths))
        data = zlib.decompress(b"".join(part.data for part in parts if part))
        if hashlib.sha256(data).hexdigest() != pointer.digest:
            raise Unavailable(f"catalogue version {pointer.version} is not what was published")
        return data


def _parts(data: bytes) -> list[bytes]:
    compressed = zlib.compress(data, level=9)
    return [compressed[start : start + _PART] for start in range(0, len(compressed), _PART)]


def _path(digest: str, number: int) -> str:
    return f"parts/{digest}-{number}"
