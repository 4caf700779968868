"""The ledger: what became of every event that was published, and whether anything is still on its way."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec

from segue.domain import rules
from segue.domain.document import FAILED_EVENTS, PROFILES, STATES, StateDocument, decode_profile, decode_state
from segue.domain.message import (
    EVENTS,
    EVENTS_OF_BOTS,
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    MEMBERSHIPS,
    EventsWithheld,
    FailedMessage,
    MembershipChanged,
)
from segue.ports import Message, Ports


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were published, and what became of them.

    `consent`: the visitor's was missing. `erased`: the visitor was.
    """

    published: int
    folded: int
    duplicate: int
    late: int
    consent: int
    erased: int
    refused: int
    failed: int
    bot: int

    @property
    def open(self) -> int:
        """How many events are still on their way; below 0 while the archive is behind."""
        told = (self.folded, self.duplicate, self.late, self.refused, self.failed, self.bot)
        return self.published - sum(told) - self.consent - self.erased


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Of a profile's state what tells how far it has come."""

    key: str
    seq: int
    due: int | None
    imported: bool
    counts: rules.Counts
    begun_anew: bool = False


async def profiles(ports: Ports) -> Sequence[Profile]:
    """Every profile, as it is at this moment; nothing is left to say of those that were erased."""
    found = [(key, decode_state(stored.data)) async for key, stored in ports.store.scan(STATES)]
    return [_profile(key, document) for key, document in found if not document.is_erased]


async def ledger(ports: Ports, known: Sequence[Profile] | None = None) -> Ledger:
    """The ledger as the archive and the documents have it at this moment; `known`: the profiles, if just read."""
    given_up = {failed.id async for failed in _failed(ports)}
    published, recorded = 0, Counter[str]()
    async for message in ports.archive.read(EVENTS):
        events = _events(message)
        published += events
        if message.type == EVENTS_WITHHELD:
            recorded[msgspec.json.decode(message.data, type=EventsWithheld).reason] += events
        elif message.type == EVENTS_OF_BOTS:
            recorded["bot"] += events
        elif message.id in given_up:
            recorded["refused" if message.type == EVENTS_REFUSED else "failed"] += events
    counts = Counter[str]()
    for profile in await profiles(ports) if known is None else known:
        counts.update(msgspec.structs.asdict(profile.counts))
    return Ledger(
        published=published,
        folded=counts["folded"],
        duplicate=counts["duplicate"],
        late=counts["late"],
        consent=recorded["consent"],
        erased=recorded["erased"],
        refused=recorded["refused"],
        failed=recorded["failed"],
        bot=recorded["bot"],
    )


async def snapshots_on_their_way(ports: Ports, known: Sequence[Profile] | None = None) -> int:
    """How many profiles have a snapshot that the archive or the public document does not have yet.

    A profile's transitions and snapshots are numbered without a gap, so that the archive has all of them once it has as
    many as the state's newest number. Of one that was erased the first are gone, and the newest has to do.
    """
    archived, newest = Counter[str](), Counter[str]()
    async for message in ports.archive.read(MEMBERSHIPS):
        changed = msgspec.json.decode(message.data, type=MembershipChanged)
        archived[changed.key] += len(changed.transitions) + 1
        newest[changed.key] = max(newest[changed.key], changed.seq)
    public = {key: decode_profile(stored.data).seq async for key, stored in ports.store.scan(PROFILES)}
    return sum(
        not (newest if profile.begun_anew else archived)[profile.key] == public.get(profile.key, 0) == profile.seq
        for profile in (await profiles(ports) if known is None else known)
    )


def _profile(key: str, document: StateDocument) -> Profile:
    state = rules.decode(document.state)
    return Profile(
        key=key,
        seq=state.seq,
        due=state.due,
        imported=document.imported,
        counts=state.counts,
        begun_anew=document.erased_at is not None,
    )


class _Events(msgspec.Struct):
    """Of EventsReceived, EventsRefused and EventsWithheld, how many there are."""

    events: list[msgspec.Raw] = []
    refused: list[msgspec.Raw] = []
    count: int = 0


def _events(message: Message) -> int:
    found = msgspec.json.decode(message.data, type=_Events)
    return len(found.events) + len(found.refused) + found.count


async def _failed(ports: Ports) -> AsyncIterator[FailedMessage]:
    async for _, stored in ports.store.scan(FAILED_EVENTS):
        yield msgspec.json.decode(stored.data, type=FailedMessage)
