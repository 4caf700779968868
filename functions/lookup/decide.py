"""What to show a visitor: content for each slot, always in time, and default content where nothing is known."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Annotated

import msgspec
from msgspec.structs import replace

from functions.lookup.lookup import Answer, Lookup
from functions.lookup.names import Names
from segue.catalogs import Compiled
from segue.domain.decision import Decision, Place, Reason, Visitor, asked_for, decision, fallback
from segue.domain.errors import Unavailable
from segue.domain.event import Json
from segue.domain.profile import IdentifierKind
from segue.domain.slot import Source

DEFAULT_DEADLINE_MS, LONGEST_DEADLINE_MS = 150, 10_000
MOST_SLOTS = 100


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: which slots for which visitor, perhaps not before a message is included, and how soon.

    `profile` has a user id, an anonymous id, or both: then experiments go by the anonymous id, as before the login. A
    browser need not say which visitor: it can only ask about its own.
    """

    profile: dict[IdentifierKind, Json] = {}
    slots: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_SLOTS)]
    after: str | None = None
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_DEADLINE_MS)] = DEFAULT_DEADLINE_MS


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked about, by the names and the keys of their profiles, and for which slots: with the message `after`,
    or the `newest` there is, or what is known now; if it may be `recent`, what was known a moment ago will do."""

    names: Names
    keys: tuple[str, ...]
    slots: Collection[str]
    after: str | None = None
    newest: bool = False
    recent: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The newest answer that there was in time, if there was any, and why there is no newer one, if one was wanted.

    `key` is that of the profile that answered. `values` are those that the content decided on is bound to, as far as
    they came in time.
    """

    inquiry: Inquiry
    answer: Answer | None = None
    key: str = ""
    failure: Reason | None = None
    values: Mapping[Source, Json] = {}


async def decide(inquiry: Inquiry, compiled: Compiled, lookup: Lookup, deadline: float) -> Mapping[str, Decision]:
    """A decision for each slot: at `deadline` (the event loop's clock) at the latest, from the best known by then."""
    known = await known_by(deadline, inquiry, compiled, lookup)
    includes_after = None if inquiry.after is None else known.answer is not None and known.answer.includes
    decisions = decided(inquiry.slots, compiled, known)
    return {name: replace(found, includes_after=includes_after) for name, found in decisions.items()}


async def known_by(deadline: float, inquiry: Inquiry, compiled: Compiled, lookup: Lookup) -> Known:
    """What is known of a visitor at `deadline` (the event loop's clock) at the latest.

    For content that is bound to the visitor's own values, and only for that, their state is read besides.
    """
    known = _at_hand(inquiry, compiled, lookup)
    if known.answer and not _asked_for(compiled, known):
        return known
    try:
        async with asyncio.timeout_at(deadline):
            if known.answer is None:
                async for key, newer in _answers(inquiry, compiled, lookup):
                    known = replace(known, answer=newer, key=key)
            sources = _asked_for(compiled, known)
            if sources:
                known = replace(known, values=await lookup.values(known.key, compiled, sources))
    except TimeoutError:
        return replace(known, failure="deadline")
    except Unavailable:
        return replace(known, failure="store_unavailable")
    return known


def _at_hand(inquiry: Inquiry, compiled: Compiled, lookup: Lookup) -> Known:
    """What is known without waiting for anything, where that will do."""
    key = inquiry.keys[0]
    at_once = inquiry.recent and not inquiry.newest and inquiry.after is None
    return Known(inquiry=inquiry, answer=lookup.at_hand(key, compiled) if at_once else None, key=key)


def decided(slots: Iterable[str], compiled: Compiled, known: Known) -> Mapping[str, Decision]:
    """A decision for each of these slots, from what is known."""
    return {name: _decision(compiled.slots.get(name), known) for name in slots}


async def _answers(inquiry: Inquiry, compiled: Compiled, lookup: Lookup) -> AsyncIterator[tuple[str, Answer]]:
    """Better and better answers, each with the key of the profile that gives it."""
    if inquiry.after is not None:
        async for found in lookup.answers_up_to(inquiry.keys, compiled, inquiry.after):
            yield found
        return
    read = lookup.newest if inquiry.newest else lookup.answer
    for key in inquiry.keys:
        answer = await read(key, compiled)
        yield key, answer
        if answer.known:
            return


def _asked_for(compiled: Compiled, known: Known) -> frozenset[Source]:
    places = [compiled.slots[name] for name in known.inquiry.slots if name in compiled.slots]
    binding = [place for place in places if place.binds]
    return frozenset().union(*(asked_for(place, _decision(place, known)) for place in binding))


def _decision(place: Place | None, known: Known) -> Decision:
    if place is None:
        return fallback(None, "unknown_slot")
    if known.answer is None or (known.failure and not known.answer.known):
        return fallback(place.slot, known.failure or "unknown_visitor")
    return decision(place, _visitor(known, known.answer))


def _visitor(known: Known, answer: Answer) -> Visitor:
    return Visitor(
        at=answer.as_of,
        known=answer.known,
        segments=answer.segments.keys() | answer.unnamed,
        bucketing_id=known.inquiry.names.bucketing_id(answer.bucketing_id),
        values=known.values,
    )
