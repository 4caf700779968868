"""The real use cases with one bug planted in each: what the simulation must be able to see."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from functions.deliver import webhook
from functions.deliver.deliver import Deliverer, Due
from functions.evaluate.evaluate import Evaluator
from functions.evaluate.fold import Folded
from functions.evaluate.link import Pair, Related
from functions.evaluate.past import Past
from functions.evaluate.work import Work
from functions.privacy.privacy import Eraser
from functions.tick.tick import Ticker
from functions.update.update import Updater
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, links, rules
from segue.domain.catalog import Catalog
from segue.domain.document import StateDocument
from segue.domain.erasure import Record
from segue.domain.errors import Conflict, Unavailable
from segue.domain.message import DeliveryDue, LinkRequested, MembershipChanged
from segue.domain.profile import shard_of
from segue.domain.time import MINUTE
from segue.ports import ABSENT, Document, Ports, Write
from tests.simulation.deployment import Variant

Decide: TypeAlias = Callable[[Pair, Compiled, Past | None], Related]


class Planted(Evaluator):
    """Evaluate's steps one by one, so that a bug is one step left out or misplaced."""

    async def _fold_once(self, work: Work) -> None:
        work, stored, before = await self._followed(work)
        after = await self._folded(work, before)
        if after:
            await self._commit(work.key, stored, after)
            await self._publish(after.document.outbox)

    async def _folded(self, work: Work, before: StateDocument | None) -> Folded | None:
        compiled = await self._catalogue_for(before, work.catalog)
        await self._publish(before.outbox if before else ())
        return await self._done(work, before, compiled)

    async def _commit(self, key: str, stored: Document | None, after: Folded) -> None:
        await self._write(key, after, stored.version if stored else ABSENT)

    async def _write(self, key: str, after: Folded, expects: str | None) -> None:
        path, shard = document.state_path(key), shard_of(key, after.document.imported)
        await self._ports.store.commit([Write(path=path, data=after.data, expects=expects, due=after.due, shard=shard)])


class ClearsTheOutboxUnpublished(Planted):
    async def _folded(self, work: Work, before: StateDocument | None) -> Folded | None:
        return await self._done(work, before, await self._catalogue_for(before, work.catalog))


class AcknowledgesBeforePublishing(Planted):
    async def _publish(self, outbox: Iterable[MembershipChanged]) -> None:
        try:
            await super()._publish(outbox)
        except Unavailable:
            return


class RepublishesOnlyWithNewEvents(Planted):
    async def _folded(self, work: Work, before: StateDocument | None) -> Folded | None:
        after = await self._done(work, before, await self._catalogue_for(before, work.catalog))
        await self._publish(before.outbox if after and before else ())
        return after


class NeverComparesBeforeItSets(Planted):
    async def _write(self, key: str, after: Folded, expects: str | None) -> None:  # noqa: ARG002  # the bug
        await super()._write(key, after, None)


class ClearsTheOutboxOnceItIsPublished(Planted):
    """Without a precondition: whatever was written since is undone."""

    async def _publish(self, outbox: Iterable[MembershipChanged]) -> None:
        await super()._publish(outbox)
        for entry in outbox:
            _, now = await self._read(entry.key)
            if now and now.outbox:
                await self._cleared(entry.key, now)

    async def _cleared(self, key: str, now: StateDocument) -> None:
        cleared = msgspec.structs.replace(now, outbox=(), rev=now.rev + 1)
        due = rules.decode(now.state).due
        await self._write(key, Folded(cleared, document.encode(cleared), due), None)


class TriesAgainWithoutReading(Planted):
    async def _commit(self, key: str, stored: Document | None, after: Folded) -> None:
        try:
            await super()._commit(key, stored, after)
        except Conflict:
            now, _ = await self._read(key)
            await super()._commit(key, now, after)


class ForgetsMessageIds(Planted):
    async def _read(self, key: str) -> tuple[Document | None, StateDocument | None]:
        stored, before = await super()._read(key)
        if before is None:
            return stored, before
        state = msgspec.structs.replace(rules.decode(before.state), ids=b"")
        return stored, msgspec.structs.replace(before, state=rules.encode(state))


class FoldsAtTheWallClock(Planted):
    async def _folded(self, work: Work, before: StateDocument | None) -> Folded | None:
        return await super()._folded(msgspec.structs.replace(work, at=self._ports.clock.now()), before)


class BelievesWhatItMeantToPublish(Planted):
    """Remembers entries as published whether they were or not."""

    async def _publish(self, outbox: Iterable[MembershipChanged]) -> None:
        entries = tuple(outbox)
        try:
            await super()._publish(entries)
        finally:
            self._published.update((entry.key, entry) for entry in entries)


class FoldsWithAnOldCatalogue(Planted):
    async def _catalogue_for(self, before: StateDocument | None, version: int = 0) -> Compiled:  # noqa: ARG002  # the bug
        return await self._catalogs.current()


class FoldsOnlyIntoWhatAnswers(Planted):
    """What happens after a profile's past was looked up is missing from what is prepared."""

    async def _done(self, work: Work, before: StateDocument | None, compiled: Compiled) -> Folded | None:
        after = await super()._done(work, before, compiled)
        if after is None or before is None or before.prepared is None or not work.events:
            return after
        unchanged = msgspec.structs.replace(after.document, prepared=before.prepared)
        return msgspec.structs.replace(after, document=unchanged, data=document.encode(unchanged))


class TakesTheArchiveForComplete(Planted):
    async def _done(self, work: Work, before: StateDocument | None, compiled: Compiled) -> Folded | None:
        if before is not None and work.past is not None:
            state = msgspec.structs.replace(rules.decode(before.state), ids=b"")
            before = msgspec.structs.replace(before, state=rules.encode(state))
        return await super()._done(work, before, compiled)


class MergesTwice(Evaluator):
    async def _related(self, pair: Pair, decide: Decide) -> Related:
        once = await super()._related(pair, decide)
        twice = await super()._related(msgspec.structs.replace(pair, known=once.known.document), decide)
        before = once.known.document
        after = msgspec.structs.replace(twice.known.document, rev=before.rev, linked=before.linked)
        return msgspec.structs.replace(once, known=Folded(after, document.encode(after), twice.known.due))


class FollowsNoRedirect(Evaluator):
    async def _followed(self, work: Work) -> tuple[Work, Document | None, StateDocument | None]:
        return (work, *await self._read(work.key))


class FollowsRedirectsWithoutAProof(Evaluator):
    async def _followed(self, work: Work) -> tuple[Work, Document | None, StateDocument | None]:
        proven = work.received and msgspec.structs.replace(work.received, proven=True)
        return await super()._followed(msgspec.structs.replace(work, received=proven))


class KeepsOnlyTheIdsOfTheUser(Evaluator):
    async def _related(self, pair: Pair, decide: Decide) -> Related:
        both = await super()._related(pair, decide)
        ids = rules.decode(pair.known.state).ids if pair.known else b""
        state = msgspec.structs.replace(rules.decode(both.known.document.state), ids=ids)
        after = msgspec.structs.replace(both.known.document, state=rules.encode(state))
        return msgspec.structs.replace(both, known=Folded(after, document.encode(after), both.known.due))


class LinksWithoutAPrecondition(Evaluator):
    async def _commit_together(self, writes: Sequence[Write]) -> None:
        await super()._commit_together([msgspec.structs.replace(write, expects=None) for write in writes])


class LinksOneAfterTheOther(Evaluator):
    """A crash in between loses what the anonymous visitor did."""

    async def _commit_together(self, writes: Sequence[Write]) -> None:
        for write in writes:
            await super()._commit_together([write])


class LinksAgainWhatWasWithdrawn(Evaluator):
    async def _pair(self, request: links.Request) -> Pair:
        found = await super()._pair(request)
        entries = tuple(entry for entry in found.ledger.entries if entry.status != "withdrawn")
        return msgspec.structs.replace(found, ledger=msgspec.structs.replace(found.ledger, entries=entries))


class PartsWithoutThePastOfTheVisitor(Evaluator):
    async def _related(self, pair: Pair, decide: Decide) -> Related:
        after = await super()._related(pair, decide)
        if isinstance(pair.request, LinkRequested):
            return after
        visitor = msgspec.structs.replace(after.anonymous.document, state=rules.encode(rules.empty()))
        return msgspec.structs.replace(after, anonymous=Folded(visitor, document.encode(visitor), None))


class WritesEverySnapshot(Updater):
    async def _write_if_newer(self, changed: MembershipChanged) -> None:
        path = document.profile_path(changed.key)
        public = document.PublicProfile(
            profile=changed.profile,
            seq=changed.seq,
            catalog=changed.catalog,
            at=changed.at,
            known_until=changed.known_until,
            memberships=changed.memberships,
        )
        await self._ports.store.commit([Write(path=path, data=document.encode(public))])


class ErasesWithoutATombstone(Eraser):
    """What is delivered again brings the visitor back."""

    async def _bury(self, id_: str, key: str, at: int) -> int:
        until = await super()._bury(id_, key, at)
        paths = (document.state_path(key), document.profile_path(key))
        await self._store.commit([Write(path=path, data=None) for path in paths])
        return until


class ErasesOnlyWhomItIsAskedFor(Eraser):
    async def _put_down(self, id_: str, keys: Sequence[str]) -> None:  # noqa: ARG002  # the bug
        return


class ErasesEachAtItsOwnInstant(Eraser):
    async def _noted(self, id_: str, erased: Sequence[int]) -> Record:
        _, before = await self._record(id_)
        if len(erased) < len(before.keys):
            return before
        return await super()._noted(id_, [max(erased)] * len(erased))


class TicksAheadOfTime(Ticker):
    async def _tell(self, shard: int, until: int, slots: asyncio.Semaphore) -> None:
        await super()._tell(shard, until + 10 * MINUTE, slots)


class DropsWhatFails(Deliverer):
    async def _postpone(self, delivery: Due, reason: str) -> None:  # noqa: ARG002  # the bug
        return


class NamesEachAttempt(Deliverer):
    async def _post(self, catalog: Catalog, delivery: DeliveryDue, now: int) -> None:
        content = webhook.body(delivery)
        headers = dict(webhook.headers(delivery, content, "", now))
        headers["Idempotency-Key"] += f":{delivery.attempt}"
        destination = catalog.destinations[delivery.destination].webhook
        assert destination
        webhook.expect_success(await self._ports.http.post(destination.url, content, headers, 5.0))


class DeliversOnlyWhatIsNew(Deliverer):
    """Takes a transition for outdated when a later one of the profile was seen."""

    def __init__(self, ports: Ports, catalogs: Catalogs, secrets: Mapping[str, str]) -> None:
        super().__init__(ports, catalogs, secrets)
        self._seen: dict[str, int] = {}

    async def _post(self, catalog: Catalog, delivery: DeliveryDue, now: int) -> None:
        newest = self._seen.get(delivery.key, 0)
        self._seen[delivery.key] = max(newest, delivery.transition.seq)
        if delivery.transition.seq >= newest:
            await super()._post(catalog, delivery, now)


NO_BUG = Variant("evaluate's steps, in order", evaluator=Planted)

BUGS: Sequence[Variant] = (
    Variant("clears the outbox unpublished", evaluator=ClearsTheOutboxUnpublished),
    Variant(
        "clears the outbox without a precondition once it is published", evaluator=ClearsTheOutboxOnceItIsPublished
    ),
    Variant("takes for published what was only meant to be", evaluator=BelievesWhatItMeantToPublish),
    Variant("writes without a precondition", evaluator=NeverComparesBeforeItSets),
    Variant("tries again without reading again", evaluator=TriesAgainWithoutReading),
    Variant("forgets the ids of messages", evaluator=ForgetsMessageIds),
    Variant("folds at its own clock", evaluator=FoldsAtTheWallClock),
    Variant("folds with a catalogue older than the state's", evaluator=FoldsWithAnOldCatalogue),
    Variant("folds only into what answers while the past is filled in", evaluator=FoldsOnlyIntoWhatAnswers),
    Variant("takes the archive for complete", evaluator=TakesTheArchiveForComplete),
    Variant("merges twice", evaluator=MergesTwice),
    Variant("parts without the past of the visitor", evaluator=PartsWithoutThePastOfTheVisitor),
    Variant("erases without a tombstone", eraser=ErasesWithoutATombstone),
    Variant("writes every snapshot, old ones too", updater=WritesEverySnapshot),
    Variant("ticks ahead of time", ticker=TicksAheadOfTime),
    Variant("drops what a destination does not take", deliverer=DropsWhatFails),
    Variant("names each attempt anew", deliverer=NamesEachAttempt),
    Variant("delivers only what is newest", deliverer=DeliversOnlyWhatIsNew),
)

RARE_BUGS: Sequence[Variant] = (
    Variant("acknowledges before publishing", evaluator=AcknowledgesBeforePublishing),
    Variant("publishes the outbox again only with new events", evaluator=RepublishesOnlyWithNewEvents),
    Variant("follows no redirect", evaluator=FollowsNoRedirect),
    Variant("follows redirects without a proof", evaluator=FollowsRedirectsWithoutAProof),
    Variant("keeps only the ids of the user", evaluator=KeepsOnlyTheIdsOfTheUser),
    Variant("links without a precondition", evaluator=LinksWithoutAPrecondition),
    Variant("links one document after the other", evaluator=LinksOneAfterTheOther),
    Variant("links again what was withdrawn", evaluator=LinksAgainWhatWasWithdrawn),
    Variant("erases only whom it is asked for", eraser=ErasesOnlyWhomItIsAskedFor),
    Variant("erases each at its own instant", eraser=ErasesEachAtItsOwnInstant),
)
"""Those that take seconds to be seen."""
