"""`segue identity`: which anonymous visitors turned out to be which users, and withdrawing what is wrong."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from emulator.client import Client
from emulator.explain_command import Profile
from emulator.options import KEY, URL
from segue.domain.profile import ProfileRef


@click.group()
def identity() -> None:
    """Show, and withdraw, who turned out to be whom."""


@identity.command()
@click.argument("profile", type=Profile())
@URL
@KEY
def links(profile: ProfileRef, url: str, key: str) -> None:
    """All that was decided of the anonymous visitors that PROFILE (user_id:42, anonymous_id:…) is said to be."""
    found = asyncio.run(_links(profile, url, key))
    table = Table(Column("visitor", no_wrap=True), "status", "when (UTC)", "source", "call", "reason")
    for entry in found["links"]:
        when = datetime.fromtimestamp((entry.get("withdrawn_at") or entry["at"]) / 1_000, UTC).isoformat(" ", "seconds")
        table.add_row(
            f"{entry['anonymous']['kind']}:{entry['anonymous']['value']}",
            entry["status"],
            when[:19],
            *(entry.get(name, "") for name in ("source", "message_id", "reason")),
        )
    Console().print(table)
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


async def _links(profile: ProfileRef, url: str, key: str) -> Mapping[str, Any]:
    async with Client.connected(url, secret_key=key) as client:
        found: Mapping[str, Any] = await client.links(profile)
        return found


async def _unlink(visitor: ProfileRef, user: ProfileRef, url: str, key: str) -> None:
    async with Client.connected(url, secret_key=key) as client:
        await client.unlink(visitor, user)
