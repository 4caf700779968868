"""The one event model: what a visitor did, when, and when we heard of it."""

from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any
"""A JSON value as decoded: None, bool, int, float, str, list or dict with text keys."""

GROUP = "group"
"""The trait that a `group` call sets: the group's traits and its `id`."""

TRAIT_EVENTS = ("Identified", "Grouped")
"""The names of the events that set traits."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a visitor did.

    `name` is the event's name as conditions use it: a `track` call's own name, or what another call is known by:
    `Page Viewed`, `Screen Viewed`, `Identified`, `Grouped`, `Aliased`. `occurred_at` (corrected for the client's clock)
    and `received_at` (our clock) are UTC in epoch milliseconds, and `occurred_at <= received_at`. `traits` are the
    traits an `identify` call sets (null removes one) and the one of a `group` call; every other event has none. The ids
    are those that the call carried, a user id only where it is believed. `timestamp` and `sent_at` keep the originals
    as the client sent them.
    """

    message_id: str
    name: str
    occurred_at: int
    received_at: int
    anonymous_id: str | None = None
    user_id: str | None = None
    properties: dict[str, Json] = {}
    traits: dict[str, Json] = {}
    context: dict[str, Json] = {}
    timestamp: str | None = None
    sent_at: str | None = None
