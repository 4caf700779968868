"""`segue explain`: why a visitor is in a segment or not, in words."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from emulator.client import Client
from emulator.explained import explained
from emulator.options import KEY, URL, Instant
from segue.domain import rules
from segue.domain.profile import ProfileRef


class Profile(click.ParamType[ProfileRef]):
    """A profile as `user_id:42` or `anonymous_id:…`."""

    name = "profile"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ProfileRef:
        kind, _, identifier = str(value).partition(":")
        if kind == "user_id" and identifier:
            return ProfileRef("user_id", identifier)
        if kind == "anonymous_id" and identifier:
            return ProfileRef("anonymous_id", identifier)
        return self.fail(f"expected user_id:… or anonymous_id:…, found {value!r:.60}", param, ctx)


@click.command()
@click.argument("profile", type=Profile())
@click.argument("segment")
@click.option("--at", type=Instant(), help="Another instant than now: a later one, or with --data any.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of a platform that is not running: its archive names every message.",
)
@URL
@KEY
def explain(
    profile: ProfileRef, segment: str, at: int | None, as_json: bool, data: Path | None, url: str, key: str
) -> None:
    """Why PROFILE (user_id:42, anonymous_id:…) is in SEGMENT or not: what each condition finds, and what is lacking.

    A running platform answers from the profile's state.
    """
    if data is None:
        answer = asyncio.run(_asked(profile, segment, at, url, key))
    else:
        found = asyncio.run(explained(data, profile, segment, at))
        answer = {**msgspec.structs.asdict(found), "words": rules.words(found)}
    click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode() if as_json else "\n".join(answer["words"]))


async def _asked(profile: ProfileRef, segment: str, at: int | None, url: str, key: str) -> Mapping[str, Any]:
    async with Client.connected(url, secret_key=key) as client:
        return msgspec.convert(await client.why(profile, segment, at), dict[str, Any])
