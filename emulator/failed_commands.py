"""`segue failed`: what a platform gave up, and putting it back."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec
from rich.table import Column, Table

from emulator import operated, options, tables
from emulator.failed import Record
from emulator.operated import Operated
from emulator.options import Place
from segue.domain.errors import NotFound, Rejected

LONGEST_REASON = 120


@click.group()
def failed() -> None:
    """List, show and put back messages that could not be worked through."""


@failed.command("list")
@options.place
def list_(place: Place) -> None:
    """What was given up, by whom and why, the oldest first."""
    table = Table(Column("id", no_wrap=True), "given up by", "when (UTC)", "type", Column("reason", overflow="fold"))
    for record in asyncio.run(_records(place)):
        message = record.message
        when = datetime.fromtimestamp(message.failed_at / 1_000, UTC).isoformat(" ", "seconds")
        table.add_row(record.id, message.stage, when[:19], message.type, message.reason[:LONGEST_REASON])
    tables.show(table, "nothing was given up")


@failed.command()
@click.argument("id_", metavar="ID")
@options.place
def show(id_: str, place: Place) -> None:
    """One message, as JSON."""
    found = next((record for record in asyncio.run(_records(place)) if record.id == id_), None)
    if found is None:
        raise NotFound(f"{id_}: there is no such record")
    click.echo(msgspec.json.format(msgspec.json.encode(found.message)).decode())


@failed.command()
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Put back everything that can be.")
@options.place
def replay(ids: Sequence[str], every: bool, place: Place) -> None:
    """Publish messages again, each to the topic it came from, and forget their records.

    What could not succeed, or would count events twice, stays, with the reason; then the status is 1.
    """
    if every == bool(ids):
        raise click.UsageError("name what to put back, or say --all")
    asyncio.run(_put_back(ids, place))


async def _records(place: Place) -> Sequence[Record]:
    async with operated.at(place) as platform:
        return await platform.failed()


async def _put_back(ids: Sequence[str], place: Place) -> None:
    async with operated.at(place) as platform:
        wanted = ids or [record.id for record in await platform.failed()]
        stayed = [id_ for id_ in wanted if not await _is_put_back(id_, platform)]
    if stayed:
        raise click.ClickException(f"{len(stayed)} of {len(wanted)} stay in failed_events")


async def _is_put_back(id_: str, platform: Operated) -> bool:
    try:
        await platform.replay_failed(id_)
    except Rejected as error:
        click.echo(str(error), err=True)
        return False
    click.echo(f"{id_}: published again")
    return True
