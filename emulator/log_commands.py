"""`segue replay` and `segue fold`: recorded logs through the platform, and through the engine alone."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from emulator import catalog, membership_log, recording
from emulator.client import Client
from emulator.fold import fold as fold_histories
from emulator.fold import histories
from emulator.options import CATALOG, KEY, URL, Instant
from emulator.recording import Call, Dirt
from emulator.replay import MOST_CALLS, Report
from emulator.replay import replay as replay_calls
from segue.catalogs import compiled
from segue.ports import PublishedCatalog

LOG = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
FORMAT = click.option(
    "--format",
    "format_name",
    type=click.Choice(list(recording.FORMATS)),
    help="What the log holds; by default it is recognised by how it begins.",
)
UNTIL = click.option(
    "--until", type=Instant(), help="Time goes on to this instant after the last line; by default it stops there."
)


@click.command()
@LOG
@FORMAT
@URL
@KEY
@UNTIL
@click.option(
    "--together",
    type=click.IntRange(1, MOST_CALLS),
    help="So many calls of one visitor a request, as pages send them; by default as many as it takes, of whomever.",
)
def replay(file: Path, format_name: str | None, url: str, key: str, until: int | None, together: int | None) -> None:
    """Send a recorded log through a running Segue's import.

    FILE may be packed (.gz). Time is the log's own: what came due by its end is announced.
    """
    started = time.perf_counter()
    dirt = Dirt()

    async def run() -> Report:
        async with Client.connected(url, secret_key=key) as client:
            with reading(file, format_name, dirt) as calls:
                return await replay_calls(client, calls, until, together)

    report = asyncio.run(run())
    show(Console(), file, report, dirt, time.perf_counter() - started)


@click.command()
@LOG
@CATALOG
@FORMAT
@UNTIL
def fold(file: Path, catalog_folder: Path, format_name: str | None, until: int | None) -> None:
    """Print who enters and leaves which segment when, as JSON lines.

    FILE may be packed (.gz). The engine alone works through the log: what a platform announces for it is the same.
    """
    definitions = compiled(PublishedCatalog(0, catalog.load(catalog_folder)))
    dirt, refused = Dirt(), Counter[str]()
    with reading(file, format_name, dirt) as calls:
        found = histories(
            calls,
            time.time_ns() // 1_000_000,
            definitions.catalog.settings.max_age,
            refused,
            definitions.catalog.consent,
        )
    folded = fold_histories(definitions.program, found, until)
    sys.stdout.buffer.writelines(membership_log.encoded(folded.log))
    sys.stdout.buffer.flush()
    Console(stderr=True).print(_counted({"events": folded.counts, "refused": refused, "dirt": dirt}))


@contextmanager
def reading(file: Path, format_name: str | None, dirt: Dirt) -> Iterator[Iterator[Call]]:
    """The calls of a log, with a bar that shows at a terminal how much of the file is read."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar, bar.open(file, "rb", description=file.name) as opened:
        yield recording.calls(opened, file, format_name or recording.recognised(file), dirt)


def show(console: Console, file: Path, report: Report, dirt: Dirt, seconds: float) -> None:
    """What became of a log, for a reader."""
    console.print(f"{file.name}: {report.sent:,} events in {seconds:.1f} s")
    console.print(_counted({"ledger": report.ledger, "refused": report.refused, "dirt": dirt}))


def _counted(sections: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table("", "kind", "events")
    for section, counts in sections.items():
        for kind, count in sorted(counts.items()):
            table.add_row(section, kind, f"{count:,}")
    return table
