"""The `segue` command: its subcommands, and how their errors are shown."""

from typing import Any

import click

from emulator.audiences_commands import audiences
from emulator.catalog_commands import catalog
from emulator.demo_command import demo
from emulator.experiments_command import experiments
from emulator.explain_command import explain
from emulator.failed_commands import failed
from emulator.identity_commands import identity
from emulator.log_commands import fold, replay
from emulator.preview_commands import members, preview
from emulator.privacy_commands import erase, export
from emulator.rebuild_command import rebuild
from emulator.run_commands import run
from emulator.tracker_command import tracker
from segue.domain.errors import SegueError


class Root(click.Group):
    """Shows an error that was raised on purpose, or that a file or a port caused, in its own words alone."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SegueError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segue", prog_name="segue")
def main() -> None:
    """Segue turns what visitors do into segments at the moment they do it."""


COMMANDS = (
    audiences,
    catalog,
    demo,
    erase,
    experiments,
    explain,
    export,
    failed,
    fold,
    identity,
    members,
    preview,
    rebuild,
    replay,
    run,
    tracker,
)

for command in COMMANDS:
    main.add_command(command)
