"""Erasing visitors: what is left of their documents, and of the messages that tell of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from segue.domain import rules
from segue.domain.document import PublicProfile, StateDocument
from segue.domain.message import (
    DELIVERY_DUE,
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    MEMBERSHIP_CHANGED,
    PROFILE_DUE,
    PROFILES_BEHIND,
    DeliveryDue,
    EventsReceived,
    EventsRefused,
    EventsWithheld,
    MembershipChanged,
)
from segue.domain.profile import NOBODY, Key


class Content(msgspec.Struct, frozen=True):
    """What a message says: its type, and its data as bytes of JSON."""

    type: str
    data: bytes


class Record(msgspec.Struct, frozen=True):
    """`erasures/{id}`: who is erased up to `at` (epoch ms) or somewhat later: all profiles of one visitor, by key.

    `until`: all of them are buried, up to this instant.
    """

    at: int
    keys: tuple[Key, ...]
    until: int | None = None


RECORDS = "erasures"
"""The collection of the records."""


def record_path(id_: str) -> str:
    """Where the store keeps the record of the request with this id."""
    return f"erasures/{id_}"


def decode_record(data: bytes) -> Record:
    """The record in the bytes that the store has of it."""
    return msgspec.json.decode(data, type=Record)


def relatives(document: StateDocument) -> Sequence[Key]:
    """The profiles that this one is the same visitor as: the user, or the anonymous ones that are part of it."""
    return [document.redirect.key] if document.redirect else [link.key for link in document.linked]


def buried(before: StateDocument | None, at: int) -> tuple[StateDocument, PublicProfile]:
    """The documents that take the place of a profile's, erased at `at` or at its own instant if that is later.

    Its numbers go on, so that what was announced of it and is still on its way is taken for the old news that it is.
    """
    old = rules.decode(before.state) if before else rules.empty()
    seq, erased_at = old.seq + 1, max(at, old.instant)
    state = StateDocument(
        profile=NOBODY,
        state=rules.encode(msgspec.structs.replace(rules.empty(), seq=seq)),
        catalog=before.catalog if before else 0,
        rev=before.rev + 1 if before else 1,
        imported=before is not None and before.imported,
        erased_at=erased_at,
    )
    public = PublicProfile(
        profile=NOBODY, seq=seq, catalog=state.catalog, at=erased_at, known_until=None, memberships={}
    )
    return state, public


Erased: TypeAlias = Mapping[str, int]
"""The keys of the profiles that were erased, each with the instant (epoch ms, inclusive) up to which."""


def remaining(content: Content, erased: Erased) -> Content | None:
    """What may be left of a message, None for nothing; the same where it tells of nobody who was erased.

    Received events leave their number, so that the ledger still closes. What cannot be read must go if it has a key of
    somebody who was erased.
    """
    if content.type in WITHOUT_PERSONS or not any(key.encode() in content.data for key in erased):
        return content
    try:
        return _READERS.get(content.type, _of_another)(content, erased)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


WITHOUT_PERSONS = frozenset([PROFILE_DUE, PROFILES_BEHIND, EVENTS_WITHHELD])
"""Types of messages that tell of nobody but by a key."""


def _of_received(content: Content, erased: Erased) -> Content | None:
    received = msgspec.json.decode(content.data, type=EventsReceived)
    until = erased.get(received.key, -1)
    kept = tuple(event for event in received.events if event.received_at > until)
    if len(kept) == len(received.events):
        return content
    if kept:
        return Content(content.type, msgspec.json.encode(msgspec.structs.replace(received, events=kept)))
    withheld = EventsWithheld(
        source=received.source,
        received_at=max(event.received_at for event in received.events),
        count=len(received.events),
        reason="erased",
    )
    return Content(EVENTS_WITHHELD, msgspec.json.encode(withheld))


def _of_refused(content: Content, erased: Erased) -> Content | None:
    refused = msgspec.json.decode(content.data, type=EventsRefused)
    kept = tuple(
        each for each in refused.refused if not any(refused.received_at <= erased.get(key, -1) for key in each.keys)
    )
    if len(kept) == len(refused.refused):
        return content
    return (
        Content(EVENTS_REFUSED, msgspec.json.encode(msgspec.structs.replace(refused, refused=kept))) if kept else None
    )


def _of_membership(content: Content, erased: Erased) -> Content | None:
    changed = msgspec.json.decode(content.data, type=MembershipChanged)
    return None if changed.at <= erased.get(changed.key, -1) else content


def _of_delivery(content: Content, erased: Erased) -> Content | None:
    due = msgspec.json.decode(content.data, type=DeliveryDue)
    return None if due.transition.at <= erased.get(due.key, -1) else content


class _Dated(msgspec.Struct):
    """Of a message between two profiles: when (epoch ms). Without an instant it counts as old."""

    at: int = 0


def _of_another(content: Content, erased: Erased) -> Content | None:
    at = msgspec.json.decode(content.data, type=_Dated).at
    return None if any(key.encode() in content.data and at <= until for key, until in erased.items()) else content


_READERS: Mapping[str, Callable[[Content, Erased], Content | None]] = {
    EVENTS_RECEIVED: _of_received,
    EVENTS_OF_BOTS: _of_received,
    EVENTS_REFUSED: _of_refused,
    MEMBERSHIP_CHANGED: _of_membership,
    DELIVERY_DUE: _of_delivery,
}
