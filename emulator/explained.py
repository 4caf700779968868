"""Why a visitor is in a segment or not, from the archive: every event folded anew, up to any instant."""

import os
from collections.abc import Iterable
from pathlib import Path

from emulator.host import settings_of
from functions.evaluate.past import history
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.catalogs import compiled
from segue.domain import rules
from segue.domain.errors import NotFound
from segue.domain.event import Event
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
        deliveries = await history(opened.store, opened.archive, key)
    finally:
        await opened.close()
    if published is None:
        raise NotFound(f"{data}: expected a catalogue, but none was ever published")
    at = clock.now() if at is None else at
    program = compiled(published).program
    events = _once(event for _, together in deliveries for event in together if event.received_at <= at)
    return rules.explain(program, rules.fold(program, rules.empty(), events), segment, at, events)


def _once(events: Iterable[Event]) -> list[Event]:
    """Of copies of a message the one that was received first."""
    latest_first = sorted(events, key=lambda event: event.received_at, reverse=True)
    return [*{event.message_id: event for event in latest_first}.values()]
