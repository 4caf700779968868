"""What visitors did is folded into their profiles, and what that changes is announced: exactly once in effect.

A message is one read and one conditional write of `states/{key}`. What it leads to lies in the outbox of the document
that it writes, and is then published. Whoever reads a document publishes its outbox before writing without it, unless
this very instance did so already; nobody else clears. So a crash between write and publish loses nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias
from weakref import WeakValueDictionary

import msgspec

from functions.evaluate.fold import Folded, folded
from functions.evaluate.link import Joined, joined
from functions.evaluate.past import PastNeeded, keys_of, past
from functions.evaluate.work import Oversized, Work
from segue import failures, retries, telemetry
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, links, strict
from segue.domain.document import Redirect, StateDocument
from segue.domain.errors import Invalid, Unavailable
from segue.domain.message import (
    EVENTS,
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    LINK_REQUESTED,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    PROFILE_DUE,
    PROFILES_BEHIND,
    EventsOfBots,
    EventsReceived,
    EventsRefused,
    EventsWithheld,
    LinkRequested,
    MembershipChanged,
    ProfileDue,
    ProfilesBehind,
)
from segue.domain.profile import shard_of
from segue.ports import ABSENT, Document, Message, Ports, Write

Body: TypeAlias = EventsReceived | EventsRefused | EventsWithheld | LinkRequested | ProfileDue | ProfilesBehind

KINDS: Mapping[str, type[Body]] = {
    EVENTS_OF_BOTS: EventsOfBots,
    EVENTS_RECEIVED: EventsReceived,
    EVENTS_REFUSED: EventsRefused,
    EVENTS_WITHHELD: EventsWithheld,
    LINK_REQUESTED: LinkRequested,
    PROFILE_DUE: ProfileDue,
    PROFILES_BEHIND: ProfilesBehind,
}

LARGEST_DOCUMENT = 900_000
"""Bytes of a state document. A message whose transitions would make it larger is folded in parts."""

REMEMBERED_PUBLISHES = 10_000


class Evaluator:
    """Folds messages into profiles, for as long as an instance lives: those of one profile one after the other."""

    def __init__(self, ports: Ports, catalogs: Catalogs, largest_document: int = LARGEST_DOCUMENT) -> None:
        self._ports = ports
        self._catalogs = catalogs
        self._largest_document = largest_document
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._published: OrderedDict[str, MembershipChanged] = OrderedDict()

    async def __call__(self, message: Message) -> None:
        """Return once the message's effect is durable and announced. Raises Invalid for what is no such message."""
        match strict.decode_one_of(message.type, message.data, KINDS):
            case EventsOfBots():
                return
            case EventsReceived() as received:
                await self._evaluate(_work_of_events(message, received))
            case LinkRequested() as request:
                await self._link(message, request)
            case ProfileDue() as due:
                await self._evaluate(Work(key=due.key, delivery=message.id, at=due.at))
            case ProfilesBehind() as behind:
                await self._bring_up(message, behind)
            case EventsWithheld():
                return  # there is nothing of them to fold
            case EventsRefused() as refused:
                await failures.record(self._ports, "ingest", EVENTS, message, _reason(refused))

    async def _bring_up(self, message: Message, behind: ProfilesBehind) -> None:
        """Bring each of the profiles up to the catalogue. Raises the first one's Unavailable once all were tried."""
        filling = (await self._catalogs.at_least(behind.catalog)).prepared is not None
        found = await past(self._ports.archive, behind.keys) if filling else None
        put_off: list[Unavailable] = []
        for key in behind.keys:
            work = Work(key=key, delivery=message.id, at=behind.at, catalog=behind.catalog, past=found)
            try:
                await self._evaluate(work)
            except Unavailable as error:
                put_off.append(error)
        if put_off:
            raise put_off[0]

    async def _evaluate(self, work: Work) -> None:
        lock = self._locks.setdefault(work.key, asyncio.Lock())
        async with lock:
            await self._fold(work)

    async def _fold(self, work: Work) -> None:
        try:
            await retries.on_conflict(self._ports.clock, work.delivery, lambda: self._fold_once(work))
        except Oversized:
            for half in work.halves():
                await self._fold(half)

    async def _fold_once(self, work: Work) -> None:
        work, stored, before = await self._followed(work)
        compiled = await self._catalogue_for(before, work.catalog)
        await self._publish(before.outbox if before else ())
        after = await self._done(work, before, compiled)
        if after:
            await self._ports.store.commit([written(work.key, stored, after)])
            await self._publish(after.document.outbox)

    async def _done(self, work: Work, before: StateDocument | None, compiled: Compiled) -> Folded | None:
        if work.catalog and before and before.imported:
            work = msgspec.structs.replace(work, at=None)  # its time is the log's
        try:
            return folded(work, before, compiled, self._largest_document)
        except PastNeeded:
            keys = keys_of(work.key, before) if before else [work.key]
            work = msgspec.structs.replace(work, past=await past(self._ports.archive, keys))
            return folded(work, before, compiled, self._largest_document)

    async def _followed(self, work: Work) -> tuple[Work, Document | None, StateDocument | None]:
        """The document that the work is for, wherever it redirects to, and the work as that profile's.

        Raises Invalid where redirects lead nowhere, which only corrupt documents do.
        """
        for _ in range(1 + links.MOST_REDIRECTS):
            stored, before = await self._read(work.key)
            if before is None or before.redirect is None or not _goes_on(work, before.redirect):
                return work, stored, before
            work = msgspec.structs.replace(work, key=before.redirect.key, profile=before.redirect.profile)
        raise Invalid(
            f"expected at most {links.MOST_REDIRECTS} redirects, found more", path=document.state_path(work.key)
        )

    async def _read(self, key: str) -> tuple[Document | None, StateDocument | None]:
        stored = await self._ports.store.get(document.state_path(key))
        return stored, document.decode_state(stored.data) if stored else None

    async def _link(self, message: Message, request: LinkRequested) -> None:
        links.check(request)
        visitor = self._locks.setdefault(request.anonymous_key, asyncio.Lock())
        user = self._locks.setdefault(request.key, asyncio.Lock())
        async with visitor, user:
            await retries.on_conflict(self._ports.clock, message.id, lambda: self._link_once(request))

    async def _link_once(self, request: LinkRequested) -> None:
        """The user's state, the redirect, what lookups read of it and the ledger: all are written, or none."""
        visitor, anonymous = await self._read(request.anonymous_key)
        user, known = await self._read(request.key)
        for each in (anonymous, known):
            await self._publish(each.outbox if each else ())
        if links.is_done(request, anonymous):
            return
        found = await self._ports.store.get(links.path(request.key))
        ledger = links.decode(found.data) if found else links.Ledger(profile=request.profile)
        reason = links.refusal(anonymous, ledger)
        after_ledger = links.noted(ledger, request, reason)
        noted = Write(
            path=links.path(request.key),
            data=links.encode(after_ledger),
            expects=found.version if found else ABSENT,
        )
        if reason:
            telemetry.note("link_refused", "WARNING", type=reason, source=request.source, key=request.key)
            if after_ledger != ledger:
                await self._ports.store.commit([noted])
            return
        after = await self._joined(request, known, anonymous)
        (told,) = after.anonymous.document.outbox
        shown = Write(path=document.profile_path(told.key), data=document.encode(document.public(told)))
        states = [written(request.key, user, after.known), written(told.key, visitor, after.anonymous)]
        await self._commit_link([*states, shown, noted])
        telemetry.note("profiles_linked", source=request.source, key=request.key)
        await self._publish([told, *after.known.document.outbox])

    async def _commit_link(self, writes: Sequence[Write]) -> None:
        await self._ports.store.commit(writes)

    async def _joined(
        self, request: LinkRequested, known: StateDocument | None, anonymous: StateDocument | None
    ) -> Joined:
        newest = max((each for each in (known, anonymous) if each), key=attrgetter("catalog"), default=None)
        compiled = await self._catalogue_for(newest)
        try:
            return joined(request, known, anonymous, compiled)
        except PastNeeded:
            keys = [*(keys_of(request.key, known) if known else ()), request.anonymous_key]
            return joined(request, known, anonymous, compiled, await past(self._ports.archive, keys))

    async def _catalogue_for(self, before: StateDocument | None, version: int = 0) -> Compiled:
        """The catalogue in force, never older than the one that folded the state, nor than this version."""
        compiled = await self._catalogs.current()
        wanted = max(version, before.catalog if before else 0)
        return await self._catalogs.at_least(wanted) if wanted > compiled.version else compiled

    async def _publish(self, outbox: Iterable[MembershipChanged]) -> None:
        entries = [entry for entry in outbox if self._published.get(entry.key) != entry]
        if not entries:
            return
        await self._ports.bus.publish(MEMBERSHIPS, [announcement(entry) for entry in entries])
        for entry in entries:
            self._published[entry.key] = entry
            self._published.move_to_end(entry.key)
        while len(self._published) > REMEMBERED_PUBLISHES:
            self._published.popitem(last=False)


def written(key: str, stored: Document | None, after: Folded) -> Write:
    """The write of a profile's new document in place of the one that was read."""
    return Write(
        path=document.state_path(key),
        data=after.data,
        expects=stored.version if stored else ABSENT,
        due=after.due,
        shard=shard_of(key, after.document.imported),
    )


def _work_of_events(message: Message, received: EventsReceived) -> Work:
    return Work(
        key=received.key,
        delivery=message.id,
        profile=received.profile,
        imported=received.imported,
        events=received.events,
        received=received,
    )


def _goes_on(work: Work, redirect: Redirect) -> bool:
    """Whether the work is for the profile that this one is a part of: time and catalogues are its own."""
    return work.received is not None and links.follows(work.received, redirect)


def announcement(entry: MembershipChanged) -> Message:
    """The same message whenever and by whomever it is published."""
    return Message(
        id=f"{entry.key}:{entry.seq}",
        type=MEMBERSHIP_CHANGED,
        source="//segue/evaluate",
        time=entry.at,
        data=msgspec.json.encode(entry),
    )


def _reason(refused: EventsRefused) -> str:
    first = refused.refused[0].reason if refused.refused else "nothing is said of why"
    return f"{len(refused.refused)} of a batch refused; the first: {first}"
