"""`segue identity`: which anonymous visitors turned out to be which users, withdrawing what is wrong, and traits."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Column, Table

from emulator.client import Client
from emulator.explain_command import Profile
from emulator.explained import traits_of
from emulator.options import KEY, URL
from emulator.tables import show
from segue.domain.profile import ProfileRef


@click.group()
def identity() -> None:
    """Show, and withdraw, who turned out to be whom; and who said what of them."""


@identity.command()
@click.argument("profile", type=Profile())
@URL
@KEY
def links(profile: ProfileRef, url: str, key: str) -> None:
    """All that was decided of the anonymous visitors that PROFILE (user_id:42, anonymous_id:…) is said to be."""
    found = asyncio.run(_links(profile, url, key))
    table = Table(Column("visitor", no_wrap=True), "status", "when (UTC)", "source", "call", "reason")
    for entry in found["links"]:
        table.add_row(
            f"{entry['anonymous']['kind']}:{entry['anonymous']['value']}",
            entry["status"],
            _shown(entry.get("withdrawn_at") or entry["at"]),
            *(entry.get(name, "") for name in ("source", "message_id", "reason")),
        )
    show(table, f"nobody is said to be {profile}")
    click.echo(f"{found['profile']}: {len(found['links'])} visitors, {found['refused']} times refused", err=True)


@identity.command()
@click.argument("visitor", type=Profile())
@click.argument("user", type=Profile())
@URL
@KEY
def unlink(visitor: ProfileRef, user: ProfileRef, url: str, key: str) -> None:
    """Say that VISITOR (anonymous_id:…) is not USER (user_id:42): both are folded anew from what they did themselves.

    What was announced stands; what turns out otherwise is announced. The two are not linked again.
    """
    if visitor.kind != "anonymous_id" or user.kind != "user_id":
        raise click.UsageError("expected anonymous_id:… and then user_id:…")
    asyncio.run(_unlink(visitor, user, url, key))
    click.echo(f"{visitor} is not {user}: that is under way", err=True)


@identity.command()
@click.argument("profile", type=Profile())
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The folder of a platform that is not running: its archive knows who said what.",
)
def traits(profile: ProfileRef, data: Path) -> None:
    """The traits of PROFILE (user_id:42, anonymous_id:…), and of each which call of which source said so when."""
    table = Table(Column("trait", no_wrap=True), Column("value", overflow="fold"), "so since (UTC)", "source", "call")
    for name, each in asyncio.run(traits_of(data, profile)).items():
        value = msgspec.json.encode(each.value).decode()
        table.add_row(name, value, _shown(each.occurred_at), each.source, each.message_id)
    show(table, f"no call said anything of {profile}")


def _shown(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1_000, UTC).isoformat(" ", "seconds")[:19]


async def _links(profile: ProfileRef, url: str, key: str) -> Mapping[str, Any]:
    async with Client.connected(url, secret_key=key) as client:
        found: Mapping[str, Any] = await client.links(profile)
        return found


async def _unlink(visitor: ProfileRef, user: ProfileRef, url: str, key: str) -> None:
    async with Client.connected(url, secret_key=key) as client:
        await client.unlink(visitor, user)
