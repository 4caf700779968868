"""`segue trace`: one event's way through a running platform."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import click
import msgspec

from emulator.client import DEMO_WRITE_KEY, Client
from emulator.options import KEY, URL
from emulator.trace_tree import Span, tree
from segue.domain.errors import NotFound

QUIET_S, PATIENCE_S = 1.5, 30.0
"""An event has come to its end when so long nothing more was heard of it; how long that may take."""

POLL_S = 0.1


class Properties(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            return msgspec.json.decode(value, type=dict[str, Any])
        except msgspec.DecodeError:
            return self.fail(f"expected a JSON object, found {value!r:.60}", param, ctx)


@click.command()
@click.argument("message_id", required=False)
@click.option("--event", default="Page Viewed", show_default=True, help="What to send, without MESSAGE_ID.")
@click.option("--properties", type=Properties(), default="{}", show_default=True, help="Of the event that is sent.")
@click.option("--json", "as_json", is_flag=True, help="The spans, as JSON.")
@URL
@KEY
@click.option(
    "--write-key", envvar="SEGUE_WRITE_KEY", default=DEMO_WRITE_KEY, show_default=True, help="Of what is sent."
)
def trace(
    message_id: str | None,
    event: str,
    properties: dict[str, Any],
    as_json: bool,
    url: str,
    key: str,
    write_key: str,
) -> None:
    """The way of the event MESSAGE_ID through all functions of `segue run --trace`: what led to what, when it began and
    how long it took, stores and topics included.

    Without MESSAGE_ID an event of a new visitor is sent, and followed to its end.
    """
    spans = asyncio.run(_followed(message_id, event, properties, url, key, write_key))
    click.echo(msgspec.json.format(msgspec.json.encode(spans)).decode() if as_json else "\n".join(tree(spans)))


async def _followed(
    message_id: str | None, event: str, properties: dict[str, Any], url: str, key: str, write_key: str
) -> Sequence[Span]:
    async with Client.connected(url, write_key, key) as client:
        if message_id is not None:
            return await _known(client, message_id)
        await client.trace("")  # before anything is sent: are traces kept at all?
        sent = f"trace-{token_hex(8)}"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        visitor = {"anonymousId": sent, "messageId": sent, "timestamp": now}
        await client.call({"type": "track", "event": event, "properties": properties, **visitor})
        return await _whole(client, sent)


async def _known(client: Client, message_id: str) -> Sequence[Span]:
    spans = await client.trace(message_id)
    if not spans:
        raise NotFound(f"no trace that is kept has the event {message_id!r:.60}; only the newest are")
    return spans


async def _whole(client: Client, message_id: str) -> Sequence[Span]:
    """The spans once nothing more comes, or none has come for far too long."""
    spans: Sequence[Span] = ()
    began = heard = time.monotonic()
    while time.monotonic() - heard < (QUIET_S if spans else PATIENCE_S) and time.monotonic() - began < PATIENCE_S:
        found = await client.trace(message_id)
        if len(found) > len(spans):
            spans, heard = found, time.monotonic()
        await asyncio.sleep(POLL_S)
    return spans or await _known(client, message_id)
