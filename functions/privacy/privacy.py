"""A visitor is erased: state, public document, links, failed events and archive, with all profiles that are linked.

It is put down which profiles these are, for once one is erased it does not tell of the others any more. Each state
becomes a tombstone, which lets nothing in that was received before; then everything else goes. Whoever is cut short
begins again: each step changes nothing where it was done already.

Where an archive is written behind our back, something may come to it later. It is never read, and a schedule has those
who were erased lately erased of it again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from segue import retries, telemetry
from segue.domain import document, erasure, links, strict
from segue.domain.document import FAILED_EVENTS
from segue.domain.erasure import Content, Record
from segue.domain.errors import Unavailable
from segue.domain.message import ERASURES_DUE, PROFILE_ERASED, ErasuresDue, FailedMessage, ProfileErased
from segue.domain.time import DAY
from segue.ports import ABSENT, Document, Message, Ports, Write

KINDS: Mapping[str, type[ProfileErased | ErasuresDue]] = {PROFILE_ERASED: ProfileErased, ERASURES_DUE: ErasuresDue}

LATELY = 9 * DAY
"""So long after an erasure something may come to the archive: its subscriptions keep a message for 7 days, and the
schedule comes once a day."""

Done = TypeVar("Done")


class Eraser:
    """Erases visitors, each with everybody they were found to be."""

    def __init__(self, ports: Ports) -> None:
        self._store = ports.store
        self._archive = ports.archive
        self._clock = ports.clock

    async def __call__(self, message: Message) -> None:
        """Do what a message asks for, all of it."""
        match strict.decode_one_of(message.type, message.data, KINDS):
            case ProfileErased() as asked:
                await self._erase(message.id, asked)
            case ErasuresDue():
                await self._erase_what_came_late(message.time)

    async def _erase(self, id_: str, asked: ProfileErased) -> None:
        """Return once nothing is left of the visitor as they were when it was asked, and nothing can come back."""
        record = await self._again(id_, partial(self._begun, id_, asked))
        while record.until is None:
            record = await self._round(id_, record)
        erased = dict.fromkeys(record.keys, record.until)
        await self._forget_failures(erased)
        await self._archive.erase(erased)
        telemetry.note("profile_erased", key=asked.key, count=len(erased))

    async def _erase_what_came_late(self, at: int) -> None:
        records = [erasure.decode_record(stored.data) async for _, stored in self._store.scan(erasure.RECORDS)]
        lately = [(record.until, record.keys) for record in records if record.until and record.until > at - LATELY]
        erased = {key: until for until, keys in sorted(lately) for key in keys}
        if erased:
            await self._archive.erase(erased)

    async def _begun(self, id_: str, asked: ProfileErased) -> Record:
        known = await self._store.get(erasure.record_path(id_))
        if known:
            return erasure.decode_record(known.data)
        record = Record(at=asked.at, keys=(asked.key,))
        await self._store.commit([_write(id_, record, None)])
        return record

    async def _round(self, id_: str, record: Record) -> Record:
        """Bury everybody who is known to be the visitor, and find out whether that was all.

        All are to be erased up to one instant: what one of them received while the others were buried went with those.
        """
        erased = [await self._again(f"{id_}:{key}", partial(self._bury, id_, key, record.at)) for key in record.keys]
        return await self._again(id_, partial(self._noted, id_, erased))

    async def _noted(self, id_: str, erased: Sequence[int]) -> Record:
        """The record after a round that buried profiles up to these instants."""
        stored, before = await self._record(id_)
        latest = max(erased)
        is_over = len(erased) == len(before.keys) and min(erased) == latest
        after = msgspec.structs.replace(before, at=latest, until=latest if is_over else None)
        await self._store.commit([_write(id_, after, stored)])
        return after

    async def _bury(self, id_: str, key: str, at: int) -> int:
        """Put a tombstone in the place of a profile; the instant up to which it is erased."""
        stored = await self._store.get(document.state_path(key))
        before = document.decode_state(stored.data) if stored else None
        if before and before.erased_at is not None and before.erased_at >= at:
            return before.erased_at
        if before:
            await self._put_down(id_, erasure.relatives(before))
        tombstone, public = erasure.buried(before, at)
        await self._store.commit(
            [
                Write(
                    path=document.state_path(key),
                    data=document.encode(tombstone),
                    expects=stored.version if stored else ABSENT,
                ),
                Write(path=document.profile_path(key), data=document.encode(public)),
                Write(path=links.path(key), data=None),
            ]
        )
        return public.at

    async def _put_down(self, id_: str, keys: Sequence[str]) -> None:
        stored, before = await self._record(id_)
        new = [key for key in keys if key not in before.keys]
        if new:
            after = msgspec.structs.replace(before, keys=(*before.keys, *new))
            await self._store.commit([_write(id_, after, stored)])

    async def _record(self, id_: str) -> tuple[Document, Record]:
        stored = await self._store.get(erasure.record_path(id_))
        if stored is None:
            raise Unavailable(f"{id_}: the record of the erasure is gone")
        return stored, erasure.decode_record(stored.data)

    async def _again(self, name: str, attempt: Callable[[], Awaitable[Done]]) -> Done:
        return await retries.on_conflict(self._clock, name, attempt)

    async def _forget_failures(self, erased: Mapping[str, int]) -> None:
        async for id_, stored in self._store.scan(FAILED_EVENTS):
            failed = msgspec.json.decode(stored.data, type=FailedMessage)
            content = Content(failed.type, failed.data.encode())
            left = erasure.remaining(content, erased)
            if left == content:
                continue
            kept = left and msgspec.structs.replace(failed, type=left.type, data=left.data.decode())
            data = msgspec.json.encode(kept) if kept and kept.type == failed.type else None
            await self._store.commit([Write(path=f"{FAILED_EVENTS}/{id_}", data=data, expects=stored.version)])


def _write(id_: str, record: Record, stored: Document | None) -> Write:
    expects = stored.version if stored else ABSENT
    return Write(path=erasure.record_path(id_), data=msgspec.json.encode(record), expects=expects)
