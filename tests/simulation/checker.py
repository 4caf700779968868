"""What must hold at every step, and what must be true once everything has come to rest."""

from collections.abc import Iterable, Mapping

import msgspec

from segue.catalogs import Compiled
from segue.domain import links, rules
from segue.domain.document import (
    FAILED_EVENTS,
    PROFILES,
    STATES,
    PublicProfile,
    Redirect,
    StateDocument,
    decode_profile,
    decode_state,
)
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.membership import Interval, Timeline, Transition, covers, is_named
from segue.domain.message import (
    ERASURES,
    EVENTS,
    EVENTS_RECEIVED,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    MEMBERSHIPS,
    EventsReceived,
    FailedMessage,
    LinkRequested,
    LinkWithdrawn,
    MembershipChanged,
    ProfileErased,
)
from segue.domain.strict import decode
from segue.ports import Message, Write
from tests.simulation.ports import Cloud
from tests.simulation.workload import DESTINATIONS, GRACE, IMPORTED, Workload
from tests.simulation.world import Violation, World

LARGEST_OUTBOX = 64 * 1_024
"""Bytes: what the small messages of the workload may lead to at most."""


class Checker:
    """Watches every effect, and remembers all that was ever decided, announced and received."""

    def __init__(self, world: World, cloud: Cloud, workload: Workload) -> None:
        self._world = world
        self._cloud = cloud
        self._workload = workload
        self._decided: dict[str, bytes] = {}
        self._transitions: dict[str, list[Transition]] = {}
        self._effects: dict[str, bytes] = {}
        self._forgotten: set[str] = set()
        """Transitions of visitors before they were erased, and what was not yet announced of them."""
        self._unpublished: set[str] = set()
        cloud.on_write.append(self._written)
        cloud.on_publish.append(self._published)

    # At every step

    def _written(self, write: Write, replaced: bytes | None) -> None:
        collection, _, key = write.path.partition("/")
        if collection == STATES:
            self._state_written(key, write.data or b"", replaced)
        elif collection == PROFILES:
            self._profile_written(
                key, decode_profile(write.data or b""), decode_profile(replaced) if replaced else None
            )

    def _state_written(self, key: str, data: bytes, replaced: bytes | None) -> None:
        after, before = decode_state(data), decode_state(replaced) if replaced else None
        state = rules.decode(after.state)
        old = rules.decode(before.state) if before else rules.empty()
        self._expect(after.rev == (before.rev if before else 0) + 1, f"the revision of {key} does not grow by one")
        self._expect(state.seq >= old.seq, f"the sequence of {key} goes back")
        self._expect(after.is_erased or state.instant >= old.instant, f"the instant of {key} goes back")
        self._expect(not before or after.catalog >= before.catalog, f"the catalogue of {key} goes back")
        self._expect(len(msgspec.msgpack.encode(after.outbox)) <= LARGEST_OUTBOX, f"the outbox of {key} grows")
        for entry in after.outbox:
            if before is None or entry not in before.outbox:
                self._decide(entry)
        if after.is_erased:
            self._forgotten |= {f"{key}:{each.seq}" for each in self._transitions.pop(key, [])}
            self._unpublished |= {f"{entry.key}:{entry.seq}" for entry in (before.outbox if before else ())}

    def _decide(self, entry: MembershipChanged) -> None:
        """A committed outbox entry is what there is to announce: once, of consecutive truths, and not too early."""
        name = f"{entry.key}:{entry.seq}"
        self._expect(name not in self._decided, f"{name} is decided twice")
        self._decided[name] = msgspec.json.encode(entry)
        known = self._transitions.setdefault(entry.key, [])
        for transition in entry.transitions:
            self._expect(transition.seq > (known[-1].seq if known else 0), f"a transition of {name} has an old number")
            self._expect(transition.transition == _next(known, transition.segment), f"{name} repeats {transition}")
            self._expect(transition.at <= self._time_of(entry), f"{name} is announced before its instant: {transition}")
            known.append(transition)

    def _time_of(self, entry: MembershipChanged) -> int:
        return self._workload.log_now if entry.profile == IMPORTED else self._world.now

    def _published(self, topic: str, message: Message) -> None:
        if topic == MEMBERSHIPS:
            self._expect(self._decided.get(message.id) == message.data, f"{message.id} is announced without a cause")

    def _profile_written(self, key: str, after: PublicProfile, before: PublicProfile | None) -> None:
        self._expect(before is None or after.seq > before.seq, f"the public document of {key} goes back")

    def received(self, destination: str, idempotency_key: str, body: bytes) -> None:
        """A destination took a delivery; copies have no effect there."""
        known = self._effects.setdefault(idempotency_key, body)
        self._expect(known == body, f"{idempotency_key} stands for two things")
        self._expect(idempotency_key.endswith(f":{destination}"), f"{destination} got {idempotency_key}")

    # At rest

    def at_rest(self, compiled: Compiled) -> None:
        """Everything published has had its effect, exactly once, and nothing else has."""
        self._outboxes_are_published()
        self._destinations_know_everything()
        states = {key: decode_state(data) for key, data in self._cloud.collection(STATES)}
        public = {key: decode_profile(data) for key, data in self._cloud.collection(PROFILES)}
        self._ledger_closes(states)
        self._links_are_whole(states, public)
        redirects = {key: document.redirect for key, document in states.items() if document.redirect}
        erased = _erased(states)
        events = _accepted(self._received_events(), redirects, erased)
        self._expect(states.keys() == public.keys() >= events.keys(), "some profile is missing")
        asked = {key for pair in self._pairs(LINK_REQUESTED, LinkRequested) for key in pair}
        self._expect(states.keys() <= events.keys() | asked | erased.keys(), "there is a profile too many")
        self._erased_are_forgotten(states, public)
        for key, document in states.items():
            state = rules.decode(document.state)
            until = self._workload.log_now if document.imported else self._world.now
            self._memberships_are_those_of_one_thread(key, compiled, state, events.get(key, ()), until)
            self._public_document_agrees(key, compiled, state, public[key], until)
            self._announcements_add_up(key, state, self._workload.ticked["import" if document.imported else "wall"])

    def _erased_are_forgotten(self, states: Mapping[str, StateDocument], public: Mapping[str, PublicProfile]) -> None:
        """Nothing of before is left of whoever asked for it, nor of those they were found to be; nothing came back."""
        for message in self._cloud.published.get(ERASURES, ()):
            asked = decode(message.data, ProfileErased)
            document = states.get(asked.key)
            until = document.erased_at if document else None
            self._expect(until is not None and until >= asked.at, f"{asked.key} was not erased")
        for key, document in states.items():
            if document.erased_at is None:
                continue
            self._expect(self._cloud.erased.get(key) == document.erased_at, f"the archive knows more of {key}")
            self._expect(document.is_erased == public[key].is_erased, f"{key} is half erased")
            since = [link.at for link in document.linked] + ([document.redirect.at] if document.redirect else [])
            self._expect(all(at > document.erased_at for at in since), f"{key} is linked by what was before")

    def _links_are_whole(self, states: Mapping[str, StateDocument], public: Mapping[str, PublicProfile]) -> None:
        """Every request was carried out or refused; redirects, users' states and ledgers tell of the same links. Of
        those who were erased no ledger tells any more."""
        forgotten = _erased(states).keys()

        def told(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
            return {pair for pair in pairs if forgotten.isdisjoint(pair)}

        ledgers = {key: links.decode(data) for key, data in self._cloud.collection(links.LINKS)}
        noted = {(entry.key, key, entry.status) for key, ledger in ledgers.items() for entry in ledger.entries}
        linked = {(visitor, key) for visitor, key, status in noted if status == "linked"}
        redirected = {(key, document.redirect.key) for key, document in states.items() if document.redirect}
        merged = {(link.key, key) for key, document in states.items() for link in document.linked}
        shown = {(key, profile.into) for key, profile in public.items() if profile.into}
        self._expect(merged == redirected, f"states are of {merged}, redirects are {redirected}")
        self._expect(shown == redirected, f"public documents lead to {shown}, redirects are {redirected}")
        self._expect(told(redirected) == told(linked), f"redirects are {redirected}, ledgers tell of {linked}")
        asked = told(self._pairs(LINK_REQUESTED, LinkRequested))
        withdrawn = told(self._pairs(LINK_WITHDRAWN, LinkWithdrawn))
        known = told({(visitor, key) for visitor, key, _ in noted})
        self._expect(asked == known, "a request to link was lost")
        parted = told({(visitor, key) for visitor, key, status in noted if status == "withdrawn"})
        self._expect(withdrawn == parted, f"{withdrawn} were withdrawn, ledgers tell of {parted}")

    def _pairs(self, kind: str, of: type[LinkRequested] | type[LinkWithdrawn]) -> set[tuple[str, str]]:
        """The keys of the visitors and users of whom something was asked."""
        messages = [message for message in self._cloud.published.get(EVENTS, ()) if message.type == kind]
        requests = [decode(message.data, of) for message in messages]
        return {(request.anonymous_key, request.key) for request in requests}

    def _ledger_closes(self, states: Mapping[str, StateDocument]) -> None:
        erased = _erased(states)
        published = sum(
            event.received_at > erased.get(received.key, -1)
            for received in self._received_events()
            for event in received.events
        )
        counts = [rules.decode(document.state).counts for document in states.values()]
        folded = sum(count.folded + count.duplicate + count.late for count in counts)
        self._expect(published == folded, f"{published} events were published, {folded} are accounted for")
        failed = {msgspec.json.decode(data, type=FailedMessage).id for _, data in self._cloud.collection(FAILED_EVENTS)}
        poison = {message.id for message in self._cloud.published.get(EVENTS, ()) if _broken(message)}
        self._expect(poison <= failed, f"poison was lost: {poison - failed}")

    def _outboxes_are_published(self) -> None:
        published = {message.id for message in self._cloud.published.get(MEMBERSHIPS, ())}
        silent = self._decided.keys() - published
        self._expect(published <= self._decided.keys(), "something was announced that nobody decided")
        self._expect(silent <= self._unpublished, f"never announced: {silent - self._unpublished}")

    def _destinations_know_everything(self) -> None:
        wanted = {
            f"{key}:{transition.seq}:{name}"
            for key, transitions in self._transitions.items()
            for transition in transitions
            for name, destination in DESTINATIONS.items()
            if transition.segment in destination.get("segments", [transition.segment])
        }
        given_up = {
            msgspec.json.decode(data, type=FailedMessage).id for _, data in self._cloud.collection(FAILED_EVENTS)
        }
        unasked = {
            effect for effect in self._effects.keys() - wanted if effect.rpartition(":")[0] not in self._forgotten
        }
        self._expect(not unasked, f"nobody asked for {unasked}")
        lost = wanted - self._effects.keys() - given_up
        self._expect(not lost, f"neither delivered nor given up: {lost}")

    def _memberships_are_those_of_one_thread(
        self, key: str, compiled: Compiled, state: rules.State, events: Iterable[Event], until: int
    ) -> None:
        reference = rules.empty()
        for event in sorted(events, key=lambda event: (event.received_at, event.message_id)):
            reference = rules.fold(compiled.program, reference, [event])
        wanted = rules.timeline(compiled.program, reference, until)
        found = rules.timeline(compiled.program, state, until)
        self._expect(_from(found, until) == _from(wanted, until), f"{key}: {found} instead of {wanted}")

    def _public_document_agrees(
        self, key: str, compiled: Compiled, state: rules.State, public: PublicProfile, until: int
    ) -> None:
        """As a lookup reads it: it goes by the document only under the catalogue in force, up to `known_until`."""
        if public.catalog < compiled.version or (public.known_until is not None and until >= public.known_until):
            return
        timeline = rules.timeline(compiled.program, state, until)
        shown = {name for name, spans in public.memberships.items() if covers(spans, until)}
        wanted = {name for name, spans in timeline.memberships.items() if covers(spans, until)}
        self._expect(shown == wanted, f"the public document of {key} shows {shown}, not {wanted}")

    def _announcements_add_up(self, key: str, state: rules.State, ticked: int) -> None:
        self._expect(
            state.due is None or state.due > ticked - GRACE, f"{key} was due at {state.due} and nobody said so"
        )
        inside = {name for name, spans in state.memberships.items() if is_named(name) and covers(spans, state.instant)}
        announced = _inside(self._transitions.get(key, []))
        self._expect(announced == inside, f"{key} is in {inside}, announced were {announced}")

    def _received_events(self) -> list[EventsReceived]:
        messages = {message.id: message for message in self._cloud.published.get(EVENTS, ())}
        return [
            decode(message.data, EventsReceived)
            for message in messages.values()
            if message.type == EVENTS_RECEIVED and not _broken(message)
        ]

    def _expect(self, truth: bool, otherwise: str) -> None:
        if not truth:
            raise Violation(otherwise)


def _broken(message: Message) -> bool:
    try:
        decode(message.data, EventsReceived) if message.type == EVENTS_RECEIVED else None
    except Invalid:
        return True
    return False


def _erased(states: Mapping[str, StateDocument]) -> Mapping[str, int]:
    """Up to which instant those are erased who are."""
    return {key: document.erased_at for key, document in states.items() if document.erased_at is not None}


def _accepted(
    messages: Iterable[EventsReceived], redirects: Mapping[str, Redirect], erased: Mapping[str, int]
) -> dict[str, list[Event]]:
    """The events of each profile, those of linked visitors with the user's; of copies, the one received first. What
    was erased is none."""
    found: dict[str, dict[str, Event]] = {}
    for received in messages:
        redirect = redirects.get(received.key)
        theirs = redirect is not None and (received.proven or received.events[0].received_at <= redirect.at)
        left = [event for event in received.events if event.received_at > erased.get(received.key, -1)]
        if not left:
            continue
        events = found.setdefault(redirect.key if redirect and theirs else received.key, {})
        for event in left:
            known = events.get(event.message_id)
            if known is None or event.received_at < known.received_at:
                events[event.message_id] = event
    return {key: list(events.values()) for key, events in found.items()}


def _from(timeline: Timeline, instant: int) -> Mapping[str, tuple[Interval, ...]]:
    """When an interval under way began is no matter: state that folded more may know it better."""
    return {
        name: tuple((max(start, instant), end) for start, end in spans) for name, spans in timeline.memberships.items()
    }


def _next(known: list[Transition], segment: str) -> str:
    return "exited" if segment in _inside(known) else "entered"


def _inside(transitions: Iterable[Transition]) -> set[str]:
    inside: set[str] = set()
    for transition in transitions:
        (inside.add if transition.transition == "entered" else inside.discard)(transition.segment)
    return inside
