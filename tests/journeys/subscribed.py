"""`segue run --platform google` whose functions read the archive as in the cloud: from BigQuery, or what stands in for
it, where subscriptions write what is published."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import msgspec

from emulator.google_host import run_google
from emulator.options import CATALOG, PORT
from emulator.topology import topology
from segue import wiring
from segue.ports import Message
from tests.bigquery import DATASET, Tables, bigquery
from tests.journeys.operated import FILE, NAMES


@click.command()
@PORT
@click.option("--data", type=click.Path(path_type=Path), required=True)
@CATALOG
def main(port: int, data: Path, catalog_folder: Path) -> None:
    with bigquery() as (tables, url):
        reading = {"SEGUE_ARCHIVE_DATASET": DATASET, "BIGQUERY_EMULATOR_HOST": url}
        subscriptions: list[asyncio.Task[None]] = []

        def ready(answers: str) -> None:
            (data / FILE).write_bytes(msgspec.json.encode({name: os.environ[name] for name in NAMES} | reading))
            subscriptions.append(asyncio.create_task(subscribe(tables, lambda: said(answers))))

        run_google(port, data, catalog_folder, ready, reaching=lambda _function: reading)


def said(answers: str) -> None:
    click.echo(f"Segue answers at {answers}")
    sys.stdout.flush()


async def subscribe(tables: Tables, begun: Callable[[], None]) -> None:
    """Write what is published as BigQuery's subscriptions do: at least once. `begun`: nothing is missed from now on."""
    bus = wiring.platform().ports.bus
    archived = {each["topic"]: each["archive"] for each in topology()["subscriptions"].values() if "archive" in each}
    waiting = set(archived)

    def started(topic: str) -> None:
        waiting.discard(topic)
        if not waiting:
            begun()

    def write(topic: str, message: Message) -> None:
        tables.write(archived[topic], [message])

    async with asyncio.TaskGroup() as group:
        for topic in archived:
            listening = bus.listen(topic, f"bigquery-{topic}", partial(started, topic), partial(write, topic))
            group.create_task(listening)


if __name__ == "__main__":
    main()
