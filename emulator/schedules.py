"""The topology's schedules on this machine, as Cloud Scheduler keeps them in the cloud."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec

from segue import telemetry
from segue.domain.errors import Unavailable
from segue.domain.time import SECOND, duration
from segue.ports import Message, Ports


async def keep(schedule: Mapping[str, Any], ports: Ports, longest_interval: int | None = None) -> None:
    """Publish a schedule's message whenever its time has come, and at least every so many ms."""
    every = duration(schedule["every"])
    interval = min(every, longest_interval or every) / SECOND
    while True:
        message = Message(
            id=uuid4().hex,
            type=schedule["type"],
            source=schedule["source"],
            time=ports.clock.now(),
            data=msgspec.json.encode(schedule["data"]),
        )
        try:
            await ports.bus.publish(schedule["topic"], [message])
        except Unavailable as error:
            telemetry.note("schedule_not_kept", "WARNING", topic=schedule["topic"], error=type(error).__name__)
        await ports.clock.sleep(interval)
