"""`segue preview` and `segue members`: a definition tried out on the past, and who was in a segment then."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console

from emulator import catalog
from emulator.fold import histories
from emulator.log_commands import FORMAT, reading
from emulator.options import Instant, of_files
from emulator.preview import Preview
from emulator.preview import preview as previewed
from emulator.preview_report import page, picture, shown
from emulator.recording import Dirt
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.catalog import CatalogFile
from segue.catalogs import Compiled, compiled
from segue.domain import edition
from segue.domain.errors import Invalid, NotFound
from segue.domain.message import EVENTS, MEMBERSHIPS
from segue.domain.rules.intervals import FOREVER
from segue.ports import PublishedCatalog

if TYPE_CHECKING:
    from segue.adapters.embedded.batch import Batch

DATA = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="SEGUE_DATA",
    callback=of_files,
    help="The data folder whose archive is looked at, whether Segue runs there or not.",
)
AT = click.option("--at", type=Instant(), help="The instant to look from; by default now, or the log's end.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--segment", help="Which of the file's segments, if it has several.")
@click.option("--days", type=click.IntRange(1, 3_660), default=30, show_default=True, help="How far to look back.")
@DATA
@click.option(
    "--log", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A recorded log to try it out on."
)
@FORMAT
@click.option(
    "--catalog",
    "catalog_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The definitions that are live; by default those published in the data folder.",
)
@AT
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it too, as .html or .svg.")
def preview(
    file: Path,
    segment: str | None,
    days: int,
    data: Path | None,
    log: Path | None,
    format_name: str | None,
    catalog_folder: Path | None,
    at: int | None,
    out: Path | None,
) -> None:
    """Try out a segment on the past before it is live.

    FILE is YAML with `segments:`, as in a catalogue. Shows its size, who enters and leaves per day, how long they stay,
    how much it overlaps with the live segments, and some members with their reasons.
    """
    if (data is None) == (log is None):
        raise click.UsageError("expected either --data or --log")
    if out is not None and out.suffix not in (".html", ".svg"):
        raise click.UsageError(f"--out: expected a name that ends in .html or .svg, found {out.name}")
    documents, ids = catalog.with_segments(file, asyncio.run(live(data, catalog_folder)))
    wanted = _one_of(ids, segment, file)
    definitions = compiled(PublishedCatalog(0, msgspec.json.encode(documents)))
    found = asyncio.run(_preview(definitions, wanted, days, data, log, format_name, at))
    Console().print(shown(found))
    if out is not None:
        out.write_text(page(found) if out.suffix == ".html" else picture(found), encoding="utf-8")
        click.echo(f"written to {out}", err=True)


async def _preview(
    definitions: Compiled,
    wanted: str,
    days: int,
    data: Path | None,
    log: Path | None,
    format_name: str | None,
    at: int | None,
) -> Preview:
    now = time.time_ns() // 1_000_000
    async with _over(data, log, format_name, definitions, now) as (twin, end):
        with Console(stderr=True).status("computing memberships"):
            at = end if at is None else at
            twin.run(definitions.catalog.segments, definitions.program, at)
            return previewed(twin, definitions.catalog.segments, definitions.program, wanted, at, days)


@asynccontextmanager
async def _over(
    data: Path | None, log: Path | None, format_name: str | None, definitions: Compiled, now: int
) -> AsyncIterator[tuple["Batch", int]]:
    """The events of a data folder, or of a log, and the instant at which they end: now, or the log's newest."""
    from segue.adapters.embedded.batch import Batch  # takes its time: only these commands need it
    from segue.adapters.embedded.linked import join_linked
    from segue.adapters.embedded.parquet import connected, failing

    if data is not None:
        archive = ArchiveFile.open(data)
        try:
            async with archive.scanned(EVENTS, MEMBERSHIPS) as connection:
                join_linked(connection)
                yield Batch(connection), now
        finally:
            await archive.close()
    elif log is not None:
        dirt, refused = Dirt(), Counter[str]()
        with reading(log, format_name, dirt) as calls:
            found = histories(calls, now, definitions.catalog.settings.max_age, refused, definitions.catalog.consent)
        events = [(str(profile), event) for profile, together in found.items() for event in together]
        if not events:
            raise NotFound(f"{log}: expected events, found none that could be read")
        with failing(), closing(connected(threads=None)) as connection:
            twin = Batch(connection)
            twin.take(events)
            yield twin, max(event.received_at for _, event in events)


async def live(data: Path | None, folder: Path | None) -> Mapping[str, Any]:
    """The documents of the catalogue that is live: that of a folder, or the one published last."""
    if folder is not None:
        return _documents(catalog.load(folder))
    published = await _published(data, None) if data is not None else None
    return edition.read(published.data).definitions if published else {}


def _documents(encoded: bytes) -> Mapping[str, Any]:
    documents: Mapping[str, Any] = msgspec.json.decode(encoded)
    return documents


async def _published(data: Path, version: int | None) -> PublishedCatalog | None:
    opened = CatalogFile.open(data)
    try:
        return await (opened.current() if version is None else opened.version(version))
    finally:
        await opened.close()


def _one_of(ids: list[str], segment: str | None, file: Path) -> str:
    if segment is None and len(ids) == 1:
        return ids[0]
    if segment in ids:
        return str(segment)
    raise Invalid(f"expected --segment to be one of {', '.join(ids)}, found {segment}", str(file))


@click.command()
@click.argument("segment")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="SEGUE_DATA",
    callback=of_files,
    default=Path(".segue"),
    show_default=True,
    help="The data folder whose archive is looked at.",
)
@AT
@click.option(
    "--version",
    type=click.IntRange(1),
    help="By the definition of this catalogue version; by default as it was told then.",
)
def members(segment: str, data: Path, at: int | None, version: int | None) -> None:
    """Who was in SEGMENT at an instant, as JSON lines.

    By default what was told then, by the definitions of that day. With --version the archive is looked at anew: what
    that version's definition says, with all that had been received by the instant.
    """
    at = time.time_ns() // 1_000_000 if at is None else at
    lines = asyncio.run(_told(segment, data, at) if version is None else _computed(segment, data, at, version))
    for line in lines:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()
    Console(stderr=True).print(f"{len(lines):,} members")


async def _told(segment: str, data: Path, at: int) -> list[dict[str, Any]]:
    """The members by each profile's newest snapshot of then, with the catalogue version that computed it.

    Raises NotFound if there are none, and the catalogue has no such segment: one that it no longer has may have some.
    """
    archive = ArchiveFile.open(data)
    try:
        async with archive.scanned(MEMBERSHIPS) as connection:
            rows = connection.execute(_TOLD, {"segment": segment, "at": at}).fetchall()
    finally:
        await archive.close()
    if not rows and segment not in await _defined(data):
        raise NotFound(f"there is no segment {segment!r}, and nobody was in it then")
    return [
        {"profile": f"{kind}:{value}", "since": since, "until": until, "catalog": version}
        for kind, value, since, until, version in rows
    ]


async def _defined(data: Path) -> Collection[str]:
    published = await _published(data, None)
    return compiled(published).program.segments if published else ()


_TOLD = """
WITH newest AS (
    SELECT profile, decode(max_by(from_base64(data), seq)) AS told, max_by(intervals, seq) AS intervals
    FROM memberships WHERE evaluated_at <= $at GROUP BY profile
), spans AS (SELECT profile, told, unnest(intervals, max_depth := 2) FROM newest)
SELECT told->>'$.profile.kind', told->>'$.profile.value', since, "until", CAST(told->>'$.catalog' AS BIGINT)
FROM spans WHERE segment = $segment AND since <= $at AND ("until" IS NULL OR "until" > $at) ORDER BY 1, 2
"""


async def _computed(segment: str, data: Path, at: int, version: int) -> list[dict[str, Any]]:
    published = await _published(data, version)
    if published is None:
        raise NotFound(f"{data}: there is no catalogue of version {version}")
    definitions = compiled(published)
    if segment not in definitions.program.segments:
        raise NotFound(f"there is no segment {segment!r} in the catalogue of version {version}")
    async with _over(data, None, None, definitions, at) as (twin, _):
        twin.run(definitions.catalog.segments, definitions.program, at, [segment])
        rows = twin.connection.execute(_COMPUTED, {"segment": segment, "at": at}).fetchall()
    return [
        {
            "profile": f"user_id:{user_id}" if user_id else f"anonymous_id:{anonymous_id}",
            "since": since,
            "until": None if until == FOREVER else until,
            "catalog": version,
        }
        for user_id, anonymous_id, since, until in rows
    ]


_COMPUTED = """
SELECT user_id, anonymous_id, since, until FROM memberships JOIN (
    SELECT profile, any_value(user_id) AS user_id, any_value(anonymous_id) AS anonymous_id FROM history GROUP BY profile
) AS visitors USING (profile)
WHERE segment = $segment AND since <= $at AND until > $at ORDER BY 1, 2
"""
