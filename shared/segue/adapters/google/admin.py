"""Creates the topology's topics and push subscriptions; again after the emulator was restarted, as it keeps none.

In the cloud Terraform creates them from the same file, with the archives as BigQuery subscriptions and with the retry
policy. That is left out here: the emulator tries again after a second of its own accord, and with a policy (1 to 1 s,
2 to 2 s and 1 to 60 s were tried) it forgets messages that are refused together, 40 of 40 in three rounds of refusals.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from google.api_core.exceptions import AlreadyExists
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # it has no stubs
from google.protobuf.field_mask_pb2 import FieldMask  # type: ignore[import-untyped]  # it has no stubs
from google.pubsub_v1 import (
    DeadLetterPolicy,
    PushConfig,
    Subscription,
    Topic,
    UpdateSubscriptionRequest,
)

from segue.adapters.google.connection import close, meaning, publisher_client, subscriber_client
from segue.domain.time import duration

_DEADLINE_S = 30.0
_CHANGEABLE = [
    "push_config",
    "ack_deadline_seconds",
    "dead_letter_policy",
    "message_retention_duration",
]


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where subscriptions push to: an address for each function and each archive of the topology, by its name.

    A subscription of an archive without an address is left out: somebody else reads the topic.
    """

    functions: Mapping[str, str]
    archives: Mapping[str, str]


async def create(
    project: str,
    topology: Mapping[str, Any],
    endpoints: Endpoints,
    destinations: Sequence[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Create what is missing, and bring what is there up to date. `topology` is the content of `infra/topology.yaml`.

    `PUBSUB_EMULATOR_HOST` in the environment leads to the emulator. Raises Unavailable if it does not answer.
    """
    emulator = environment.get("PUBSUB_EMULATOR_HOST")
    async with _Project(project, emulator) as target:
        for topic in _topics(topology, destinations):
            await target.create_topic(topic)
        for name, subscription in _subscriptions(topology, destinations):
            endpoint = _endpoint(subscription, endpoints)
            if endpoint:
                await target.create_subscription(name, {**topology["push"], **subscription}, endpoint)


class _Project:
    def __init__(self, project: str, emulator: str | None) -> None:
        self._publisher = publisher_client(emulator)
        self._subscriber = subscriber_client(emulator)
        self._project = f"projects/{project}"

    async def __aenter__(self) -> "_Project":
        return self

    async def __aexit__(self, *_: object) -> None:
        await close(self._publisher)
        await close(self._subscriber)

    async def create_topic(self, name: str) -> None:
        with meaning(f"creating the topic {name}"):
            try:
                topic = Topic(name=self._topic(name))
                await self._publisher.create_topic(topic, retry=None, timeout=_DEADLINE_S)
            except AlreadyExists:
                return

    async def create_subscription(self, name: str, wanted: Mapping[str, Any], endpoint: str) -> None:
        subscription = Subscription(
            name=f"{self._project}/subscriptions/{name}",
            topic=self._topic(wanted["topic"]),
            push_config=_unwrapped(endpoint),
            ack_deadline_seconds=duration(wanted["ack_deadline"]) // 1000,
            message_retention_duration=_duration(wanted["retention"]),
            dead_letter_policy=DeadLetterPolicy(
                dead_letter_topic=self._topic(wanted["dead_letter"]["topic"]),
                max_delivery_attempts=wanted["dead_letter"]["after_attempts"],
            ),
        )
        with meaning(f"creating the subscription {name}"):
            try:
                await self._subscriber.create_subscription(subscription, retry=None, timeout=_DEADLINE_S)
            except AlreadyExists:
                update = UpdateSubscriptionRequest(subscription=subscription, update_mask=FieldMask(paths=_CHANGEABLE))
                await self._subscriber.update_subscription(update, retry=None, timeout=_DEADLINE_S)

    def _topic(self, name: str) -> str:
        return f"{self._project}/topics/{name}"


def _topics(topology: Mapping[str, Any], destinations: Sequence[str]) -> Iterator[str]:
    yield from topology["topics"]
    for destination in destinations:
        for name in topology["destinations"]["topics"]:
            yield name.format(destination=destination)


def _subscriptions(topology: Mapping[str, Any], destinations: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from topology["subscriptions"].items()
    for destination in destinations:
        for name, subscription in topology["destinations"]["subscriptions"].items():
            topic = subscription["topic"].format(destination=destination)
            yield name.format(destination=destination), {**subscription, "topic": topic}


def _endpoint(subscription: Mapping[str, Any], endpoints: Endpoints) -> str | None:
    if "archive" in subscription:
        return endpoints.archives.get(subscription["archive"])
    return endpoints.functions[subscription["function"]]


def _unwrapped(endpoint: str) -> PushConfig:
    return PushConfig(push_endpoint=endpoint, no_wrapper=PushConfig.NoWrapper(write_metadata=True))


def _duration(text: str) -> Any:
    return Duration(seconds=duration(text) // 1000)
