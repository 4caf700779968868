"""What Google's adapters make of a Firestore or Pub/Sub that stands still, and of one that has lost everything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator.google_emulators import Emulator, GoogleEmulators
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.domain.errors import Conflict, Unavailable
from segue.ports import ABSENT, Message, Write
from tests.contracts.conftest import TOPIC, TOPOLOGY, UNHURRIED_S
from tests.contracts.receiver import receiving
from tests.emulators import stopped

pytestmark = pytest.mark.google

PATH = "states/a"
MESSAGE = Message(id="1", type="segue.test", source="//segue/tests", time=0, data=b"{}")
HANGS_S = 60.0
"""Nothing here takes that long unless it hangs: the deadline of a call to what stands still is a second."""


@pytest.fixture
async def google(emulators: GoogleEmulators, project: str) -> AsyncIterator[GooglePlatform]:
    """For the calls that are to succeed, however busy the machine."""
    platform = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=UNHURRIED_S)
    yield platform
    await platform.close()


@pytest.fixture
async def impatient(emulators: GoogleEmulators, project: str) -> AsyncIterator[GooglePlatform]:
    """For the calls that are not, to the same project."""
    platform = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=1.0)
    yield platform
    await platform.close()


@asynccontextmanager
async def standing_still(emulator: Emulator) -> AsyncIterator[None]:
    with stopped(emulator):
        async with asyncio.timeout(HANGS_S):
            yield


async def test_a_store_that_stands_still_is_unavailable_and_works_again_afterwards(
    google: GooglePlatform, impatient: GooglePlatform, emulators: GoogleEmulators
) -> None:
    await google.store.commit([Write(path=PATH, data=b"before", due=1)])
    async with standing_still(emulators.firestore):
        with pytest.raises(Unavailable):
            await impatient.store.get(PATH)
        with pytest.raises(Unavailable):
            await impatient.store.due("states", 0, 1, 10)
        with pytest.raises(Unavailable):
            [each async for each in impatient.store.scan("states")]
        with pytest.raises(Unavailable):
            await impatient.catalog.current()
    assert await _data(google) == b"before"
    assert await _data(impatient) == b"before"


async def test_a_write_that_met_a_store_standing_still_happened_once_or_not_at_all(
    google: GooglePlatform, impatient: GooglePlatform, emulators: GoogleEmulators
) -> None:
    await google.store.commit([Write(path=PATH, data=b"0")])
    read = await google.store.get(PATH)
    assert read is not None
    async with standing_still(emulators.firestore):
        with pytest.raises(Unavailable):
            await impatient.store.commit([Write(path=PATH, data=b"1", expects=read.version)])
    happened = await _data(google) == b"1"
    try:
        await google.store.commit([Write(path=PATH, data=b"2", expects=read.version)])
    except Conflict:
        happened = True
    assert await _data(google) == (b"1" if happened else b"2")


async def test_a_bus_that_stands_still_is_unavailable_and_works_again_afterwards(
    google: GooglePlatform, impatient: GooglePlatform, emulators: GoogleEmulators, project: str
) -> None:
    async with receiving() as receiver:
        endpoints = admin.Endpoints(functions={"receiver": receiver.url}, archives={})
        await admin.create(project, TOPOLOGY, endpoints, environment=emulators.environment)
        async with standing_still(emulators.pubsub):
            with pytest.raises(Unavailable):
                await impatient.bus.publish(TOPIC, [MESSAGE])
        await google.bus.publish(TOPIC, [MESSAGE])
        await receiver.until_all(["1"])


async def test_nobody_listening_is_unavailable(project: str, unused_tcp_port: int) -> None:
    nowhere = f"127.0.0.1:{unused_tcp_port}"
    environment = {"FIRESTORE_EMULATOR_HOST": nowhere, "PUBSUB_EMULATOR_HOST": nowhere}
    platform = GooglePlatform.open(project, "catalog", environment=environment, deadline_s=1.0)
    with pytest.raises(Unavailable, match=r"^reading from states: ServiceUnavailable"):
        await platform.store.get(PATH)
    with pytest.raises(Unavailable, match=r"^writing to states: ServiceUnavailable"):
        await platform.store.commit([Write(path=PATH, data=b"", expects=ABSENT)])
    with pytest.raises(Unavailable, match=rf"^publishing to {TOPIC}: ServiceUnavailable"):
        await platform.bus.publish(TOPIC, [MESSAGE])
    with pytest.raises(Unavailable, match=r"^creating the topic \S+: ServiceUnavailable"):
        await admin.create(project, TOPOLOGY, admin.Endpoints(functions={}, archives={}), environment=environment)
    await platform.close()


async def _data(platform: GooglePlatform) -> bytes:
    """What the document holds, once the store answers again."""
    async with asyncio.timeout(HANGS_S):
        while True:
            try:
                document = await platform.store.get(PATH)
            except Unavailable:
                continue
            assert document is not None
            return document.data
