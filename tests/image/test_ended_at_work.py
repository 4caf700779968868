"""A function that is told to end in the middle of its work has done all that it acknowledged."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator import catalog
from emulator.google_emulators import GoogleEmulators
from emulator.server import HOST
from emulator.topology import topology
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.domain.document import decode_state, state_path
from segue.domain.event import Event
from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIPS, EventsReceived, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from tests.contracts.receiver import Receiver, receiving
from tests.image.assembled import Image
from tests.image.cloud_run import ENDED_WITHIN_S, on_the_emulators, settings, started
from tests.project.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.google]

ENOUGH = 100
"""Acknowledged messages, after which the function is told to end."""

AT_ONCE = 32
SECRET = settings("evaluate")["SEGUE_PROFILE_SECRET"].encode()
VISITORS = {
    profile_key(SECRET, visitor): visitor
    for visitor in (ProfileRef("anonymous_id", f"visitor-{number}") for number in range(400))
}


def body(key: str) -> bytes:
    """A message with one visitor's order."""
    now = time.time_ns() // 1_000_000
    event = Event(
        message_id=f"order-{key}",
        name="Order Completed",
        occurred_at=now,
        received_at=now,
        properties={"revenue": 250},
    )
    return msgspec.json.encode(EventsReceived(key=key, profile=VISITORS[key], source="shop", events=(event,)))


class Pushing:
    """Pushes a message of each visitor, as a subscription does, and knows whose were acknowledged."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}/"
        self._waiting: Iterator[str] = iter(VISITORS)
        self.acknowledged: set[str] = set()
        self.enough = asyncio.Event()

    async def all(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http, asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._some(http))

    async def _some(self, http: httpx.AsyncClient) -> None:
        for key in self._waiting:
            headers = {
                "ce-id": f"message-{key}",
                "ce-type": EVENTS_RECEIVED,
                "ce-source": "//segue/tests",
                "ce-specversion": "1.0",
                "ce-time": "2024-05-10T12:00:00Z",
                "content-type": "application/json",
            }
            try:
                answer = await http.post(self._url, content=body(key), headers=headers)
            except httpx.TransportError:
                continue
            if answer.is_success:
                self.acknowledged.add(key)
            if len(self.acknowledged) >= ENOUGH:
                self.enough.set()


def told_of(receiver: Receiver) -> set[str]:
    """The profiles whose memberships were announced."""
    return {msgspec.json.decode(pushed.body, type=MembershipChanged).key for pushed in receiver.pushed}


async def test_what_evaluate_has_acknowledged_is_stored_and_announced_though_it_is_told_to_end_meanwhile(
    image: Image, emulators: GoogleEmulators, project: str, tmp_path: Path
) -> None:
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=60.0)
    await google.catalog.publish(catalog.load(ROOT / "infra" / "catalog"))
    wanted = {**topology(), "subscriptions": {"there": {"topic": MEMBERSHIPS, "function": "there"}}}
    environment = on_the_emulators(emulators.environment, project, tmp_path)
    async with receiving() as receiver:
        endpoints = admin.Endpoints(functions={"there": receiver.url}, archives={})
        await admin.create(project, wanted, endpoints, environment=emulators.environment)
        with started(image, "evaluate", tmp_path, environment) as first:
            await asyncio.to_thread(first.until_healthy)
            pushing = Pushing(first.port)
            work = asyncio.create_task(pushing.all())
            await pushing.enough.wait()
            first.process.terminate()
            assert await asyncio.to_thread(first.process.wait, ENDED_WITHIN_S) == 0
            await work
        assert ENOUGH <= len(pushing.acknowledged) < len(VISITORS)
        for key in pushing.acknowledged:
            stored = await google.store.get(state_path(key))
            assert stored
            assert decode_state(stored.data).rev >= 1
        await receiver.until(lambda _: pushing.acknowledged <= told_of(receiver))
        with started(image, "evaluate", tmp_path, environment) as second:
            await asyncio.to_thread(second.until_healthy)
            again = Pushing(second.port)
            await again.all()
        assert again.acknowledged == set(VISITORS)
        await receiver.until(lambda _: told_of(receiver) == set(VISITORS))
    await google.close()
