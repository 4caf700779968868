"""Which segments a visitor is in at an instant: read from the public profile, or computed from the private state."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from functions.lookup.reading import Reader, Recent
from segue.catalogs import Catalogs, Compiled
from segue.domain import decision, document, links, rules, sweep
from segue.domain.document import PublicProfile, StateDocument
from segue.domain.errors import Invalid, Unavailable
from segue.domain.event import Json
from segue.domain.membership import Interval, covers, is_named
from segue.domain.message import MembershipChanged
from segue.domain.profile import ProfileRef
from segue.domain.slot import Source
from segue.domain.time import DAY
from segue.ports import Ports

Read = TypeVar("Read")
Stored = TypeVar("Stored")

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.025
PAUSE_GROWTH = 1.5

FURTHEST = 3_653 * DAY
"""How far ahead may be asked. What clocks and calendars change is worked out day by day up to there."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor's segments at the instant `as_of`, each with the interval of membership that covers it.

    `known`: some event of the visitor has been evaluated. `unnamed` are the unnamed segments that hold the visitor,
    which only decisions are told of. `approximate`: segments whose evidence passed a cap. `includes`: the message that
    was asked for is in the answer; true if none was. `bucketing_id`: what a known visitor is bucketed by in
    experiments. `profile`: who a known visitor is, or turned out to be.
    """

    known: bool
    as_of: int
    segments: Mapping[str, Interval]
    unnamed: frozenset[str] = frozenset()
    approximate: frozenset[str] = frozenset()
    includes: bool = True
    bucketing_id: str | None = None
    profile: ProfileRef | None = None


class Person(msgspec.Struct, frozen=True):
    """A visitor as they were evaluated last: the document, its state, and the catalogue that reads it."""

    document: StateDocument
    state: rules.State
    compiled: Compiled


class Past(Invalid):
    """An instant before a visitor's last evaluation, of which documents tell nothing."""

    def __init__(self, at: int, evaluated: int) -> None:
        super().__init__(f"expected an instant from the last evaluation on, {evaluated}, found {at}", path="at")
        self.at = at


class Lookup:
    """Answers for one visitor, named by the profile's key.

    Raises `Unavailable` if the documents cannot be read, at once while the store is known to be down.
    """

    def __init__(self, ports: Ports, catalogs: Catalogs, recent_ms: int = 0) -> None:
        """`recent_ms`: how long a public document may be answered from memory to whoever is content with that."""
        self._reader = Reader(ports.store, ports.clock)
        self._recent: Recent[PublicProfile] = Recent(recent_ms)
        self._archive = ports.archive
        self._clock = ports.clock
        self._catalogs = catalogs

    def at_hand(self, key: str, compiled: Compiled) -> Answer | None:
        """The segments now, by a snapshot that this instance began to read less than `recent_ms` ago, if it has one
        that is exact and of this catalogue: nothing is waited for."""
        now = self._clock.now()
        profile = self._recent.get(key, now)
        if profile and profile.into:
            profile = self._recent.get(profile.into, now)
        return _answer_of(profile, compiled, max(now, profile.at)) if profile else None

    async def answer(self, key: str, compiled: Compiled, at: int | None = None) -> Answer:
        """The segments at `at`, by default now.

        The public snapshot answers while it is exact and of this catalogue, else the state does: no answer waits for a
        tick, nor for the snapshot of a visitor's first event. Of an instant before the last evaluation the archive
        tells what was told then, by the definitions of that day.
        """
        try:
            return await self._answer_of_documents(key, compiled, at)
        except Past as past:
            return await self._answer_of_archive(key, past.at)

    async def newest(self, key: str, compiled: Compiled) -> Answer:
        """The segments now, by the state: whatever was announced of the visitor is in it, as it is written first."""
        return await self._answer_of_state(key, compiled, None)

    async def _answer_of_documents(self, key: str, compiled: Compiled, at: int | None) -> Answer:
        profile = await self._profile(key)
        found = _answer_of(profile, compiled, self._instant(at, profile.at)) if profile else None
        return found or await self._answer_of_state(key, compiled, at)

    async def _answer_of_archive(self, key: str, at: int) -> Answer:
        told = await self._archive.snapshot(key, at)
        if told is not None and told.into is not None:
            told = await self._archive.snapshot(told.into, at)
        if told is None:
            return Answer(known=False, as_of=at, segments={})
        exact = told.known_until is None or at < told.known_until
        approximate = told.approximate if exact else told.memberships
        return _answer(at, told.memberships, approximate, told)

    async def explanation(self, key: str, compiled: Compiled, segment: str, at: int | None = None) -> rules.Explanation:
        """Why the visitor is in a segment at `at`, by default now, or not: from the state alone, in one read.

        Raises `NotFound` for a segment that the catalogue does not have, `Invalid` as `answer` does.
        """
        person = await self.person(key, compiled)
        program, state = (person.compiled.program, person.state) if person else (compiled.program, rules.empty())
        return rules.explain(program, state, segment, self._instant(at, state.instant))

    async def links(self, key: str) -> links.Ledger | None:
        """What was decided of the anonymous visitors that a user is said to be, or the user that one turned out to be;
        None: nobody was ever said to be them."""
        found = await self._reader.get(document.state_path(key))
        state = readable(document.decode_state, found.data) if found else None
        noted = await self._reader.get(links.path(state.redirect.key if state and state.redirect else key))
        return readable(links.decode, noted.data) if noted else None

    async def filled(self, compiled: Compiled) -> float:
        """The part of the profiles whose past has been looked through for what is newly measured, from 0 to 1."""
        if compiled.prepared is None:
            return 1.0
        found = await self._reader.get(sweep.PATH)
        known = readable(sweep.decode, found.data) if found else None
        return known.share if known and known.catalog == compiled.version else 0.0

    async def answers_up_to(
        self, keys: Sequence[str], compiled: Compiled, message_id: str
    ) -> AsyncIterator[tuple[str, Answer]]:
        """What is known now, again and again, until an answer includes the message; that one is the last. Each comes
        with its key: that of the profile that has the message, else of the first one that is known."""
        pause = FIRST_PAUSE_S
        while True:
            found: list[tuple[str, Answer]] = []
            for key in keys:
                answer = await self._answer_of_state(key, compiled, None, message_id)
                if answer.includes:
                    yield key, answer
                    return
                found.append((key, answer))
            yield next((each for each in found if each[1].known), found[0])
            await self._clock.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S)

    async def values(self, key: str, compiled: Compiled, sources: Collection[Source]) -> Mapping[Source, Json]:
        """Those of these values that the visitor has now, from the state."""
        person = await self.person(key, compiled)
        if person is None:
            return {}
        return decision.values(person.compiled.program, person.state, sources, self.instant_of(person))

    async def _answer_of_state(
        self, key: str, compiled: Compiled, at: int | None, message_id: str | None = None
    ) -> Answer:
        person = await self.person(key, compiled)
        if person is None:
            return Answer(known=False, as_of=self._instant(at, 0), segments={}, includes=message_id is None)
        state = person.state
        instant = self._instant(at, state.instant)
        timeline = rules.timeline(person.compiled.program, state, instant)
        includes = message_id is None or rules.holds(state, message_id)
        return _answer(instant, timeline.memberships, timeline.approximate, person.document, includes)

    async def person(self, key: str, compiled: Compiled) -> Person | None:
        """All that evaluate knows of the visitor, or of the user that they turned out to be; None: nothing."""
        stored = await self._state(key)
        if stored is None:
            return None
        if stored.catalog > compiled.version:
            compiled = await self._catalogs.at_least(stored.catalog)
        return Person(stored, readable(compiled.state_of, stored), compiled)

    def instant_of(self, person: Person) -> int:
        """Now, as it is to this visitor."""
        return self._instant(None, person.state.instant)

    def _instant(self, at: int | None, evaluated: int) -> int:
        """The instant to answer for. A profile's time never goes back, whichever instance's clock is behind."""
        if at is None:
            return max(self._clock.now(), evaluated)
        if at > max(self._clock.now(), evaluated) + FURTHEST:
            raise Invalid(f"expected an instant at most {FURTHEST // DAY} days ahead, found {at}", path="at")
        if at < evaluated:
            raise Past(at, evaluated)
        return at

    async def _profile(self, key: str) -> PublicProfile | None:
        """The public profile, that of the user if an anonymous visitor turned out to be one. That there is none is not
        remembered: a visitor's first event is seen at once."""
        for _ in range(1 + links.MOST_REDIRECTS):
            began = self._clock.now()
            found = await self._reader.get(document.profile_path(key))
            if found is None:
                return None
            profile = readable(document.decode_profile, found.data)
            self._recent.put(key, profile, began)
            if profile.into is None:
                return None if profile.is_erased else profile
            key = profile.into
        raise Unavailable("the visitor's documents refer to each other")

    async def _state(self, key: str) -> StateDocument | None:
        """The state, that of the user if an anonymous visitor turned out to be one."""
        for _ in range(1 + links.MOST_REDIRECTS):
            found = await self._reader.get(document.state_path(key))
            state = readable(document.decode_state, found.data) if found else None
            if state is None or state.redirect is None:
                return None if state and state.is_erased else state
            key = state.redirect.key
        raise Unavailable("the visitor's documents refer to each other")


def readable(decode: Callable[[Stored], Read], data: Stored) -> Read:
    """What the bytes say. That they say nothing is not the asker's fault, and may be mended."""
    try:
        return decode(data)
    except Invalid as error:
        raise Unavailable(f"the visitor's document cannot be read: {error}") from error


def _bucketed_by(known: PublicProfile | StateDocument | MembershipChanged) -> str:
    return known.bucketing_id or known.profile.value


def _answer_of(profile: PublicProfile, compiled: Compiled, instant: int) -> Answer | None:
    """What a snapshot answers; None where the state has to."""
    is_exact = profile.known_until is None or instant < profile.known_until
    if profile.into is not None or profile.is_erased or profile.catalog < compiled.version or not is_exact:
        return None
    return _answer(instant, profile.memberships, profile.approximate, profile)


def _answer(
    instant: int,
    memberships: Mapping[str, tuple[Interval, ...]],
    approximate: Iterable[str],
    known: PublicProfile | StateDocument | MembershipChanged,
    includes: bool = True,
) -> Answer:
    spans = {segment: covers(intervals, instant) for segment, intervals in memberships.items()}
    return Answer(
        known=True,
        as_of=instant,
        segments={segment: span for segment, span in spans.items() if span and is_named(segment)},
        unnamed=frozenset(segment for segment, span in spans.items() if span and not is_named(segment)),
        approximate=frozenset(approximate),
        includes=includes,
        bucketing_id=_bucketed_by(known),
        profile=known.profile,
    )
