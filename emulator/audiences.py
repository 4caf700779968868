"""Audiences exported from a data folder, whether Segue runs there or not, and what lies in the buckets."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from emulator.host import settings_of
from functions.deliver.audience import Exporter, due
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.adapters.web import WebObjects
from segue.catalogs import compiled
from segue.domain import audience
from segue.domain.audience import ROWS, Manifest
from segue.domain.catalog import Catalog
from segue.domain.destination import Storage
from segue.domain.errors import Conflict, NotFound
from segue.domain.message import AudienceDue
from segue.ports import Objects

TRIES = 5


class Folder:
    """The catalogue and the archive of a data folder, and the buckets that its catalogue names."""

    def __init__(self, catalog: Catalog, exporter: Exporter, objects: Objects) -> None:
        self._catalog = catalog
        self._exporter = exporter
        self._objects = objects

    def wanted(
        self, destinations: Sequence[str], segments: Sequence[str], at: int, *, full: bool = False
    ) -> Sequence[AudienceDue]:
        """The exports to these destinations of these segments, of all where none is named. Raises NotFound for one that
        there is not."""
        found = due(self._catalog, at, full=full)
        _expect(destinations, {each.destination for each in found}, "storage destination")
        _expect(segments, {each.segment for each in found}, "segment that is exported")
        return [
            each
            for each in found
            if each.destination in (destinations or [each.destination]) and each.segment in (segments or [each.segment])
        ]

    async def export(self, export: AudienceDue, told: Callable[[int, int], None]) -> None:
        """Export to the end; `told` hears how many parts there are and how many of them are done.

        If another exporter comes first, it begins anew, a few times; then it raises Conflict.
        """
        for attempt in range(TRIES):
            try:
                following: AudienceDue | None = export
                while following:
                    following = await self._exporter.step(self._catalog, following)
                    if following and following.progress:
                        told(following.progress.parts, following.progress.parts_done)
                return
            except Conflict:
                if attempt + 1 == TRIES:
                    raise

    async def manifest(self, export: AudienceDue) -> Manifest | None:
        """What lies in the bucket of a destination, of a segment."""
        return (await self._exporter.manifest(self._storage(export), export.segment))[1]

    async def missing(self, export: AudienceDue, manifest: Manifest) -> Sequence[str]:
        """The files of a manifest that are not there, or not as it says."""
        storage = self._storage(export)
        found = []
        for file in (file for each in manifest.exports for file in each.files):
            stored = await self._objects.get(storage, audience.file_path(export.segment, file))
            if stored is None or not audience.is_whole(file, stored.data):
                found.append(file.path)
        return found

    def _storage(self, export: AudienceDue) -> Storage:
        storage = self._catalog.destinations[export.destination].storage
        assert storage is not None  # noqa: S101 (only storage destinations have exports)
        return storage


@asynccontextmanager
async def folder(data: Path, rows: int = ROWS) -> AsyncIterator[Folder]:
    """A data folder with the catalogue that was published last; files have about so many rows at most. Raises NotFound
    if nothing was published there."""
    settings = settings_of(data, os.environ)
    archive, catalogs = ArchiveFile.open(data), CatalogFile.open(data)
    objects = WebObjects(settings.storage_secrets, allow_private=settings.allow_private_destinations)
    try:
        published = await catalogs.current()
        if published is None:
            raise NotFound(f"{data}: expected a data folder with a published catalogue")
        yield Folder(compiled(published).catalog, Exporter(archive, objects, rows), objects)
    finally:
        await objects.close()
        await archive.close()
        await catalogs.close()


def _expect(named: Sequence[str], known: set[str], what: str) -> None:
    for each in named:
        if each not in known:
            raise NotFound(f"the catalogue has no {what} {each!r}; it has {', '.join(sorted(known)) or 'none'}")
