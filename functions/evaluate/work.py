"""What a message asks of a profile, and how it is done in parts when it is too much for one document."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from functions.evaluate.past import Past
from segue.domain.event import Event
from segue.domain.message import EventsReceived
from segue.domain.profile import ProfileRef


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a message asks of one profile: to fold events, to let time come to `at` (epoch ms), or to catch up with
    the catalogue, version `catalog` or a newer one.

    `delivery` is the message's id, or that of a part of it: `within` are then the ids of what it is part of, and `part`
    tells parts apart that complete the same delivery. `past` is what the archive has of the profile, where that was
    looked up. `profile` and `imported` are None where the message does not say. `received` is the message itself, and
    `trace` the trace that it is in, if any.
    """

    key: str
    delivery: str
    part: str = ""
    within: tuple[str, ...] = ()
    profile: ProfileRef | None = None
    imported: bool | None = None
    events: tuple[Event, ...] = ()
    at: int | None = None
    catalog: int = 0
    past: Past | None = None
    received: EventsReceived | None = None
    trace: str = ""

    @property
    def first_parts(self) -> Sequence[str]:
        """The delivery ids of the parts that would be done first, the largest first, should it be done in parts."""
        return [f"{self.delivery}{self.part}" + "/1" * depth for depth in range(1, len(self.events).bit_length() + 1)]

    def since(self, erased_at: int | None) -> "Work":
        """The work without the events that were received up to the instant at which the profile was erased."""
        if erased_at is None:
            return self
        return msgspec.structs.replace(
            self, events=tuple(event for event in self.events if event.received_at > erased_at)
        )

    def halves(self) -> tuple["Work", "Work"]:
        """The same work in two parts, the events received first in the first; the second completes the delivery."""
        events = tuple(sorted(self.events, key=attrgetter("received_at", "message_id")))
        middle = len(events) // 2
        first = msgspec.structs.replace(
            self,
            events=events[:middle],
            delivery=self.first_parts[0],
            part="",
            within=(*self.within, self.delivery),
        )
        return first, msgspec.structs.replace(self, events=events[middle:], part=f"{self.part}/2")


class Oversized(Exception):
    """The work is too much for one document: to be done in halves."""
