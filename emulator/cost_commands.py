"""`segue cost`: what a running Segue used, what segments add to it, and what that costs at list prices."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from emulator import catalog, cost_report
from emulator.client import Client
from emulator.cost import Used, as_json, used
from emulator.cost_forecast import Added, Delivery, Histories, Past, added, past
from emulator.cost_prices import PRICES, prices
from emulator.fold import histories
from emulator.log_commands import FORMAT, reading
from emulator.options import KEY, URL
from emulator.preview_commands import DATA, live
from emulator.recording import Dirt
from segue.adapters.embedded.archive import ArchiveFile
from segue.catalogs import Compiled, compiled
from segue.domain.errors import Invalid, NotFound
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef
from segue.ports import PublishedCatalog

PRICE_LIST = click.option(
    "--prices",
    "price_list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=PRICES,
    help="Other prices than infra/prices.yaml.",
)


@click.group(invoke_without_command=True)
@URL
@KEY
@PRICE_LIST
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What --json printed earlier: only what was used after that.",
)
@click.option("--json", "wants_json", is_flag=True, help="The same as JSON.")
@click.pass_context
def cost(context: click.Context, url: str, key: str, price_list: Path, since: Path | None, wants_json: bool) -> None:
    """What a running Segue used since it started, and what a million such events cost at list prices."""
    if context.invoked_subcommand:
        return
    found = asyncio.run(_used(url, key))
    if since is not None:
        found = found.since(_read(since))
    listed = prices(price_list)
    if wants_json:
        click.echo(as_json(found, listed))
    else:
        Console().print(cost_report.ran(found, listed))


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What is folded: the archive of a data folder or a log, with the segments of the live catalogue."""

    data: Path | None
    log: Path | None
    format_name: str | None
    catalog_folder: Path | None
    together: int
    days: int
    sample: int


def _tried(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what is folded, as the one parameter `tried`."""

    @wraps(command)
    def trying(
        *,
        data: Path | None,
        log: Path | None,
        format_name: str | None,
        catalog_folder: Path | None,
        together: int,
        days: int,
        sample: int,
        **others: Any,
    ) -> None:
        if (data is None) == (log is None):
            raise click.UsageError("expected either --data or --log")
        tried = Tried(
            data=data,
            log=log,
            format_name=format_name,
            catalog_folder=catalog_folder,
            together=together,
            days=days,
            sample=sample,
        )
        command(tried=tried, **others)

    for option in (PRICE_LIST, _SAMPLE, _DAYS, _TOGETHER, _LIVE, FORMAT, _LOG, DATA):
        trying = option(trying)
    return trying


_LOG = click.option(
    "--log", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A recorded log to try it on."
)
_LIVE = click.option(
    "--catalog",
    "catalog_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The definitions that are live; by default those published in the data folder.",
)
_TOGETHER = click.option(
    "--together", type=click.IntRange(1), default=1, show_default=True, help="Events of a log in one message."
)
_DAYS = click.option(
    "--days", type=click.IntRange(1, 3_660), default=30, show_default=True, help="How far to look back."
)
_SAMPLE = click.option(
    "--sample", type=click.IntRange(1), default=2_000, show_default=True, help="Events that are tried, at least."
)


@cost.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_tried
def forecast(file: Path, tried: Tried, price_list: Path) -> None:
    """What the segments of FILE would add to what events cost, were they published.

    The past is folded with each of them, and without it.
    """
    documents, ids = catalog.with_segments(file, asyncio.run(live(tried.data, tried.catalog_folder)))
    definitions = _compiled(documents)
    for found in _added(definitions, ids, tried):
        Console().print(cost_report.forecast(found, prices(price_list)))


@cost.command()
@_tried
def segments(tried: Tried, price_list: Path) -> None:
    """What each of the live segments adds to what events cost.

    The past is folded with all of them, and with all but one. Segments that another one refers to are left out.
    """
    definitions = _compiled(asyncio.run(live(tried.data, tried.catalog_folder)))
    alone = [id_ for id_ in definitions.catalog.segments if not _is_referred_to(definitions, id_)]
    if not alone:
        raise NotFound("expected live segments, found none: --catalog names their folder")
    Console().print(cost_report.segments(_added(definitions, alone, tried), prices(price_list)))


def _compiled(documents: Mapping[str, Any]) -> Compiled:
    return compiled(PublishedCatalog(1, msgspec.json.encode(documents)))


def _added(definitions: Compiled, ids: Sequence[str], tried: Tried) -> Sequence[Added]:
    looked_at = _past(definitions, tried)
    with Console(stderr=True).status(f"folding {looked_at.events:,} events with all segments, and without each"):
        return added(definitions, ids, looked_at)


def _is_referred_to(definitions: Compiled, id_: str) -> bool:
    return any(id_ in segment.closure for segment in definitions.program.order if segment.id != id_)


async def _used(url: str, key: str) -> Used:
    async with Client.connected(url, secret_key=key) as client:
        return used(text_string_to_metric_families(await client.metrics()))


class _Earlier(msgspec.Struct):
    used: Used


def _read(path: Path) -> Used:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Earlier).used
    except msgspec.MsgspecError as error:
        raise Invalid(f"expected what `segue cost --json` printed: {error}", str(path)) from None


def _past(definitions: Compiled, tried: Tried) -> Past:
    end = time.time_ns() // 1_000_000
    if tried.log is not None:
        found = _recorded(definitions, tried.log, tried, end)
        end = max((each.at for deliveries in found.values() for each in deliveries), default=end)
    elif tried.data is not None:
        found = asyncio.run(_archived(tried.data))
    return past(found, end, tried.days, tried.sample)


async def _archived(data: Path) -> Histories:
    found: defaultdict[ProfileRef, list[Delivery]] = defaultdict(list)
    archive = ArchiveFile.open(data)
    try:
        async for message in archive.read(EVENTS):
            if message.type == EVENTS_RECEIVED:
                received = msgspec.json.decode(message.data, type=EventsReceived)
                found[received.profile].append(Delivery(message.id, received.events))
    finally:
        await archive.close()
    return found


def _recorded(definitions: Compiled, log: Path, tried: Tried, now: int) -> Histories:
    settings, consent = definitions.catalog.settings, definitions.catalog.consent
    with reading(log, tried.format_name, Dirt()) as calls:
        found = histories(calls, now, settings.max_age, Counter(), consent)
    return {profile: [*_deliveries(events, tried.together)] for profile, events in found.items()}


def _deliveries(events: Sequence[Event], together: int) -> Iterable[Delivery]:
    for start in range(0, len(events), together):
        visit = tuple(events[start : start + together])
        yield Delivery(visit[0].message_id, visit)
