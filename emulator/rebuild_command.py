"""`segue rebuild`: profiles folded anew from the archive."""

import asyncio
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import track

from emulator import operated, options
from emulator.explain_command import Profile
from emulator.operated import Operated
from emulator.options import Place
from segue.domain.errors import NotFound
from segue.domain.profile import ProfileRef


@click.command()
@click.argument("profiles", metavar="[PROFILE]...", type=Profile(), nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every profile there is.")
@options.place
def rebuild(profiles: Sequence[ProfileRef], every: bool, place: Place) -> None:
    """Fold the state of each PROFILE (user_id:42, anonymous_id:…) anew from the archive.

    What was announced stands; what turns out otherwise is announced now.
    """
    if every == bool(profiles):
        raise click.UsageError("name what to rebuild, or say --all")
    asyncio.run(_rebuild([str(profile) for profile in profiles], place))


async def _rebuild(wanted: Sequence[str], place: Place) -> None:
    async with operated.at(place) as platform:
        keys = {name: id_ for id_, name in await platform.profiles()}
        unknown = [name for name in wanted if name not in keys]
        if unknown:
            raise NotFound(f"{unknown[0]}: there is no such profile")
        await _each(platform, {name: keys[name] for name in wanted or keys})


async def _each(platform: Operated, keys: dict[str, str]) -> None:
    changed = 0
    for name in track(keys, "rebuilding", console=Console(stderr=True), transient=True):
        transitions = await platform.rebuild(keys[name])
        changed += bool(transitions)
        for transition in transitions:
            click.echo(f"{name} {transition.transition} {transition.segment}")
    click.echo(f"{len(keys):,} profiles rebuilt, {changed:,} of them changed", err=True)
