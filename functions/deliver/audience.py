"""The members of a segment are exported to a bucket, a part at a time: first the files, and then the manifest.

Whoever is cut short goes on with the part that was next, or begins anew. Either way a file has the same name only if it
has the same content, and the manifest takes the place of the one that was read, or of none: so two exporters at once
can make files that count for nothing, and never a manifest that lists what is not there.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from segue.domain import audience
from segue.domain.audience import ROWS, Audience, File, Manifest, Progress, Rows
from segue.domain.catalog import Catalog
from segue.domain.destination import Storage
from segue.domain.errors import NotFound
from segue.domain.message import AudienceDue
from segue.ports import ABSENT, Archive, Objects


def due(catalog: Catalog, at: int, *, full: bool = False) -> Sequence[AudienceDue]:
    """Every export that these destinations want of the members at an instant (epoch ms)."""
    return [
        AudienceDue(destination=name, segment=segment, at=at, full=full)
        for name, destination in catalog.destinations.items()
        if destination.storage
        for segment in destination.segments or catalog.segments
    ]


class Exporter:
    """Exports audiences; files have about so many `rows` at most."""

    def __init__(self, archive: Archive, objects: Objects, rows: int = ROWS) -> None:
        self._archive = archive
        self._objects = objects
        self._rows = rows

    async def step(self, catalog: Catalog, export: AudienceDue) -> AudienceDue | None:
        """Do the next part of an export, or complete it; what is to be done then, or None.

        An export for an instant that was exported already is done. Raises NotFound for a destination or a segment that
        the catalogue does not have, Conflict if another exporter came first, and whatever the ports do.
        """
        storage = _storage(catalog, export)
        base, manifest = await self.manifest(storage, export.segment)
        if manifest and manifest.newest.at >= export.at:
            return None
        progress = export.progress
        if progress is None or (progress.base, progress.storage) != (base, audience.definition(storage)):
            progress = await self._begun(storage, export, base, manifest)
        if progress.part is None:
            found = audience.completed(manifest, export.destination, export.segment, storage, progress, export.at)
            await self._objects.put(
                storage, audience.manifest_path(export.segment), audience.encode(found), progress.base
            )
            return None
        rows = await self._rows_of(catalog, storage, export, manifest, progress.kind, progress.part)
        if rows is None:
            return msgspec.structs.replace(export, full=True, progress=None)
        file = await self._written(storage, export, progress, rows) if rows.entered or rows.exited else None
        return msgspec.structs.replace(export, attempt=0, progress=audience.advanced(progress, file))

    async def manifest(self, storage: Storage, segment: str) -> tuple[str, Manifest | None]:
        """The version of a segment's manifest, and the manifest; none is `ABSENT`. Raises Invalid for a broken one."""
        stored = await self._objects.get(storage, audience.manifest_path(segment))
        return (stored.version, audience.decode(stored.data)) if stored else (ABSENT, None)

    async def _begun(self, storage: Storage, export: AudienceDue, base: str, manifest: Manifest | None) -> Progress:
        sizes = await self._archive.sizes(export.at)
        members = sizes[export.segment].members if export.segment in sizes else 0
        kind = "full" if export.full else audience.kind_of_next(manifest, storage, export.at)
        return audience.begun(base, manifest, storage, kind, members, self._rows)

    async def _rows_of(
        self,
        catalog: Catalog,
        storage: Storage,
        export: AudienceDue,
        manifest: Manifest | None,
        kind: audience.Kind,
        part: str,
    ) -> Rows | None:
        """What a part is to say; None if it cannot be known what the receiver was told."""
        asked = Audience(
            segment=export.segment,
            identifier=storage.identifier,
            hashed=storage.hashed,
            purposes=storage.purposes,
            granted_unsaid=catalog.settings.granted_unsaid,
            max_age=catalog.settings.max_age,
        )
        now = await self._archive.audience(asked, export.at, part)
        if kind == "full" or manifest is None:
            return Rows(now)
        told = await self._told(storage, manifest, part)
        return None if told is None else audience.changes(audience.told(told, part), now)

    async def _told(self, storage: Storage, manifest: Manifest, part: str) -> Sequence[Rows] | None:
        """What the files of the manifest say that may tell of a part; None if one of them is not there as it was."""
        found: list[Rows] = []
        for each in manifest.exports:
            for file in each.files:
                if audience.overlaps(file, part):
                    stored = await self._objects.get(storage, audience.file_path(manifest.segment, file))
                    if stored is None or not audience.is_whole(file, stored.data):
                        return None
                    found.append(await asyncio.to_thread(audience.unpacked, manifest, each.kind, stored.data))
        return found

    async def _written(self, storage: Storage, export: AudienceDue, progress: Progress, rows: Rows) -> File:
        """The file of a part, which is there now; a repeat writes the same over it."""
        file, data = await asyncio.to_thread(
            audience.packed, storage, progress.kind, export.at, progress.part or "", rows
        )
        await self._objects.put(storage, audience.file_path(export.segment, file), data)
        return file


def _storage(catalog: Catalog, export: AudienceDue) -> Storage:
    destination = catalog.destinations.get(export.destination)
    if destination is None or destination.storage is None:
        raise NotFound(f"the catalogue has no storage destination {export.destination!r}")
    if export.segment not in catalog.segments:
        raise NotFound(f"the catalogue has no segment {export.segment!r}")
    return destination.storage
