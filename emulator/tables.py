"""How commands show tables."""

import click
from rich.console import Console
from rich.table import Table


def show(table: Table, otherwise: str) -> None:
    """Print a table; of one without rows say `otherwise`, to whoever looks and not to what reads the output."""
    if table.row_count:
        Console().print(table)
    else:
        click.echo(otherwise, err=True)
