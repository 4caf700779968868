"""What visitors did is folded into their profiles, and what that changes is announced: exactly once in effect.

A message is one read and one conditional write of `states/{key}`. What it leads to lies in the outbox of the document
that it writes, and is then published. Whoever reads a document publishes its outbox before writing without it, unless
this very instance did so already; nobody else clears. So a crash between write and publish loses nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias
from weakref import WeakValueDictionary

import msgspec

from functions.evaluate.fold import Folded, folded
from functions.evaluate.link import Pair, Related, joined, parted
from functions.evaluate.past import Past, PastNeeded, keys_of, past
from functions.evaluate.work import Oversized, Work
from segue import failures, metrics, retries, telemetry, tracing
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, links, rules, strict
from segue.domain.document import Redirect, StateDocument
from segue.domain.erasure import Content, remaining
from segue.domain.errors import Conflict, Invalid, Unavailable
from segue.domain.message import (
    EVENTS,
    EVENTS_OF_BOTS,
    EVENTS_RECEIVED,
    EVENTS_REFUSED,
    EVENTS_WITHHELD,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    PROFILE_DUE,
    PROFILES_BEHIND,
    EventsOfBots,
    EventsReceived,
    EventsRefused,
    EventsWithheld,
    LinkRequested,
    LinkWithdrawn,
    MembershipChanged,
    ProfileDue,
    ProfilesBehind,
)
from segue.domain.profile import shard_of
from segue.domain.time import SECOND
from segue.ports import ABSENT, Document, Message, Ports, Write

Body: TypeAlias = (
    EventsReceived | EventsRefused | EventsWithheld | LinkRequested | LinkWithdrawn | ProfileDue | ProfilesBehind
)

KINDS: Mapping[str, type[Body]] = {
    EVENTS_OF_BOTS: EventsOfBots,
    EVENTS_RECEIVED: EventsReceived,
    EVENTS_REFUSED: EventsRefused,
    EVENTS_WITHHELD: EventsWithheld,
    LINK_REQUESTED: LinkRequested,
    LINK_WITHDRAWN: LinkWithdrawn,
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
            case EventsOfBots() | EventsWithheld():  # before EventsReceived, of which the first is a kind
                return  # archived and counted; there is nothing to fold
            case EventsReceived() as received:
                metrics.MESSAGE_EVENTS.observe(len(received.events))
                await self._evaluate(_work_of_events(message, received))
                metrics.FOLDING_SECONDS.observe((self._ports.clock.now() - message.time) / SECOND)
            case LinkRequested() | LinkWithdrawn() as request:
                await self._relate(message, request)
            case ProfileDue() as due:
                await self._evaluate(Work(key=due.key, delivery=message.id, at=due.at, trace=tracing.current()))
            case ProfilesBehind() as behind:
                await self._bring_up(message, behind)
            case EventsRefused() as refused:
                await self._put_down(message, refused)

    async def _put_down(self, message: Message, refused: EventsRefused) -> None:
        """Keep what ingest refused, but for the calls of visitors who were erased since."""
        keys = {key for each in refused.refused for key in each.keys}
        states = {key: (await self._read(key))[1] for key in keys}
        erased = {key: state.erased_at for key, state in states.items() if state and state.erased_at is not None}
        left = remaining(Content(message.type, message.data), erased)
        if left:
            message = msgspec.structs.replace(message, data=left.data)
            await failures.record(self._ports, "ingest", EVENTS, message, _reason(refused))

    async def _bring_up(self, message: Message, behind: ProfilesBehind) -> None:
        """Bring each of the profiles up to the catalogue. Raises the first one's Unavailable once all were tried."""
        filling = (await self._catalogs.at_least(behind.catalog)).prepared is not None
        found = await past(self._ports.archive, behind.keys) if filling else None
        put_off: list[Unavailable] = []
        for key in behind.keys:
            work = Work(
                key=key,
                delivery=message.id,
                at=behind.at,
                catalog=behind.catalog,
                past=found,
                trace=tracing.current(),
            )
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
            _count(after.counts)
            await self._publish(after.document.outbox)

    async def _done(self, work: Work, before: StateDocument | None, compiled: Compiled) -> Folded | None:
        if work.catalog and before and before.imported:
            work = msgspec.structs.replace(work, at=None)  # its time is the log's
        try:
            return self._decided(work, before, compiled)
        except PastNeeded:
            keys = keys_of(work.key, before) if before else [work.key]
            work = msgspec.structs.replace(work, past=await past(self._ports.archive, keys))
            return self._decided(work, before, compiled)

    def _decided(self, work: Work, before: StateDocument | None, compiled: Compiled) -> Folded | None:
        with tracing.span("fold"):
            return folded(work, before, compiled, self._largest_document)

    async def _followed(self, work: Work) -> tuple[Work, Document | None, StateDocument | None]:
        """The document that the work is for, wherever that of its key redirects to, and the work as that profile's.

        Raises Conflict if the two documents, read one after the other, do not tell of the same link any more.
        """
        stored, before = await self._read(work.key)
        if before is None or before.redirect is None or not _goes_on(work, before.redirect):
            return work, stored, before
        user = before.redirect
        stored, before = await self._read(user.key)
        if before and before.redirect:
            raise Invalid("expected a user, found a redirect", path=document.state_path(user.key))
        if before is None or work.key not in {link.key for link in before.linked}:
            raise Conflict(f"{work.key}: the link to {user.key} was withdrawn meanwhile")
        return msgspec.structs.replace(work, key=user.key, profile=user.profile), stored, before

    async def _read(self, key: str) -> tuple[Document | None, StateDocument | None]:
        stored = await self._ports.store.get(document.state_path(key))
        return stored, document.decode_state(stored.data) if stored else None

    async def _relate(self, message: Message, request: links.Request) -> None:
        links.check(request)
        visitor = self._locks.setdefault(request.anonymous_key, asyncio.Lock())
        user = self._locks.setdefault(request.key, asyncio.Lock())
        async with visitor, user:
            await retries.on_conflict(self._ports.clock, message.id, lambda: self._relate_once(request))

    async def _relate_once(self, request: links.Request) -> None:
        pair = await self._pair(request)
        for each in (pair.anonymous, pair.known):
            await self._publish(each.outbox if each else ())
        if links.is_erased(request, pair.anonymous, pair.known):
            return
        linked = links.are_linked(request, pair.anonymous)
        match request:
            case LinkRequested() if not linked:
                await self._link(request, pair)
            case LinkWithdrawn():
                after = await self._related(pair, partial(parted, request)) if linked else None
                await self._commit_pair(pair, after, links.withdrawn(pair.ledger, request))

    async def _link(self, request: LinkRequested, pair: Pair) -> None:
        reason = links.refusal(request, pair.anonymous, pair.ledger)
        after = None if reason else await self._related(pair, partial(joined, request))
        await self._commit_pair(pair, after, links.noted(pair.ledger, request, reason))
        if reason:
            telemetry.note("link_refused", "WARNING", type=reason, source=request.source, key=request.key)
        else:
            telemetry.note("profiles_linked", source=request.source, key=request.key)

    async def _pair(self, request: links.Request) -> Pair:
        visitor, anonymous = await self._read(request.anonymous_key)
        user, known = await self._read(request.key)
        noted = await self._ports.store.get(links.path(request.key))
        ledger = links.decode(noted.data) if noted else links.Ledger(profile=request.profile)
        return Pair(request, visitor, anonymous, user, known, noted, ledger)

    async def _related(self, pair: Pair, decide: Callable[[Pair, Compiled, Past | None], Related]) -> Related:
        compiled = await self._catalogue_for(pair.newest)
        try:
            return decide(pair, compiled, None)
        except PastNeeded:
            return decide(pair, compiled, await past(self._ports.archive, pair.keys))

    async def _commit_pair(self, pair: Pair, after: Related | None, ledger: links.Ledger) -> None:
        """Both states, what lookups read of the visitor and the ledger: all are written, or none."""
        writes: list[Write] = []
        if ledger != pair.ledger:
            writes.append(_replacing(links.path(pair.request.key), pair.noted, links.encode(ledger)))
        if after:
            (told,) = after.anonymous.document.outbox
            writes += [
                Write(path=document.profile_path(told.key), data=document.encode(document.public(told))),
                written(told.key, pair.visitor, after.anonymous),
                written(pair.request.key, pair.user, after.known),
            ]
        if writes:
            await self._commit_together(writes)
        if after:
            await self._publish([*after.anonymous.document.outbox, *after.known.document.outbox])

    async def _commit_together(self, writes: Sequence[Write]) -> None:
        await self._ports.store.commit(writes)

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


def _count(counts: rules.Counts) -> None:
    for outcome, count in (("folded", counts.folded), ("duplicate", counts.duplicate), ("late", counts.late)):
        if count:
            metrics.EVENTS.add(outcome, by=count)


def _replacing(path: str, stored: Document | None, data: bytes) -> Write:
    return Write(path=path, data=data, expects=stored.version if stored else ABSENT)


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
        trace=tracing.current(),
    )


def _goes_on(work: Work, redirect: Redirect) -> bool:
    """Whether the work is for the profile that this one is a part of: time and catalogues are its own."""
    return work.received is not None and links.follows(work.received, redirect)


def announcement(entry: MembershipChanged) -> Message:
    """The same message whenever and by whomever it is published."""
    trace = entry.trace or ""
    if trace:
        entry = msgspec.structs.replace(entry, trace=msgspec.UNSET)
    return Message(
        id=f"{entry.key}:{entry.seq}",
        type=MEMBERSHIP_CHANGED,
        source="//segue/evaluate",
        time=entry.at,
        data=msgspec.json.encode(entry),
        trace=trace,
    )


def _reason(refused: EventsRefused) -> str:
    first = refused.refused[0].reason if refused.refused else "nothing is said of why"
    return f"{len(refused.refused)} of a batch refused; the first: {first}"
