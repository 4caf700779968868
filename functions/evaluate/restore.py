"""Everybody of whom the archive tells, for a store that has lost some or all of them."""

from collections.abc import Mapping

import msgspec

from functions.evaluate.evaluate import Evaluator
from functions.evaluate.rebuild import Known
from segue.catalogs import Catalogs
from segue.domain.message import (
    EVENTS,
    EVENTS_RECEIVED,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    MEMBERSHIPS,
    EventsReceived,
    LinkRequested,
    LinkWithdrawn,
    MembershipChanged,
)
from segue.ports import Archive, Message, Ports


class Archived(msgspec.Struct):
    """What there is in the archive: everybody by key, and the messages that say who is whom, one for each pair."""

    known: dict[str, Known]
    links: dict[tuple[str, str, str], Message]


async def restored(ports: Ports, catalogs: Catalogs) -> Mapping[str, Known]:
    """Everybody of whom the archive tells, by key; the store knows by then who is whom, as it did before.

    Their states are not folded: `rebuild` does that, for each. It takes the memory of a snapshot for each profile.
    """
    found = await _archived(ports.archive)
    evaluate = Evaluator(ports, catalogs)
    for message in found.links.values():
        await evaluate(message)
    return found.known


async def _archived(archive: Archive) -> Archived:
    told: dict[str, MembershipChanged] = {}
    async for message in archive.read(MEMBERSHIPS):
        snapshot = msgspec.json.decode(message.data, type=MembershipChanged)
        if snapshot.key not in told or told[snapshot.key].seq < snapshot.seq:
            told[snapshot.key] = snapshot
    found = Archived({key: Known(snapshot.profile, told=snapshot) for key, snapshot in told.items()}, {})
    async for message in archive.read(EVENTS):
        _note(message, found, told)
    return found


def _note(message: Message, found: Archived, told: Mapping[str, MembershipChanged]) -> None:
    kind = _KINDS.get(message.type)
    match msgspec.json.decode(message.data, type=kind) if kind else None:
        case EventsReceived(key=key, profile=profile, imported=imported):
            found.known[key] = Known(profile, imported, told.get(key))
        case LinkRequested() | LinkWithdrawn() as request:
            found.links.setdefault((message.type, request.anonymous_key, request.key), message)


_KINDS: Mapping[str, type[EventsReceived | LinkRequested | LinkWithdrawn]] = {
    EVENTS_RECEIVED: EventsReceived,
    LINK_REQUESTED: LinkRequested,
    LINK_WITHDRAWN: LinkWithdrawn,
}
