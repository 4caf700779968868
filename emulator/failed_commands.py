"""`segue failed`: what a running platform gave up, and putting it back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from emulator.client import Client
from emulator.options import KEY, URL
from segue.domain.errors import NotFound, Rejected

Result = TypeVar("Result")

LONGEST_REASON = 120


@click.group()
def failed() -> None:
    """List, show and put back messages that could not be worked through."""


@failed.command("list")
@URL
@KEY
def list_(url: str, key: str) -> None:
    """What was given up, by whom and why, the oldest first."""
    table = Table(Column("id", no_wrap=True), "given up by", "when (UTC)", "type", Column("reason", overflow="fold"))
    for record in _asked(url, key, lambda client: client.failed()):
        message = record.message
        when = datetime.fromtimestamp(message.failed_at / 1_000, UTC).isoformat(" ", "seconds")
        table.add_row(record.id, message.stage, when[:19], message.type, message.reason[:LONGEST_REASON])
    Console().print(table)


@failed.command()
@click.argument("id_", metavar="ID")
@URL
@KEY
def show(id_: str, url: str, key: str) -> None:
    """One message, as JSON."""
    records = _asked(url, key, lambda client: client.failed())
    found = next((record for record in records if record.id == id_), None)
    if found is None:
        raise NotFound(f"{id_}: there is no such record")
    click.echo(msgspec.json.format(msgspec.json.encode(found.message)).decode())


@failed.command()
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Put back everything that can be.")
@URL
@KEY
def replay(ids: Sequence[str], every: bool, url: str, key: str) -> None:
    """Publish messages again, each to the topic it came from, and forget their records.

    What could not succeed, or would count events twice, stays, with the reason; then the status is 1.
    """
    if every == bool(ids):
        raise click.UsageError("name what to put back, or say --all")
    wanted = ids or [record.id for record in _asked(url, key, lambda client: client.failed())]
    refused = [id_ for id_ in wanted if not _put_back(id_, url, key)]
    if refused:
        raise click.ClickException(f"{len(refused)} of {len(wanted)} stay in failed_events")


def _put_back(id_: str, url: str, key: str) -> bool:
    try:
        _asked(url, key, lambda client: client.replay_failed(id_))
    except Rejected as error:
        click.echo(str(error), err=True)
        return False
    click.echo(f"{id_}: published again")
    return True


def _asked(url: str, key: str, ask: Callable[[Client], Awaitable[Result]]) -> Result:
    async def asked() -> Result:
        async with Client.connected(url, secret_key=key) as client:
            return await ask(client)

    return asyncio.run(asked())
