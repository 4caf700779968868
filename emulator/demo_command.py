"""`segue demo`: the whole platform at work, in one command."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from rich.console import Console

from emulator import demo as tour
from emulator.client import Client
from emulator.log_commands import reading, show
from emulator.options import CATALOG
from emulator.recording import Dirt
from emulator.replay import replay
from emulator.server import HOST, listening
from emulator.shop import visitors
from segue.domain.errors import Unavailable
from segue.domain.profile import IdentifierKind, ProfileRef

USUAL_PORT = 8080
SEED = 7
VISITORS = 400
LOOKED_AT = 100
ENDED_WITHIN_S = 10.0
WIDTH = 120


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help=f"Where it serves; by default {USUAL_PORT}, or a free one if that is taken.",
)
@click.option(
    "--data",
    "log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recorded log to replay; by default Segue makes up shop visits.",
)
@CATALOG
def demo(port: int | None, log: Path | None, catalog_folder: Path) -> None:
    """Run the platform, send it shop visits, show segments and decisions.

    At a terminal it goes on serving until Ctrl-C; without one it ends. Nothing is kept.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with (
        tempfile.TemporaryDirectory(prefix="segue-demo-") as folder,
        _platform(_free(port), Path(folder), catalog_folder) as (url, process),
    ):
        console.print(f"Segue answers at {url}")
        asyncio.run(_show(url, log, console))
        if sys.stdout.isatty():
            console.print(f"The demo shop is open at {url}/ and shows what Segue knows as you click. Ctrl-C ends it.")
            with suppress(KeyboardInterrupt):
                process.wait()


async def _show(url: str, log: Path | None, console: Console) -> None:
    async with Client.connected(url) as client:
        seen, at = await (_visit(client, console) if log is None else _replay(client, log, console))
        console.print(await tour.segments(client, at))
        console.print(await tour.decisions(client, seen, at))
        latency = await tour.latency(client)
        console.print(f"From event to segment: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms")


async def _visit(client: Client, console: Console) -> tuple[Sequence[ProfileRef], int | None]:
    """Send made-up visits; who came."""
    came = list(visitors(SEED, VISITORS, time.time_ns() // 1_000_000))
    started = time.perf_counter()
    events = await tour.send(client, came)
    await client.settle()
    console.print(f"{len(came):,} visitors sent {events:,} events in {time.perf_counter() - started:.1f} s")
    return [ProfileRef("anonymous_id", visitor.anonymous_id) for visitor in came[:LOOKED_AT]], None


async def _replay(client: Client, log: Path, console: Console) -> tuple[Sequence[ProfileRef], int | None]:
    """Replay a log; who was the last to enter each segment, and when the log ends."""
    dirt, started = Dirt(), time.perf_counter()
    with reading(log, None, dirt) as calls:
        report = await replay(client, calls, None)
    show(console, log, report, dirt, time.perf_counter() - started)
    latest = {line.segment: line.profile for line in await client.memberships() if line.transition == "entered"}
    return [_profile(name) for name in dict.fromkeys(reversed(latest.values()))], report.newest


def _profile(name: str) -> ProfileRef:
    kind, _, value = name.partition(":")
    kinds: dict[str, IdentifierKind] = {"user_id": "user_id", "anonymous_id": "anonymous_id"}
    return ProfileRef(kinds[kind], value)


def _free(port: int | None) -> int:
    """The port that is wanted; without one the usual port, or a free one if that is taken."""
    if port is not None:
        return port
    with suppress(Unavailable), listening(USUAL_PORT):
        return USUAL_PORT
    return 0


@contextmanager
def _platform(port: int, data: Path, catalog_folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`segue run` in a process of its own, so that what is measured is not slowed by whoever measures."""
    command = [sys.argv[0], "run", "--shop", "--port", str(port), "--data", str(data), "--catalog", str(catalog_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (this very program)
        try:
            said = process.stdout.readline() if process.stdout else ""
            if HOST not in said:
                raise Unavailable("the platform did not start")
            yield said.split()[-1], process
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)
