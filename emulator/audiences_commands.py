"""`segue audiences`: members as files in buckets, exported now, and what lies there."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from emulator.audiences import Folder, folder
from emulator.options import of_files
from emulator.tables import show
from segue.domain.audience import ROWS, Manifest
from segue.domain.errors import NotFound, Rejected
from segue.domain.message import AudienceDue

NO_DESTINATION = "the catalogue has no storage destination"
DATA = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="SEGUE_DATA",
    callback=of_files,
    default=Path(".segue"),
    show_default=True,
    help="The data folder, whether Segue runs there or not.",
)
DESTINATIONS = click.argument("destinations", metavar="[DESTINATION]...", nargs=-1)
SEGMENTS = click.option("--segment", "segments", multiple=True, help="Only this one; may be said several times.")


@click.group()
def audiences() -> None:
    """Members of segments as files in the buckets of storage destinations.

    Credentials are those of SEGUE_STORAGE_SECRETS, by the names that the catalogue has.
    """


@audiences.command()
@DESTINATIONS
@SEGMENTS
@click.option("--full", is_flag=True, help="All members, even if what changed would do.")
@click.option(
    "--rows", type=click.IntRange(1), default=ROWS, show_default=True, help="About so many members a file at most."
)
@DATA
def export(destinations: Sequence[str], segments: Sequence[str], full: bool, rows: int, data: Path) -> None:
    """Export the members of now to each DESTINATION, to all by default.

    Whatever cuts it short, say it again: what the manifest lists is always there.
    """
    asyncio.run(_export(destinations, segments, full, rows, data))


async def _export(destinations: Sequence[str], segments: Sequence[str], full: bool, rows: int, data: Path) -> None:
    async with folder(data, rows) as place:
        exports = place.wanted(destinations, segments, time.time_ns() // 1_000_000, full=full)
        if not exports:
            raise NotFound(NO_DESTINATION)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        for each in exports:
            with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
                task = shown.add_task(f"{each.destination} {each.segment}", total=None)
                await place.export(each, lambda total, done: shown.update(task, total=total, completed=done))  # noqa: B023 (called while this one lasts)
            manifest = await place.manifest(each)
            if manifest:
                click.echo(_summary(each, manifest))


def _summary(export: AudienceDue, manifest: Manifest) -> str:
    newest = manifest.newest
    entered, exited = (sum(getattr(file, change) for file in newest.files) for change in ("entered", "exited"))
    told = f"{entered:,} rows" if newest.kind == "full" else f"{entered:,} entered, {exited:,} exited"
    return (
        f"{export.destination} {export.segment}: {newest.kind}, {told}, {newest.members:,} members,"
        f" {len(newest.files):,} files"
    )


@audiences.command("list")
@DESTINATIONS
@SEGMENTS
@click.option("--check", is_flag=True, help="Read every file that is listed; status 1 if one is not as it is said.")
@DATA
def list_(destinations: Sequence[str], segments: Sequence[str], check: bool, data: Path) -> None:
    """What lies in the buckets: of each audience the newest export, and all files that count."""
    asyncio.run(_list(destinations, segments, check, data))


async def _list(destinations: Sequence[str], segments: Sequence[str], check: bool, data: Path) -> None:
    table = Table("destination", "segment", "as of (UTC)", *(Column(each, justify="right") for each in _FIGURES))
    missing: list[str] = []
    async with folder(data) as place:
        for each in place.wanted(destinations, segments, 0):
            manifest = await place.manifest(each)
            table.add_row(each.destination, each.segment, *_row(manifest))
            missing += await _missing(place, each, manifest) if check and manifest else []
    show(table, NO_DESTINATION)
    if missing:
        raise Rejected(f"not there as the manifests say: {', '.join(missing)}")


_FIGURES = ("members", "exports", "files", "bytes")


def _row(manifest: Manifest | None) -> Sequence[str]:
    if manifest is None:
        return ("never exported",)
    files = [file for each in manifest.exports for file in each.files]
    at = datetime.fromtimestamp(manifest.newest.at / 1_000, UTC).isoformat(" ", "seconds")[:19]
    figures = (manifest.newest.members, len(manifest.exports), len(files), sum(file.bytes for file in files))
    return at, *(f"{figure:,}" for figure in figures)


async def _missing(place: Folder, export: AudienceDue, manifest: Manifest) -> Sequence[str]:
    return [f"{export.destination} {export.segment}/{path}" for path in await place.missing(export, manifest)]
