"""`segue rebuild`: profiles folded anew from the archive."""

import asyncio
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import track

from emulator import operated, options
from emulator.explain_command import Profile
from emulator.options import Place
from segue.domain.errors import SegueError
from segue.domain.profile import ProfileRef


@click.command()
@click.argument("profiles", metavar="[PROFILE]...", type=Profile(), nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every profile there is, and with --data or google ever was.")
@options.place
def rebuild(profiles: Sequence[ProfileRef], every: bool, place: Place) -> None:
    """Fold the state of each PROFILE (user_id:42, anonymous_id:…) anew from the archive.

    What was announced stands; what turns out otherwise is announced now. What the store has lost, --all brings back
    with everything that the archive tells of it: states, links, and the numbers of what was announced. A profile of
    which the archive does not have everything yet stays as it is; then the status is 1.
    """
    if every == bool(profiles):
        raise click.UsageError("name what to rebuild, or say --all")
    asyncio.run(_rebuild(profiles, place))


async def _rebuild(wanted: Sequence[ProfileRef], place: Place) -> None:
    changed, stayed = 0, 0
    async with operated.at(place) as platform:
        keys = await (platform.keys(wanted) if wanted else platform.everybody())
        names = iter(track(keys, "rebuilding", console=Console(stderr=True), transient=True))
        async for rebuilt in platform.rebuild([*keys.values()]):
            name = next(names)
            if isinstance(rebuilt, SegueError):
                stayed += 1
                click.echo(f"{name} stays as it is: {rebuilt}", err=True)
                continue
            changed += bool(rebuilt)
            for transition in rebuilt:
                click.echo(f"{name} {transition.transition} {transition.segment}")
    click.echo(f"{len(keys) - stayed:,} profiles rebuilt, {changed:,} of them changed", err=True)
    if stayed:
        raise click.exceptions.Exit(1)
