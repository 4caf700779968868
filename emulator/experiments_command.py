"""`segue experiments`: how many visitors saw each arm, and whether these are the numbers that were drawn."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Column, Table

from emulator import catalog as folders
from emulator.experiments import Exposures, Report, exposures, reports
from emulator.options import of_files
from emulator.tables import show
from segue.adapters.embedded.catalog import CatalogFile
from segue.domain import catalog, edition
from segue.domain.experiment import Experiment


@click.command()
@click.argument("experiment", required=False)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="SEGUE_DATA",
    callback=of_files,
    default=Path(".segue"),
    show_default=True,
    help="The data folder whose archive is looked at, whether Segue runs there or not.",
)
@click.option(
    "--catalog",
    "catalog_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The definitions to go by; by default those published in the data folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON lines.")
def experiments(experiment: str | None, data: Path, catalog_folder: Path | None, as_json: bool) -> None:
    """The visitors who saw each arm of EXPERIMENT, or of all: those who were told of by `Experiment Viewed`.

    A visitor counts once, with the arm they saw first. `p` is how likely chance alone gives numbers that are as far
    from the arms' weights (chi-squared). A warning says where that is below 0.001: then some visitors of an arm are
    lost, or counted too often, and its figures compare nothing.
    """
    definitions = asyncio.run(_defined(data, catalog_folder))
    found = asyncio.run(exposures(data))
    told = reports(definitions, found, experiment)
    if as_json:
        for report in told:
            click.echo(msgspec.json.encode(report))
    else:
        show(_table(told), "the catalogue has no experiments")
    for warning in [*_warnings(told), *(_unknown(definitions, found) if experiment is None else ())]:
        click.echo(f"Warning: {warning}", err=True)


async def _defined(data: Path, folder: Path | None) -> Mapping[str, Experiment]:
    """The experiments of a folder, or of the catalogue that was published last."""
    if folder is not None:
        return catalog.parse(msgspec.json.decode(folders.load(folder))).experiments
    opened = CatalogFile.open(data)
    try:
        published = await opened.current()
    finally:
        await opened.close()
    return catalog.parse(edition.read(published.data).definitions).experiments if published else {}


def _table(told: Sequence[Report]) -> Table:
    table = Table(Column("experiment", no_wrap=True), "status", "arm", *(
        Column(name, justify="right") for name in ("visitors", "expected", "p")
    ))  # fmt: skip
    for report in told:
        p = "too few" if report.p is None else f"{report.p:.3g}"
        for index, arm in enumerate(report.arms):
            first = (report.id, report.status) if index == 0 else ("", "")
            expected = f"{arm.expected:,.1f}"
            table.add_row(*first, arm.id, f"{arm.exposures:,}", expected, p if index == 0 else "")
    return table


def _warnings(told: Sequence[Report]) -> Iterator[str]:
    for report in told:
        if report.is_suspicious:
            yield f"{report.id}: the arms do not have their shares (p = {report.p:.2g}); find out why before going on"
        if report.unknown:
            yield f"{report.id}: {_seen(report.unknown)}, which the experiment does not have"


def _unknown(definitions: Mapping[str, Experiment], found: Exposures) -> Iterator[str]:
    unknown = {id_: sum(seen.values()) for id_, seen in found.items() if id_ not in definitions}
    if unknown:
        yield f"{_seen(unknown)}, which the catalogue does not have"


def _seen(unknown: Mapping[str, int]) -> str:
    """How many visitors, and an example of what they saw: anybody can send any number of names."""
    example = max(unknown, key=lambda name: unknown[name])
    others = f" or {len(unknown) - 1:,} others" if len(unknown) > 1 else ""
    return f"{sum(unknown.values()):,} visitors are said to have seen {example!r:.80}{others}"
