"""A visitor is erased: state, public document, links, failed events and archive, with all profiles that are linked.

First it is put down which profiles these are, for once the first is erased nothing tells any more. Then each state
becomes a tombstone, which lets nothing in that was received before; then everything else goes. Whoever is cut short
begins again: each step changes nothing where it was done already.
"""

from collections.abc import Mapping
from functools import partial

import msgspec

from segue import retries, telemetry
from segue.domain import document, erasure, links, strict
from segue.domain.document import FAILED_EVENTS, StateDocument
from segue.domain.erasure import Content, Record
from segue.domain.message import PROFILE_ERASED, FailedMessage, ProfileErased
from segue.ports import ABSENT, Message, Ports, Write

KINDS = {PROFILE_ERASED: ProfileErased}


class Eraser:
    """Erases visitors, each with everybody they were found to be."""

    def __init__(self, ports: Ports) -> None:
        self._store = ports.store
        self._archive = ports.archive
        self._clock = ports.clock

    async def __call__(self, message: Message) -> None:
        """Return once nothing is left of the visitor as they were when it was asked, and nothing can come back."""
        asked = strict.decode_one_of(message.type, message.data, KINDS)
        keys = await retries.on_conflict(self._clock, message.id, lambda: self._concerned(message.id, asked))
        erased = {
            key: await retries.on_conflict(self._clock, f"{message.id}:{key}", partial(self._bury, key, asked.at))
            for key in keys
        }
        await self._forget_failures(erased)
        await self._archive.erase(erased)
        telemetry.note("profile_erased", key=asked.key, count=len(erased))

    async def _concerned(self, id_: str, asked: ProfileErased) -> tuple[str, ...]:
        """The keys of the visitor's profiles: put down at the first try, and the same at every other."""
        path = erasure.record_path(id_)
        known = await self._store.get(path)
        if known:
            return msgspec.json.decode(known.data, type=Record).keys
        state = await self._state(asked.key)
        root = state.redirect.key if state and state.redirect else asked.key
        whole = await self._state(root)
        linked = [link.key for link in whole.linked] if whole else []
        keys = tuple(dict.fromkeys([asked.key, root, *linked]))
        record = msgspec.json.encode(Record(at=asked.at, keys=keys))
        await self._store.commit([Write(path=path, data=record, expects=ABSENT)])
        return keys

    async def _state(self, key: str) -> StateDocument | None:
        stored = await self._store.get(document.state_path(key))
        return document.decode_state(stored.data) if stored else None

    async def _bury(self, key: str, at: int) -> int:
        """Put a tombstone in the place of a profile; the instant up to which it is erased."""
        stored = await self._store.get(document.state_path(key))
        before = document.decode_state(stored.data) if stored else None
        if before and before.erased_at is not None and before.erased_at >= at:
            return before.erased_at
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
