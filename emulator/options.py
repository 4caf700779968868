"""Options that several commands have in common."""

from pathlib import Path

import click

from emulator.client import DEMO_SECRET_KEY
from segue.domain.time import instant


class Instant(click.ParamType[int]):
    """ISO 8601, no zone = UTC, or epoch milliseconds."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = instant(int(value) if isinstance(value, str) and value.isdecimal() else value)
        if found is None:
            self.fail(f"expected an instant such as 2019-10-02T00:00:00Z, found {value!r}", param, ctx)
        return found


URL = click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where Segue runs.")
KEY = click.option(
    "--key",
    "--secret-key",
    "key",
    envvar="SEGUE_SECRET_KEY",
    default=DEMO_SECRET_KEY,
    show_default=True,
    help="The secret key of a source.",
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
