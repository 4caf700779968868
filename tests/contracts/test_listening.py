"""What listening to a topic promises, on every platform."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from emulator.google_emulators import GoogleEmulators
from segue.adapters.google import admin
from segue.adapters.google.connection import close, subscriber_client
from segue.adapters.google.platform import GooglePlatform
from segue.domain.errors import Unavailable
from segue.ports import Bus, Message
from tests.contracts.conftest import TOPIC, TOPOLOGY, Platform
from tests.contracts.receiver import Receiver
from tests.contracts.test_bus import message

HEARD_WITHIN_S = 30.0


class Ear:
    """What one listener has heard."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self._more = asyncio.Event()

    def hear(self, heard: Message) -> None:
        self.heard.append(heard)
        self._more.set()

    async def until(self, *ids: str) -> None:
        """Return once all of these were heard."""
        async with asyncio.timeout(HEARD_WITHIN_S):
            while not {*ids} <= {each.id for each in self.heard}:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def listening(bus: Bus, name: str, topic: str = TOPIC) -> AsyncIterator[Ear]:
    """A listener for as long as the block runs; it has begun when the block does."""
    ear, begun = Ear(), asyncio.Event()
    listening = asyncio.create_task(bus.listen(topic, name, begun.set, ear.hear))
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([listening, waiting], return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        waiting.cancel()
        listening.result()
    yield ear
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_what_is_published_from_now_on_is_heard_as_it_was_published(
    platform: Platform, receiver: Receiver
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = msgspec.structs.replace(message("3f2a:7", '{"name": "blåbær 🫐"}'.encode()), trace=trace)
    async with listening(platform.bus, "listener-1") as ear:
        await platform.bus.publish(TOPIC, [sent])
        await ear.until(sent.id)
    assert ear.heard[0] == sent
    await receiver.until_all([sent.id])


async def test_what_was_published_before_is_not_heard(platform: Platform, receiver: Receiver) -> None:
    await platform.bus.publish(TOPIC, [message("before")])
    await receiver.until_all(["before"])
    async with listening(platform.bus, "listener-1") as ear:
        await platform.bus.publish(TOPIC, [message("after")])
        await ear.until("after")
    assert {each.id for each in ear.heard} == {"after"}


async def test_every_listener_hears_everything_and_takes_nothing_from_the_subscribers(
    platform: Platform, receiver: Receiver
) -> None:
    ids = [f"message-{number}" for number in range(50)]
    async with listening(platform.bus, "listener-1") as one, listening(platform.bus, "listener-2") as two:
        await platform.bus.publish(TOPIC, [message(each) for each in ids])
        await one.until(*ids)
        await two.until(*ids)
    await receiver.until_all(ids)


async def test_who_has_stopped_and_begins_anew_hears_nothing_of_the_time_between(
    platform: Platform, receiver: Receiver
) -> None:
    async with listening(platform.bus, "listener-1"):
        pass
    await platform.bus.publish(TOPIC, [message("between")])
    await receiver.until_all(["between"])
    async with listening(platform.bus, "listener-1") as ear:
        await platform.bus.publish(TOPIC, [message("after")])
        await ear.until("after")
    assert {each.id for each in ear.heard} == {"after"}


async def test_what_is_published_to_another_topic_is_not_heard(platform: Platform, receiver: Receiver) -> None:
    async with listening(platform.bus, "listener-1", "dead-letters") as ear:
        await platform.bus.publish(TOPIC, [message("elsewhere")])
        await receiver.until_all(["elsewhere"])
    assert ear.heard == []


@pytest.mark.google
@pytest.mark.parametrize("platform", ["google"], indirect=True)
async def test_listening_to_a_topic_that_is_not_there_is_worth_another_try(platform: Platform) -> None:
    with pytest.raises(Unavailable):
        async with listening(platform.bus, "listener-1", "no-such-topic"):
            pass


@pytest.mark.google
async def test_who_listens_hears_of_it_when_their_subscription_is_taken_away(
    emulators: GoogleEmulators, project: str
) -> None:
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment)
    endpoints = admin.Endpoints(functions={"receiver": "http://127.0.0.1:1/"}, archives={})
    await admin.create(project, TOPOLOGY, endpoints, environment=emulators.environment)
    begun = asyncio.Event()
    listener = asyncio.create_task(google.bus.listen(TOPIC, "listener-1", begun.set, Ear().hear))
    await begun.wait()
    subscriber = subscriber_client(emulators.environment["PUBSUB_EMULATOR_HOST"])
    await subscriber.delete_subscription(subscription=f"projects/{project}/subscriptions/listener-1")
    with pytest.raises(Unavailable):
        await asyncio.wait_for(listener, HEARD_WITHIN_S)
    await close(subscriber)
    await google.close()
