"""What the archive has of a profile: its own messages, and those of the anonymous visitors that it turned out to be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from segue.domain import document, links, rules
from segue.domain.document import Redirect, StateDocument
from segue.domain.message import EventsReceived
from segue.ports import Archive, Message, Store

Archived: TypeAlias = tuple[str, EventsReceived]
"""A message's id and its data."""


class PastNeeded(Exception):
    """The work cannot be done without the profile's history: its state lacks what is measured now."""


class Past(msgspec.Struct, frozen=True):
    """The messages with events that were archived under each of these keys."""

    keys: frozenset[str]
    messages: Mapping[str, Sequence[Message]]

    def of(self, key: str, before: StateDocument) -> tuple[rules.Delivery, ...]:
        """The history of a profile as its document says who belongs to it.

        Raises PastNeeded unless all of it was looked up.
        """
        return tuple((id_, received.events) for id_, received in self.messages_of(key, before))

    def messages_of(self, key: str, before: StateDocument) -> tuple[Archived, ...]:
        """The messages of that history, with their ids. Raises as `of` does."""
        if not self.keys.issuperset(keys_of(key, before)):
            raise PastNeeded
        own = self.received(key)
        if before.redirect:
            return tuple(each for each in own if not links.follows(each[1], before.redirect))
        joined = (
            each
            for link in before.linked
            for each in self.received(link.key)
            if links.follows(each[1], Redirect(key, before.profile, link.at))
        )
        return (*own, *joined)

    def received(self, key: str) -> Iterator[Archived]:
        """The messages of one key, with their ids."""
        for each in self.messages.get(key, ()):
            yield each.id, msgspec.json.decode(each.data, type=EventsReceived)


def keys_of(key: str, before: StateDocument) -> Sequence[str]:
    """The keys under which a profile's messages were archived."""
    return [key, *(link.key for link in before.linked)]


async def past(archive: Archive, keys: Sequence[str]) -> Past:
    """What is archived under these keys."""
    return Past(frozenset(keys), await archive.histories(keys))


async def history(store: Store, archive: Archive, key: str) -> tuple[EventsReceived, ...]:
    """All that was archived of a visitor; of an anonymous one who is linked, all of the user that they are."""
    stored = await store.get(document.state_path(key))
    before = document.decode_state(stored.data) if stored else None
    if before and before.redirect:
        return await history(store, archive, before.redirect.key)
    found = await past(archive, keys_of(key, before) if before else [key])
    messages = found.messages_of(key, before) if before else found.received(key)
    return tuple(received for _, received in messages)
