"""`segue export` and `segue erase`: what a visitor has a right to."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import track

from emulator.client import Client
from emulator.explain_command import Profile
from emulator.options import KEY, URL
from segue.domain.profile import ProfileRef


@click.command()
@click.argument("profile", type=Profile())
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it into this file.")
@URL
@KEY
def export(profile: ProfileRef, out: Path | None, url: str, key: str) -> None:
    """All that is held about PROFILE (user_id:42, anonymous_id:…), as JSON.

    That is the state and the segments, what was consented to and when, everything that was sent, and the profiles that
    are linked.
    """

    async def asked() -> bytes:
        async with Client.connected(url, secret_key=key) as client:
            return msgspec.json.format(msgspec.json.encode(await client.export(profile)))

    found = asyncio.run(asked())
    if out is None:
        click.echo(found.decode())
    else:
        out.write_bytes(found + b"\n")


@click.command()
@click.argument("profiles", metavar="PROFILE...", type=Profile(), nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@URL
@KEY
def erase(profiles: Sequence[ProfileRef], yes: bool, url: str, key: str) -> None:
    """Forget each PROFILE (user_id:42, anonymous_id:…), and all profiles that are linked to it, for good.

    State, segments, links, failed events and the archive are erased within moments; nothing that is still on its way
    brings any of it back. A receipt is printed for each. What is sent from now on begins a new profile.
    """
    if not yes:
        click.confirm(f"Erase {len(profiles)} of the visitors at {url} for good?", abort=True, err=True)
    asyncio.run(_erase(profiles, url, key))


async def _erase(profiles: Sequence[ProfileRef], url: str, key: str) -> None:
    async with Client.connected(url, secret_key=key) as client:
        for profile in track(profiles, "erasing", console=Console(stderr=True), transient=True):
            click.echo(f"{profile} receipt {(await client.erase(profile))['receipt']}")
