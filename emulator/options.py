"""Options that several commands have in common."""

from pathlib import Path

import click

from emulator.client import DEMO_SECRET_KEY

URL = click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where Segue runs.")
KEY = click.option(
    "--key", envvar="SEGUE_SECRET_KEY", default=DEMO_SECRET_KEY, show_default=True, help="The secret key of a source."
)
PORT = click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0 takes a free one."
)
CATALOG = click.option(
    "--catalog",
    "catalog_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("infra/catalog"),
    show_default=True,
    help="The folder of the definitions.",
)
