"""The platforms that the contract suite runs on, each new and empty for every test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from emulator.functions import push
from emulator.google_emulators import GoogleEmulators
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.adapters.system import SystemClock
from segue.ports import Bus, Catalog, Message, Store
from tests.contracts.receiver import Receiver, receiving

TOPIC = "contract"
TOPOLOGY: Mapping[str, Any] = {
    "topics": [TOPIC, "dead-letters"],
    "push": {
        "ack_deadline": "60s",
        "retention": "24h",
        "dead_letter": {"topic": "dead-letters", "after_attempts": 100},
    },
    "subscriptions": {"contract-receiver": {"topic": TOPIC, "function": "receiver"}},
}

UNHURRIED_S = 60.0
"""How long a call may take where its deadline is not what is tested: the emulators share a busy machine."""

PLATFORMS = ["embedded", pytest.param("google", marks=pytest.mark.google)]


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform has to keep its promises with. `subscribe` pushes the topic `contract` to a receiver."""

    store: Store
    bus: Bus
    catalog: Catalog
    subscribe: Callable[[Receiver], Awaitable[None]]


@pytest.fixture(params=PLATFORMS)
async def platform(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Platform]:
    async with _embedded(tmp_path) if request.param == "embedded" else _google(request) as platform:
        yield platform


@pytest.fixture
async def receiver(platform: Platform) -> AsyncIterator[Receiver]:
    """The subscriber of the topic `contract`."""
    async with receiving() as receiver:
        await platform.subscribe(receiver)
        yield receiver


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Platform]:
    subscriptions = [Subscription(name="contract-receiver", topic=TOPIC, backoff_s=0.1, longest_backoff_s=1.0)]
    embedded = EmbeddedPlatform.open(folder, SystemClock(), subscriptions)

    async def subscribe(receiver: Receiver) -> None:
        async def deliver(_: Subscription, message: Message, published_at: int) -> int:
            return await push(receiver.app, message, published_at)

        await embedded.push_to(deliver)

    yield Platform(store=embedded.store, bus=embedded.bus, catalog=embedded.catalog, subscribe=subscribe)
    await embedded.close()


@asynccontextmanager
async def _google(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    emulators: GoogleEmulators = request.getfixturevalue("emulators")
    project: str = request.getfixturevalue("project")
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)

    async def subscribe(receiver: Receiver) -> None:
        endpoints = admin.Endpoints(functions={"receiver": receiver.url}, archives={})
        await admin.create(project, TOPOLOGY, endpoints, environment=emulators.environment)

    yield Platform(store=google.store, bus=google.bus, catalog=google.catalog, subscribe=subscribe)
    await google.close()
