"""`segue catalog`: check a folder of definitions, print their JSON Schema for editors, publish them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import click
import msgspec

from emulator import options
from emulator.catalog import load
from emulator.catalog_changes import Changes, changes, filling, redrawn
from emulator.catalog_schema import for_editors
from emulator.catalog_standing import standing, until_filled
from emulator.deployment import catalog_of
from emulator.yaml_file import Broken
from segue import catalogs
from segue.adapters.embedded.catalog import FILE, CatalogFile
from segue.domain import catalog as definitions
from segue.ports import Catalog

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


DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="SEGUE_DATA",
    default=Path(".segue"),
    show_default=True,
    help="The data folder (embedded).",
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
@options.PLATFORM
@DATA
@options.PROJECT
@options.DATABASE
@options.URL
@options.KEY
@click.option("--detach", is_flag=True, help="Do not wait until what is newly measured is filled from the archive.")
@click.option("--dry-run", is_flag=True, help="Write nothing, and say what would change; status 1 if it cannot be.")
def publish(
    folder: Path,
    platform: str,
    data: Path,
    project: str | None,
    database: str,
    url: str,
    key: str,
    detach: bool,
    dry_run: bool,
) -> None:
    """Check a catalogue and publish it as the next version; functions take it up within seconds.

    Segments that ask for what was not measured so far answer as they were defined before until the archive has been
    looked through for it; the command waits for that, and says how far it is. It goes on without the command, too.

    A warning names experiments whose visitors are drawn anew under way. The same definitions as the current version's
    change nothing. FIRESTORE_EMULATOR_HOST leads to the emulator.
    """
    deployment = options.deployment(platform, project, database)
    place = catalog_of(deployment) if deployment else _data_folder(data)
    definitions = _loaded(folder)
    if dry_run:
        is_there = deployment is not None or (data / FILE).exists()
        found = asyncio.run(_compared(definitions, place if is_there else nullcontext()))
        _would_be(folder, found)
        _warn_of_topics(found if deployment else None)
        return
    published, redrawn_by_it = asyncio.run(_publish(definitions, place))
    _warn(redrawn_by_it)
    click.echo(f"{folder}: in force as version {published.version}")
    if published.waiting:
        click.echo(f"filling from the archive: {', '.join(filling(published))}")
    if published.prepared is not None and not detach:
        asyncio.run(until_filled(standing(deployment, url, key), published.version))


def _warn(redrawn: Sequence[str]) -> None:
    for id_ in redrawn:
        click.echo(
            f"Warning: experiments.{id_}: it is running, and by this change visitors change arms, or leave", err=True
        )


def _warn_of_topics(found: Changes | None) -> None:
    """In the cloud a destination's topics are Terraform's, and have to be there first."""
    for path in found.added if found else ():
        if path.startswith("destinations."):
            click.echo(f"Warning: {path}: its topics come with `terraform apply`, before it is published", err=True)


def _would_be(folder: Path, found: Changes) -> None:
    if found.version == found.current:
        click.echo(f"{folder}: is in force already, as version {found.current}")
        return
    instead = f", in place of version {found.current}" if found.current else ""
    click.echo(f"{folder}: would be in force as version {found.version}{instead}")
    for sign, paths in (("+", found.added), ("~", found.changed), ("-", found.removed)):
        for path in paths:
            click.echo(f"{sign} {path}")
    if found.filling:
        click.echo(f"would be filled from the archive: {', '.join(found.filling)}")
    _warn(found.redrawn)


@catalog.command()
@options.PLATFORM
@options.PROJECT
@options.DATABASE
@options.URL
@options.KEY
def status(platform: str, project: str | None, database: str, url: str, key: str) -> None:
    """Say of each segment of a platform whether it is live, or how far it is filled from the archive."""
    found = asyncio.run(standing(options.deployment(platform, project, database), url, key)())
    click.echo(f"version {found.version} is in force")
    for segment, filled in found.segments.items():
        click.echo(f"{segment}: {'live' if filled is None else f'filling, {filled:.0%}'}")


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


async def _compared(data: bytes, place: AbstractAsyncContextManager[Catalog | None]) -> Changes:
    async with place as port:
        return changes(await port.current() if port else None, data)


async def _publish(data: bytes, place: AbstractAsyncContextManager[Catalog]) -> tuple[catalogs.Compiled, Sequence[str]]:
    """What is in force now, and the running experiments that are drawn anew by it."""
    async with place as port:
        current = await port.current()
        published = catalogs.compiled(await catalogs.publish(port, data))
    return published, redrawn(current, published)


@asynccontextmanager
async def _data_folder(folder: Path) -> AsyncIterator[Catalog]:
    opened = CatalogFile.open(folder)
    try:
        yield opened
    finally:
        await opened.close()
