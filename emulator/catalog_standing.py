"""How far a published catalogue has come: asked of a platform's address, or of a deployment's own documents."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
from rich.progress import BarColumn, Progress, TextColumn

from emulator.client import Client
from emulator.deployment import at_project
from emulator.options import Deployment
from segue.catalogs import Catalogs
from segue.domain import sweep
from segue.domain.errors import Unavailable

POLL_S = 1.0
"""How often it is asked how far filling is."""


class Standing(msgspec.Struct, frozen=True):
    """The version in force, and of each segment the share of the profiles (0 to 1) that is filled from the archive;
    None: the segment is live."""

    version: int
    segments: Mapping[str, float | None]


Ask: TypeAlias = Callable[[], Coroutine[None, None, Standing]]


def standing(deployment: Deployment | None, url: str, key: str) -> Ask:
    """Asks the deployment, or else the address."""
    return partial(_of, deployment) if deployment else partial(_at, url, key)


async def until_filled(ask: Ask, version: int) -> None:
    """Wait until every segment is live; where nothing answers, say that it goes on once a platform runs."""
    with Progress(TextColumn("filled"), BarColumn(), TextColumn("{task.percentage:.0f} %")) as progress:
        bar = progress.add_task("filled", total=1.0)
        while True:
            await asyncio.sleep(POLL_S)
            try:
                found = await ask()
            except Unavailable as error:
                progress.console.print(f"{error}; filling goes on where the platform runs")
                return
            filling = [filled for filled in found.segments.values() if filled is not None]
            if found.version >= version:
                progress.update(bar, completed=min(filling, default=1.0))
                if not filling:
                    return


async def _at(url: str, key: str) -> Standing:
    async with Client.connected(url, secret_key=key) as client:
        sizes: Any = await client.sizes()
    return Standing(sizes["catalog"], {each["id"]: each.get("filled") for each in sizes["segments"]})


async def _of(deployment: Deployment) -> Standing:
    async with at_project(deployment) as ports:
        compiled = await Catalogs(ports.catalog, ports.clock).current()
        stored = await ports.store.get(sweep.PATH)
    known = sweep.decode(stored.data) if stored else None
    filled = known.share if known and known.catalog == compiled.version else 0.0
    return Standing(
        compiled.version,
        {id_: filled if id_ in compiled.waiting else None for id_ in compiled.catalog.segments},
    )
