"""Why a visitor is in a segment or not, from the archive: every event folded anew, up to any instant."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from emulator.host import settings_of
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.catalogs import compiled
from segue.domain import rules
from segue.domain.errors import NotFound
from segue.domain.event import Event
from segue.domain.message import EventsReceived
from segue.domain.profile import ProfileRef, profile_key


async def explained(data: Path, profile: ProfileRef, segment: str, at: int | None) -> rules.Explanation:
    """The explanation at an instant, by default now, under the catalogue that was published last.

    Raises `NotFound` if the folder is no platform's or there is no such segment, `Unavailable` while a platform runs.
    """
    if not (data / "segue.db").exists():
        raise NotFound(f"{data}: expected the data folder of a platform")
    clock = SystemClock()
    opened = EmbeddedPlatform.open(data, clock)
    try:
        published = await opened.catalog.current()
        key = profile_key(settings_of(data, os.environ).profile_secret, profile)
        messages = [message async for message in opened.archive.received(key)]
    finally:
        await opened.close()
    if published is None:
        raise NotFound(f"{data}: expected a catalogue, but none was ever published")
    at = clock.now() if at is None else at
    program = compiled(published).program
    events = _once(event for message in messages for event in _events(message.data) if event.received_at <= at)
    return rules.explain(program, rules.fold(program, rules.empty(), events), segment, at, events)


def _events(data: bytes) -> tuple[Event, ...]:
    return msgspec.json.decode(data, type=EventsReceived).events


def _once(events: Iterable[Event]) -> list[Event]:
    """Of copies of a message the one that was received first."""
    latest_first = sorted(events, key=lambda event: event.received_at, reverse=True)
    return [*{event.message_id: event for event in latest_first}.values()]
