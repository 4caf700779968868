"""`segue catalog`: check a folder of definitions, print their JSON Schema for editors, publish them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, Progress, TextColumn

from emulator import options
from emulator.catalog import load
from emulator.catalog_schema import for_editors
from emulator.client import Client
from emulator.yaml_file import Broken
from segue import catalogs
from segue.adapters.embedded.catalog import CatalogFile
from segue.domain import catalog as definitions
from segue.domain import edition
from segue.domain.errors import Unavailable
from segue.domain.experiment import redraws
from segue.domain.membership import is_named
from segue.ports import Catalog

POLL_S = 1.0
"""How often it is asked how far filling is."""

SECTIONS = {
    "sources": "source",
    "segments": "segment",
    "scores": "score",
    "computed": "computed trait",
    "models": "model",
    "slots": "slot",
    "experiments": "experiment",
    "destinations": "destination",
    "lists": "list",
}
"""The sections of a catalogue, and what one of their definitions is called."""

folder_option = click.option(
    "--catalog",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("infra/catalog"),
    show_default=True,
    help="The folder of the *.yaml files.",
)


@click.group()
def catalog() -> None:
    """Check, describe and publish the definitions: sources, segments, slots, destinations, settings."""


@catalog.command()
@folder_option
def check(folder: Path) -> None:
    """Name every problem of a catalogue with its file, line and path; status 1 if there is one."""
    click.echo(f"{folder}: good, with {_contents(_loaded(folder))}")


@catalog.command()
def schema() -> None:
    """Print the JSON Schema of a catalogue file, the language of conditions included, for editors."""
    click.echo(json.dumps(for_editors(), indent=2, ensure_ascii=False))


@catalog.command()
@folder_option
@click.option(
    "--platform",
    type=click.Choice(["embedded", "google"]),
    envvar="SEGUE_PLATFORM",
    default="embedded",
    show_default=True,
    help="Where the platform keeps it.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="SEGUE_DATA",
    default=Path(".segue"),
    show_default=True,
    help="The data folder (embedded).",
)
@click.option("--project", envvar="SEGUE_PROJECT", help="The Google Cloud project (google).")
@click.option(
    "--database",
    envvar="SEGUE_CATALOG_DATABASE",
    default="catalog",
    show_default=True,
    help="The catalogue's Firestore database (google).",
)
@options.URL
@options.KEY
@click.option("--detach", is_flag=True, help="Do not wait until what is newly measured is filled from the archive.")
def publish(
    folder: Path, platform: str, data: Path, project: str | None, database: str, url: str, key: str, detach: bool
) -> None:
    """Check a catalogue and publish it as the next version; functions take it up within seconds.

    Segments that ask for what was not measured so far answer as they were defined before until the archive has been
    looked through for it; the command waits for that, and says how far it is. It goes on without the command, too.

    A warning names experiments whose visitors are drawn anew under way. The same definitions as the current version's
    change nothing. FIRESTORE_EMULATOR_HOST leads to the emulator.
    """
    if platform == "google" and not project:
        raise click.UsageError("--platform google needs --project, or SEGUE_PROJECT")
    place = _firestore(project or "", database) if platform == "google" else _data_folder(data)
    published, redrawn = asyncio.run(_publish(_loaded(folder), place))
    for id_ in redrawn:
        click.echo(
            f"Warning: experiments.{id_}: it is running, and by this change visitors change arms, or leave", err=True
        )
    click.echo(f"{folder}: in force as version {published.version}")
    if published.waiting:
        click.echo(f"filling from the archive: {', '.join(_filling(published.waiting))}")
    if published.prepared is not None and not detach:
        asyncio.run(_filled(url, key, published.version))


def _filling(waiting: frozenset[str]) -> Sequence[str]:
    """The segments, and in a word what slots and experiments ask for themselves."""
    named = sorted(filter(is_named, waiting))
    return [*named, "conditions of slots and experiments"] if len(named) < len(waiting) else named


@catalog.command()
@options.URL
@options.KEY
def status(url: str, key: str) -> None:
    """Say of each segment of a running platform whether it is live, or how far it is filled from the archive."""
    for segment in asyncio.run(_sizes(url, key))["segments"]:
        click.echo(f"{segment['id']}: {_said(segment)}")


def _said(segment: Mapping[str, Any]) -> str:
    return f"filling, {segment['filled']:.0%}" if segment["status"] == "filling" else "live"


async def _sizes(url: str, key: str) -> Any:
    async with Client.connected(url, secret_key=key) as client:
        return await client.sizes()


async def _filled(url: str, key: str, version: int) -> None:
    """Wait until every segment is live; where nothing answers, say that it goes on once a platform runs."""
    with Progress(TextColumn("filled"), BarColumn(), TextColumn("{task.percentage:.0f} %")) as progress:
        bar = progress.add_task("filled", total=1.0)
        while True:
            await asyncio.sleep(POLL_S)
            try:
                sizes = await _sizes(url, key)
            except Unavailable as error:
                progress.console.print(f"{error}; filling goes on where the platform runs")
                return
            filling = [each["filled"] for each in sizes["segments"] if each["status"] == "filling"]
            if sizes["catalog"] >= version:
                progress.update(bar, completed=min(filling, default=1.0))
                if not filling:
                    return


def _loaded(folder: Path) -> bytes:
    try:
        return load(folder)
    except Broken as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(1) from error


def _contents(data: bytes) -> str:
    parsed = definitions.parse(msgspec.json.decode(data))
    counts = ((len(getattr(parsed, section)), name) for section, name in SECTIONS.items())
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)


async def _publish(data: bytes, place: AbstractAsyncContextManager[Catalog]) -> tuple[catalogs.Compiled, Sequence[str]]:
    """What is in force now, and the running experiments that are drawn anew by it."""
    async with place as port:
        current = await port.current()
        before = definitions.parse(edition.read(current.data).definitions).experiments if current else {}
        published = catalogs.compiled(await catalogs.publish(port, data))
    after = published.catalog.experiments
    return published, [id_ for id_ in sorted(before.keys() & after.keys()) if redraws(id_, before[id_], after[id_])]


@asynccontextmanager
async def _data_folder(folder: Path) -> AsyncIterator[Catalog]:
    opened = CatalogFile.open(folder)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def _firestore(project: str, database: str) -> AsyncIterator[Catalog]:
    from segue.adapters.google.platform import GooglePlatform  # takes a third of a second to import

    opened = GooglePlatform.open(project, database)
    try:
        yield opened.catalog
    finally:
        await opened.close()
