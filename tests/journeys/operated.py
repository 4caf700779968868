"""`segue run --platform google`, which also leaves the addresses of its emulators in its data folder."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from emulator.google_host import run_google
from emulator.options import CATALOG, PORT

FILE = "emulators.json"
NAMES = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")


@click.command()
@PORT
@click.option("--data", type=click.Path(path_type=Path), required=True)
@CATALOG
def main(port: int, data: Path, catalog_folder: Path) -> None:
    def ready(url: str) -> None:
        (data / FILE).write_bytes(msgspec.json.encode({name: os.environ[name] for name in NAMES}))
        click.echo(f"Segue answers at {url}")
        sys.stdout.flush()

    run_google(port, data, catalog_folder, ready)


def environment(data: Path) -> Mapping[str, str]:
    """What leads a process to the emulators of the platform that runs with this folder."""
    return {**os.environ, **msgspec.json.decode((data / FILE).read_bytes(), type=dict[str, str])}


if __name__ == "__main__":
    main()
