"""A cart is left, and half an hour later there is one e-mail: from the event to the mail server, over real HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulator.client import Client
from segue.domain.event import Json
from tests.emulator.test_recovery_email import Mailbox, delivering
from tests.journeys.killed import free_port
from tests.journeys.running import ROOT, running

pytestmark = pytest.mark.slow

SECRET = "a secret that signs"  # noqa: S105 (of this test alone)
CUSTOMERS = {name: {"email": f"{name}@example.com", "name": name, "cart": ["Marlow dress"]} for name in ("ada", "ben")}


@contextmanager
def receiving(folder: Path, port: int, mailbox: Mailbox) -> Iterator[None]:
    """The example in a process of its own."""
    customers = folder / "customers.json"
    customers.write_text(json.dumps(CUSTOMERS))
    command = [sys.executable, "-m", "emulator.recovery_email", str(customers), "--port", str(port)]
    options = ["--smtp", f"127.0.0.1:{mailbox.port}", "--sent", str(folder / "sent.db")]
    environment = {**os.environ, "RECOVERY_SECRET": SECRET}
    with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as process:
        try:
            yield
        finally:
            process.terminate()


def happened(event: str, user: str, minutes_ago: int) -> dict[str, Json]:
    when = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"type": "track", "event": event, "userId": user, "timestamp": when.isoformat()}


async def test_who_leaves_a_cart_gets_one_e_mail_and_who_orders_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, definitions = free_port(), tmp_path / "catalog"
    definitions.mkdir()
    for file in (ROOT / "infra" / "catalog").glob("*.yaml"):
        (definitions / file.name).write_bytes(file.read_bytes())
    webhook = {"url": f"http://127.0.0.1:{port}/segue", "secret": "mail"}
    destinations = {"destinations": {"mail": {"webhook": webhook, "segments": ["cart-abandoner"]}}}
    (definitions / "destinations.yaml").write_text(json.dumps(destinations))
    monkeypatch.setenv("SEGUE_WEBHOOK_SECRETS", json.dumps({"mail": SECRET}))
    with delivering() as mailbox, running(tmp_path / "data", "--catalog", str(definitions)) as url:
        async with Client.connected(url) as client:
            await client.call(happened("Product Added", "ada", 31))
            await client.batch([happened("Product Added", "ben", 32), happened("Order Completed", "ben", 31)])
            await asyncio.sleep(2)  # nobody listens at first: it is tried again
            with receiving(tmp_path, port, mailbox):
                for _ in range(300):
                    if mailbox.received:
                        break
                    await asyncio.sleep(0.1)
                assert mailbox.received
                await client.call(happened("Product Viewed", "ada", 0))
                await client.settle()
    (message,) = mailbox.received
    assert message["To"] == "ada <ada@example.com>"
