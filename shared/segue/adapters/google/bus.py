"""Topics in Pub/Sub: each message in the CloudEvents binding, published at once, its attributes the event's context.

A push subscription that unwraps the payload and writes the metadata (`admin.py`) turns the attributes into headers, so
that a function receives a plain binary-mode CloudEvent. Who listens has a subscription of its own for as long.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from google.pubsub_v1 import PublisherAsyncClient, PublishRequest, PubsubMessage, SubscriberAsyncClient

from segue.adapters.google.connection import DEADLINE_S, meaning
from segue.adapters.google.listening import listening
from segue.domain.errors import TooLarge
from segue.ports import Message

# Pub/Sub takes 1,000 messages and 10 MB a request; the rest of the 10 MB is for attributes and framing.
_MOST_MESSAGES, _MOST_BYTES = 1_000, 9_000_000

MAX_BYTES = 10_000_000
"""The most that Pub/Sub takes in one message."""

_Request, _Message = PublishRequest.pb(), PubsubMessage.pb()


class PubsubBus:
    """`ports.Bus` on Pub/Sub. Every call ends within `deadline_s`, none is repeated by itself, and nothing waits for
    more messages to come. Message ordering is off."""

    def __init__(
        self,
        client: PublisherAsyncClient,
        subscriber: SubscriberAsyncClient,
        project: str,
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._client = client
        self._subscriber = subscriber
        self._project = f"projects/{project}"
        self._topics = f"projects/{project}/topics"
        self._call: dict[str, Any] = {"retry": None, "timeout": deadline_s}

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Raises Unavailable if there is no such topic: the messages are good once somebody creates it."""
        for message in messages:
            if len(message.data) > MAX_BYTES:
                raise TooLarge(f"message {message.id}: expected at most {MAX_BYTES} bytes, found {len(message.data)}")
        with meaning(f"publishing to {topic}"):
            await asyncio.gather(*(self._publish(topic, part) for part in _parts(messages)))

    async def listen(self, topic: str, name: str, begun: Callable[[], None], hear: Callable[[Message], None]) -> None:
        """Raises Unavailable, too, if the topic is not there or the subscription was taken away."""
        subscription = f"{self._project}/subscriptions/{name}"
        async with listening(self._subscriber, f"{self._topics}/{topic}", subscription) as pulled:
            begun()
            async for message in pulled:
                hear(message)

    async def _publish(self, topic: str, messages: Sequence[Message]) -> None:
        request = _Request(topic=f"{self._topics}/{topic}", messages=[_bound(message) for message in messages])
        await self._client.publish(PublishRequest.wrap(request), **self._call)


def _parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """The messages in as few requests as Pub/Sub's limits allow; a message that is too large alone goes alone."""
    start = size = 0
    for index, message in enumerate(messages):
        size += len(message.data)
        if index > start and (size > _MOST_BYTES or index - start == _MOST_MESSAGES):
            yield messages[start:index]
            start, size = index, len(message.data)
    if messages:
        yield messages[start:]


def _bound(message: Message) -> Any:
    time = datetime.fromtimestamp(message.time / 1000, UTC)
    attributes = {
        "ce-id": message.id,
        "ce-type": message.type,
        "ce-source": message.source,
        "ce-specversion": "1.0",
        "ce-time": time.isoformat(timespec="milliseconds"),
        "content-type": "application/json",
    }
    if message.trace:
        attributes["ce-traceparent"] = message.trace
    return _Message(data=message.data, attributes=attributes)
