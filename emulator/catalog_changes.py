"""What publishing a catalogue would change, found out without writing anything."""

from collections.abc import Mapping, Sequence

import msgspec

from segue import catalogs
from segue.domain import catalog as definitions
from segue.domain import edition
from segue.domain.event import Json
from segue.domain.experiment import redraws
from segue.domain.membership import is_named
from segue.ports import PublishedCatalog


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the catalogue: version `version` in place of `current` (None: nothing was published so far).

    `added`, `changed` and `removed` are definitions, as `segments.buyer`. `filling`: those that have to be filled from
    the archive, in words. `redrawn`: running experiments by which visitors would change arms, or leave.
    """

    current: int | None
    version: int
    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]
    filling: Sequence[str]
    redrawn: Sequence[str]


def changes(current: PublishedCatalog | None, data: bytes) -> Changes:
    """What it would be to publish these definitions now. Raises `Invalid` if they are broken."""
    before = edition.read(current.data) if current else None
    after = catalogs.succession(before, data)
    version = (current.version if current else 0) + (after != before)
    was, will_be = _definitions(before.definitions if before else {}), _definitions(after.definitions)
    compiled = catalogs.compiled(PublishedCatalog(version, edition.written(after)))
    return Changes(
        current=current.version if current else None,
        version=version,
        added=sorted(will_be.keys() - was.keys()),
        changed=sorted(path for path in will_be.keys() & was.keys() if will_be[path] != was[path]),
        removed=sorted(was.keys() - will_be.keys()),
        filling=filling(compiled),
        redrawn=redrawn(current, compiled),
    )


def filling(compiled: catalogs.Compiled) -> Sequence[str]:
    """The segments that are filled from the archive, and in a word what slots and experiments ask for themselves."""
    named = sorted(filter(is_named, compiled.waiting))
    return [*named, "conditions of slots and experiments"] if len(named) < len(compiled.waiting) else named


def redrawn(current: PublishedCatalog | None, after: catalogs.Compiled) -> Sequence[str]:
    """The running experiments whose visitors are drawn anew by a version that comes after this one."""
    if current is None:
        return []
    was = definitions.parse(edition.read(current.data).definitions).experiments
    will_be = after.catalog.experiments
    return [id_ for id_ in sorted(was.keys() & will_be.keys()) if redraws(id_, was[id_], will_be[id_])]


def _definitions(documents: Mapping[str, Json]) -> Mapping[str, Json]:
    """Each definition by its path."""
    return {f"{section}.{id_}": value for section, entries in documents.items() for id_, value in entries.items()}
