"""`failed_events`: what can never succeed as it is, kept with its reason until somebody replays it."""

import hashlib

import msgspec

from segue import telemetry
from segue.domain.document import FAILED_EVENTS
from segue.domain.message import FailedMessage
from segue.ports import Message, Ports, Write

LARGEST_DOCUMENT = 1_000_000
"""Bytes, below what the stores take. The body of a larger message is kept in part, and its reason says so."""

KEPT_IN_PART = 100_000
"""Characters: at six bytes each, for an escaped control character, they still fit."""


async def record(ports: Ports, function: str, topic: str, message: Message, reason: str) -> None:
    """Keep a message that `function` gave up, replayable through `topic`; once, however often it is recorded.

    Raises Unavailable if the store does, so that the message comes back rather than be lost.
    """
    failed = FailedMessage(
        stage=function,
        reason=reason,
        failed_at=ports.clock.now(),
        topic=topic,
        id=message.id,
        type=message.type,
        data=message.data.decode("utf-8", "backslashreplace"),
    )
    await ports.store.commit([Write(path=failed_path(function, message.id), data=_encoded(failed))])
    telemetry.note("message_recorded", "WARNING", function=function, topic=topic, message=message.id)


def failed_path(function: str, message_id: str) -> str:
    """Where the store keeps a message that a function gave up."""
    return f"{FAILED_EVENTS}/{hashlib.sha256(f'{function}:{message_id}'.encode()).hexdigest()[:32]}"


def _encoded(failed: FailedMessage) -> bytes:
    whole = msgspec.json.encode(failed)
    if len(whole) <= LARGEST_DOCUMENT:
        return whole
    reason = f"{failed.reason} (the first {KEPT_IN_PART} of {len(failed.data)} characters are kept)"
    return msgspec.json.encode(msgspec.structs.replace(failed, reason=reason, data=failed.data[:KEPT_IN_PART]))
