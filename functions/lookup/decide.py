"""What to show a visitor: content for each slot, always in time, and default content where nothing is known."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from functions.lookup.lookup import Answer, Lookup
from segue.catalogs import Compiled
from segue.domain.catalog import DEFAULT_VARIANT, Slot
from segue.domain.errors import Unavailable
from segue.domain.event import Json
from segue.domain.part import Content
from segue.domain.profile import IdentifierKind

Reason: TypeAlias = Literal[
    "targeting_match", "default", "unknown_visitor", "unknown_slot", "deadline", "store_unavailable"
]
"""Why a slot gets its content.

| reason | content |
| --- | --- |
| targeting_match | that of the first variant whose segment the visitor is in |
| default | the default: the visitor is in no variant's segment |
| unknown_visitor | the default: no event of the visitor has been evaluated |
| deadline | the default: nothing was known in time |
| store_unavailable | the default: what is known cannot be read |
| unknown_slot | none: the catalogue has no such slot |
"""

DEFAULT_DEADLINE_MS, LONGEST_DEADLINE_MS = 150, 10_000
MOST_SLOTS = 100


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: which slots for which visitor, perhaps not before a message is included, and how soon.

    A browser need not say which visitor: it can only ask about its own.
    """

    profile: dict[IdentifierKind, Json] = {}
    slots: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_SLOTS)]
    after: str | None = None
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_DEADLINE_MS)] = DEFAULT_DEADLINE_MS


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What fills a slot, and why; `segment` is the one that was decisive.

    `includes_after` is said where `after` was asked: whether its message is included.
    """

    content: Content | None
    variant: str | None
    reason: Reason
    segment: str | None = None
    includes_after: bool | None = None


class Known(msgspec.Struct, frozen=True):
    """The newest answer that there was in time, if there was any, and why there is no newer one, if one was wanted."""

    answer: Answer | None
    failure: Reason | None = None


async def decide(
    question: Question, key: str, compiled: Compiled, lookup: Lookup, deadline: float
) -> Mapping[str, Decision]:
    """A decision for each slot: at `deadline` (the event loop's clock) at the latest, from the best known by then."""
    known = await known_by(deadline, key, compiled, lookup, after=question.after)
    includes_after = None if question.after is None else known.answer is not None and known.answer.includes
    decisions = decided(question.slots, compiled, known)
    return {name: replace(decision, includes_after=includes_after) for name, decision in decisions.items()}


async def known_by(
    deadline: float, key: str, compiled: Compiled, lookup: Lookup, *, after: str | None = None, newest: bool = False
) -> Known:
    """What is known of a visitor at `deadline` (the event loop's clock) at the latest: with the message `after`, or
    the `newest` there is, or else what may be a moment old."""
    answer: Answer | None = None
    try:
        async with asyncio.timeout_at(deadline):
            async for newer in _answers(key, compiled, lookup, after, newest):
                answer = newer
    except TimeoutError:
        return Known(answer, "deadline")
    except Unavailable:
        return Known(answer, "store_unavailable")
    return Known(answer)


def decided(slots: Iterable[str], compiled: Compiled, known: Known) -> Mapping[str, Decision]:
    """A decision for each of these slots, from what is known."""
    return {name: _decision(compiled.catalog.slots.get(name), known.answer, known.failure) for name in slots}


async def _answers(
    key: str, compiled: Compiled, lookup: Lookup, after: str | None, newest: bool
) -> AsyncIterator[Answer]:
    if after is not None:
        async for answer in lookup.answers_up_to(key, compiled, after):
            yield answer
    elif newest:
        yield await lookup.newest(key, compiled)
    else:
        yield await lookup.answer(key, compiled, recent=True)


def _decision(slot: Slot | None, answer: Answer | None, failure: Reason | None) -> Decision:
    if slot is None:
        return Decision(content=None, variant=None, reason="unknown_slot")
    if answer is None or not answer.known:
        return _default(slot, failure or "unknown_visitor")
    for variant in slot.variants:
        if variant.segment in answer.segments:
            return Decision(
                content=variant.content, variant=variant.name, reason="targeting_match", segment=variant.segment
            )
    return _default(slot, "default")


def _default(slot: Slot, reason: Reason) -> Decision:
    return Decision(content=slot.default, variant=DEFAULT_VARIANT, reason=reason)
