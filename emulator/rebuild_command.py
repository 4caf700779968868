"""`segue rebuild`: profiles folded anew from the archive."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from emulator.explain_command import Profile
from emulator.options import KEY, URL
from emulator.rebuilding import Rebuilding, at_address, in_folder
from segue.domain.errors import NotFound
from segue.domain.profile import ProfileRef


@click.command()
@click.argument("profiles", metavar="[PROFILE]...", type=Profile(), nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every profile there is.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of a platform that is not running, instead of an address.",
)
@URL
@KEY
def rebuild(profiles: Sequence[ProfileRef], every: bool, data: Path | None, url: str, key: str) -> None:
    """Fold the state of each PROFILE (user_id:42, anonymous_id:…) anew from the archive.

    What was announced stands; what turns out otherwise is announced now.
    """
    if every == bool(profiles):
        raise click.UsageError("name what to rebuild, or say --all")
    asyncio.run(_rebuild([str(profile) for profile in profiles], data, url, key))


async def _rebuild(wanted: Sequence[str], data: Path | None, url: str, key: str) -> None:
    async with at_address(url, key) if data is None else in_folder(data) as place:
        keys = {name: id_ for id_, name in await place.profiles()}
        unknown = [name for name in wanted if name not in keys]
        if unknown:
            raise NotFound(f"{unknown[0]}: there is no such profile")
        await _each(place, {name: keys[name] for name in wanted or keys})


async def _each(place: Rebuilding, keys: dict[str, str]) -> None:
    changed = 0
    for name in track(keys, "rebuilding", console=Console(stderr=True), transient=True):
        transitions = await place.rebuild(keys[name])
        changed += bool(transitions)
        for transition in transitions:
            click.echo(f"{name} {transition.transition} {transition.segment}")
    click.echo(f"{len(keys):,} profiles rebuilt, {changed:,} of them changed", err=True)
