"""The `segue` command: its subcommands, and how their errors are shown."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click

from segue.domain.errors import SegueError

COMMANDS: Mapping[str, str] = {
    "audiences": "audiences_commands",
    "catalog": "catalog_commands",
    "cost": "cost_commands",
    "demo": "demo_command",
    "erase": "privacy_commands",
    "experiments": "experiments_command",
    "explain": "explain_command",
    "export": "privacy_commands",
    "failed": "failed_commands",
    "fold": "log_commands",
    "identity": "identity_commands",
    "members": "preview_commands",
    "preview": "preview_commands",
    "rebuild": "rebuild_command",
    "replay": "log_commands",
    "run": "run_commands",
    "trace": "trace_command",
    "tracker": "tracker_command",
}
"""The module of each subcommand, imported only when it is asked for: what one needs, the others need not wait for."""


class Root(click.Group):
    """Shows an error that was raised on purpose, or that a file or a port caused, in words alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the same in every context
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"emulator.{COMMANDS[cmd_name]}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SegueError, OSError) as error:
            raise click.ClickException("\n".join(_told(error))) from error


def _told(error: Exception) -> Iterator[str]:
    """What an error says, and the notes of whatever led to it, such as Google's own words."""
    yield str(error)
    cause: BaseException | None = error
    while cause is not None:
        yield from getattr(cause, "__notes__", ())
        cause = cause.__cause__


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segue", prog_name="segue")
def main() -> None:
    """Segue turns what visitors do into segments at the moment they do it."""
