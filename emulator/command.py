"""The `segue` command: its subcommands, and how their errors are shown."""

from typing import Any

import click

from segue.domain.errors import SegueError


class Root(click.Group):
    """Shows an error that was raised on purpose, and one of the machine's files or ports, as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SegueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segue", prog_name="segue")
def main() -> None:
    """Segue turns what visitors do into segments at the moment they do it."""
