"""Options that several commands have in common."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

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
PLATFORM = click.option(
    "--platform",
    type=click.Choice(["embedded", "google"]),
    envvar="SEGUE_PLATFORM",
    default="embedded",
    show_default=True,
    help="google: a deployment on Google Cloud, by your own credentials.",
)
PROJECT = click.option("--project", envvar="SEGUE_PROJECT", help="The Google Cloud project (google).")
DATABASE = click.option(
    "--database",
    envvar="SEGUE_CATALOG_DATABASE",
    default="catalog",
    show_default=True,
    help="The catalogue's Firestore database (google).",
)


def of_files(context: click.Context, parameter: click.Parameter, folder: Path | None) -> Path | None:
    """As the callback of an option that names an archive of files: where the platform is google, it has to be named,
    lest another archive is looked at than the deployment's."""
    named = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    if folder is not None and not named and os.environ.get("SEGUE_PLATFORM") == "google":
        raise click.UsageError(
            "the archive of a deployment on Google Cloud is in BigQuery, which this command cannot look at yet; "
            "--data names a folder with an archive of files"
        )
    return folder


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment on Google Cloud. Its archive is the dataset in BigQuery, or in the folder `data`, as that of the
    emulators is."""

    project: str
    catalog_database: str
    dataset: str = ""
    data: Path | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an operator's command does its work: a deployment, else the folder of a platform that is not running, else
    the address of one that is."""

    url: str
    key: str
    data: Path | None
    deployment: Deployment | None


def deployment(
    platform: str, project: str | None, database: str, dataset: str = "", data: Path | None = None
) -> Deployment | None:
    """The deployment that the options name; None: the platform is not google."""
    if platform != "google":
        return None
    if not project:
        raise click.UsageError("--platform google needs --project, or SEGUE_PROJECT")
    return Deployment(project=project, catalog_database=database, dataset=dataset, data=data)


def place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where it does its work, as the one parameter `place`."""

    @wraps(command)
    def placed(
        *,
        platform: str,
        project: str | None,
        database: str,
        dataset: str,
        data: Path | None,
        url: str,
        key: str,
        **others: Any,
    ) -> None:
        found = deployment(platform, project, database, dataset, data)
        command(place=Place(url=url, key=key, data=data, deployment=found), **others)

    for option in (KEY, URL, _FOLDER, _DATASET, DATABASE, PROJECT, PLATFORM):
        placed = option(placed)
    return placed


_FOLDER = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of a platform that is not running, instead of an address; of the emulators' archive (google).",
)
_DATASET = click.option(
    "--dataset",
    envvar="SEGUE_ARCHIVE_DATASET",
    default="archive",
    show_default=True,
    help="The archive's BigQuery dataset (google).",
)
