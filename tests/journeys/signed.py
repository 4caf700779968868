"""Segue on Google's emulators, with tokens for its functions that only their own signer could have signed.

`python -m tests.journeys.signed` takes the options that `segue run --platform google` has, and tells `run.json` in the
data folder what the test has to know, as a `Run`.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from emulator.google_host import run_google
from emulator.signing import Signer
from emulator.topology import audiences
from tests.functions.push_tokens import refused, token


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A function that is pushed to: its own address, and Authorization headers that it has to let in and to refuse."""

    url: str
    right: str
    refused: Mapping[str, str | None]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The functions that are pushed to, by name, and what leads Google's clients to the emulators."""

    functions: Mapping[str, Pushed]
    environment: Mapping[str, str]


def run_of(signer: Signer, functions: Mapping[str, str]) -> Run:
    others = dict(zip(functions, [*list(functions)[1:], next(iter(functions))], strict=True))
    pushed = {
        name: Pushed(
            url=url,
            right=f"Bearer {token(signer, audiences()[name])}",
            refused=refused(signer, audiences()[name], another=audiences()[others[name]]),
        )
        for name, url in functions.items()
    }
    environment = {name: value for name, value in os.environ.items() if name.endswith("_EMULATOR_HOST")}
    return Run(functions=pushed, environment=environment)


@click.command()
@click.option("--port", type=int)
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--catalog", type=click.Path(path_type=Path))
def main(port: int, data: Path, catalog: Path) -> None:
    signer = Signer("signed")

    def told(functions: Mapping[str, str]) -> Mapping[str, str]:
        (data / "run.json").write_bytes(msgspec.json.encode(run_of(signer, functions)))
        return functions

    run_google(port, data, catalog, lambda url: click.echo(f"Signed answers at {url}"), pushed_to=told, signer=signer)


if __name__ == "__main__":
    sys.exit(main())
