"""What the archive of a platform that is not running tells of a visitor: why they are in a segment, which traits."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from emulator.host import settings_of
from functions.evaluate.past import history
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.catalogs import compiled
from segue.domain import rules
from segue.domain.errors import NotFound
from segue.domain.event import Event
from segue.domain.message import EventsReceived
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.provenance import Provenance, traits


async def explained(data: Path, profile: ProfileRef, segment: str, at: int | None) -> rules.Explanation:
    """The explanation at an instant, by default now, under the catalogue that was published last.

    Raises `NotFound` if the folder is no platform's or there is no such segment, `Unavailable` while a platform runs.
    """
    clock = SystemClock()
    async with _opened(data) as opened:
        published = await opened.catalog.current()
        messages = await _history(data, opened, profile)
    if published is None:
        raise NotFound(f"{data}: expected a catalogue, but none was ever published")
    at = clock.now() if at is None else at
    program = compiled(published).program
    events = _once(event for each in messages for event in each.events if event.received_at <= at)
    return rules.explain(program, rules.fold(program, rules.empty(), events), segment, at, events)


async def traits_of(data: Path, profile: ProfileRef) -> Mapping[str, Provenance]:
    """The traits of a visitor, and where they come from. Raises as `explained` does."""
    async with _opened(data) as opened:
        return traits(await _history(data, opened, profile))


@asynccontextmanager
async def _opened(data: Path) -> AsyncIterator[EmbeddedPlatform]:
    if not (data / "segue.db").exists():
        raise NotFound(f"{data}: expected the data folder of a platform")
    opened = EmbeddedPlatform.open(data, SystemClock())
    try:
        yield opened
    finally:
        await opened.close()


async def _history(data: Path, opened: EmbeddedPlatform, profile: ProfileRef) -> Sequence[EventsReceived]:
    key = profile_key(settings_of(data, os.environ).profile_secret, profile)
    return await history(opened.store, opened.archive, key)


def _once(events: Iterable[Event]) -> list[Event]:
    """Of copies of a message the one that was received first."""
    latest_first = sorted(events, key=lambda event: event.received_at, reverse=True)
    return [*{event.message_id: event for event in latest_first}.values()]
