"""Where a visitor's traits come from: of each the newest value, who said it, and when it was so."""

from collections.abc import Iterable, Mapping

import msgspec

from segue.domain.event import Event, Json
from segue.domain.message import EventsReceived


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """A trait's value, and the call of a source that said so of the instant `occurred_at` (epoch ms)."""

    value: Json
    source: str
    message_id: str
    occurred_at: int
    received_at: int


def traits(messages: Iterable[EventsReceived]) -> Mapping[str, Provenance]:
    """The traits that a visitor has, by name: the newest value of each counts, and null is none.

    Of copies of a message the one that was received first counts.
    """
    said: dict[str, tuple[str, Event]] = {}
    for source, event in ((each.source, event) for each in messages for event in each.events):
        known = said.get(event.message_id)
        if known is None or event.received_at < known[1].received_at:
            said[event.message_id] = (source, event)
    found = {
        name: Provenance(
            value=value,
            source=source,
            message_id=event.message_id,
            occurred_at=event.occurred_at,
            received_at=event.received_at,
        )
        for source, event in sorted(said.values(), key=_newest_last)
        for name, value in event.traits.items()
    }
    return {name: each for name, each in sorted(found.items()) if each.value is not None}


def _newest_last(said: tuple[str, Event]) -> tuple[int, int, str]:
    event = said[1]
    return event.occurred_at, event.received_at, event.message_id
