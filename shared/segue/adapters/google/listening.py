"""A subscription of Pub/Sub's that one process has for itself, from now until it ends: what it misses, nobody keeps.

It is deleted in the end. Of a process that was killed it expires by itself, a day later at most.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from google.api_core import exceptions
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # it has no stubs
from google.pubsub_v1 import (
    ExpirationPolicy,
    StreamingPullRequest,
    SubscriberAsyncClient,
    Subscription,
)

from segue import tracing
from segue.adapters.google.connection import meaning
from segue.domain.errors import SegueError, Unavailable
from segue.domain.time import instant
from segue.ports import Message

ACK_DEADLINE_S = 10
"""Pub/Sub's shortest, as are the next two."""

RETENTION_S = 600
EXPIRY_S = 86_400

CALL_S, GOODBYE_S = 30.0, 3.0
PAUSE_S = 1.0

_GONE = (exceptions.NotFound, exceptions.PermissionDenied, exceptions.InvalidArgument)
"""What a pull that is tried again does not mend."""


@asynccontextmanager
async def listening(client: SubscriberAsyncClient, topic: str, name: str) -> AsyncIterator[AsyncIterator[Message]]:
    """What is published from now on. Raises Unavailable where the subscription cannot be made, or is there no more."""
    await _create(client, topic, name)
    try:
        yield _pulled(client, name)
    finally:
        with suppress(SegueError), meaning(f"deleting the subscription {name}"):
            await client.delete_subscription(subscription=name, retry=None, timeout=GOODBYE_S)


async def _create(client: SubscriberAsyncClient, topic: str, name: str) -> None:
    wanted = Subscription(
        name=name,
        topic=topic,
        ack_deadline_seconds=ACK_DEADLINE_S,
        message_retention_duration=Duration(seconds=RETENTION_S),
        expiration_policy=ExpirationPolicy(ttl=Duration(seconds=EXPIRY_S)),
    )
    with meaning(f"creating the subscription {name}", {}), suppress(exceptions.AlreadyExists):
        await client.create_subscription(wanted, retry=None, timeout=CALL_S)


async def _pulled(client: SubscriberAsyncClient, name: str) -> AsyncIterator[Message]:
    """Every message, over as many streams as it takes: Pub/Sub ends each after a while, and keeps what comes."""
    while True:
        done: asyncio.Queue[list[str]] = asyncio.Queue()
        try:
            answers = await client.streaming_pull(requests=_asked(name, done), retry=None, timeout=None)
            async for answer in answers:
                done.put_nowait([each.ack_id for each in answer.received_messages])
                for each in answer.received_messages:
                    if message := _message(each.message):
                        yield message
        except _GONE as error:
            raise Unavailable(f"pulling from {name}: {error}") from error
        except exceptions.GoogleAPIError:
            await asyncio.sleep(PAUSE_S)


async def _asked(name: str, done: "asyncio.Queue[list[str]]") -> AsyncIterator[StreamingPullRequest]:
    yield StreamingPullRequest(subscription=name, stream_ack_deadline_seconds=ACK_DEADLINE_S)
    while True:
        yield StreamingPullRequest(ack_ids=await done.get())


def _message(pulled: Any) -> Message | None:
    """The CloudEvent of the attributes; None for what somebody else put into the topic."""
    found = pulled.attributes
    time = instant(found.get("ce-time", ""))
    if time is None:
        return None
    return Message(
        id=found.get("ce-id", ""),
        type=found.get("ce-type", ""),
        source=found.get("ce-source", ""),
        time=time,
        data=pulled.data,
        trace=tracing.traceparent(found.get("ce-traceparent", "")),
    )
