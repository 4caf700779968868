"""What the engine says of a profile: intervals of membership known ahead, and the transitions it announces."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

Interval: TypeAlias = tuple[int, int | None]
"""Half-open `[from, until)` in epoch ms; `until` None = never ends."""

Reason: TypeAlias = Literal["event", "time", "merge"]
"""What brought a transition: an event, time alone, or evidence that came from elsewhere."""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One profile entered or left one segment at `at`.

    `seq` grows by at least one with every transition of the profile. `definition` is the version (content hash) of the
    segment's definition. `message_id` is the event's where one brought it.
    """

    segment: str
    transition: Literal["entered", "exited"]
    at: int
    seq: int
    definition: str
    reason: Reason
    message_id: str | None = None


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """A profile's memberships from an instant on, with no further event.

    `memberships` has an entry for every segment with at least one interval; intervals are ascending and do not touch.
    Exact at every instant before `known_until` (None: for ever). `approximate` names the segments whose evidence passed
    a cap.
    """

    memberships: Mapping[str, tuple[Interval, ...]]
    known_until: int | None
    approximate: frozenset[str]


def unnamed(*parts: str) -> str:
    """The id of a segment that only the engine knows: no named one can have it."""
    return "".join(f"/{part}" for part in parts)


def is_named(segment: str) -> bool:
    """Whether somebody defined the segment under this id: only of those anything is ever told."""
    return not segment.startswith("/")


def covers(intervals: tuple[Interval, ...], at: int) -> Interval | None:
    """The interval that holds `at`, if one does."""
    for span in intervals:
        if span[0] <= at and (span[1] is None or at < span[1]):
            return span
    return None


def at(memberships: Mapping[str, tuple[Interval, ...]], instant: int) -> frozenset[str]:
    """The segments that hold somebody at an instant."""
    return frozenset(segment for segment, intervals in memberships.items() if covers(intervals, instant))


def next_step(memberships: Mapping[str, tuple[Interval, ...]], after: int) -> int | None:
    """The first instant after this one at which a membership begins or ends; None if none ever does."""
    edges = (edge for intervals in memberships.values() for span in intervals for edge in span)
    return min((edge for edge in edges if edge is not None and edge > after), default=None)
