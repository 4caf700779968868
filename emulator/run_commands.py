"""`segue run`: the platform on one address of this machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emulator import beside
from emulator.google_host import run_google
from emulator.host import run_embedded
from emulator.options import CATALOG, PORT

if TYPE_CHECKING:
    from emulator.traces import Traces

PLATFORMS: Mapping[
    str, Callable[[int, Path, Path, Callable[[str], None], bool, Sequence[str], "Traces | None"], None]
] = {
    "embedded": run_embedded,
    "google": run_google,
}


@click.command()
@click.option(
    "--platform",
    type=click.Choice(list(PLATFORMS)),
    default="embedded",
    show_default=True,
    help="embedded: one process and one folder. google: Google's emulators, each function a process.",
)
@PORT
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SEGUE_DATA",
    default=Path(".segue"),
    show_default=True,
    help="The folder of the platform's files.",
)
@CATALOG
@click.option("--shop", is_flag=True, help="With the demo shop at / of the same address.")
@click.option(
    "--cms", is_flag=True, help="With the demo magazine, made with Wagtail, on the next port (or a free one)."
)
@click.option("--trace", is_flag=True, help="Keep the newest traces, for `segue trace`.")
def run(platform: str, port: int, data: Path, catalog_folder: Path, shop: bool, cms: bool, trace: bool) -> None:
    """Run Segue until Ctrl-C."""
    with ExitStack() as started:
        magazine = started.enter_context(beside.listening_next_to(port)) if cms else None

        def ready(url: str) -> None:
            click.echo(f"Segue ({platform}) answers at {url}")
            if magazine:
                started.enter_context(beside.magazine(magazine, url, data / "cms"))

        origins = [beside.address(magazine)] if magazine else []
        PLATFORMS[platform](port, data, catalog_folder, ready, shop, origins, _traces() if trace else None)


def _traces() -> "Traces":
    from emulator.traces import Traces

    return Traces()
