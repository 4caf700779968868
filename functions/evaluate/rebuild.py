"""A profile's state folded anew from the archive: what was announced stands, what turns out otherwise is announced."""

from collections.abc import Sequence

import msgspec

from functions.evaluate.evaluate import announcement, written
from functions.evaluate.fold import Folded, snapshot
from functions.evaluate.past import Past, keys_of, past
from segue import retries
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, rules
from segue.domain.document import StateDocument
from segue.domain.errors import NotFound, Unavailable
from segue.domain.membership import Transition, covers, is_named
from segue.domain.message import MEMBERSHIPS, MembershipChanged
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY
from segue.ports import Ports


class Known(msgspec.Struct, frozen=True):
    """What the archive tells of a profile: whose it is, whether by a log under import, and what was announced last."""

    profile: ProfileRef
    imported: bool = False
    told: MembershipChanged | None = None


async def rebuild(
    ports: Ports, catalogs: Catalogs, key: str, known: Known | None = None, found: Past | None = None
) -> Sequence[Transition]:
    """Fold a profile anew, and return what is announced of it. With what the archive tells of it (`known`) a profile
    that the store has lost is begun anew. `found` are histories that were looked up already.

    Raises `NotFound` for a profile that nobody knows, and `Unavailable` while the archive lacks events of the state.
    """

    async def attempt() -> Sequence[Transition]:
        return await _rebuild_once(ports, catalogs, key, known, found)

    return await retries.on_conflict(ports.clock, f"rebuild:{key}", attempt)


async def profiles(ports: Ports) -> Sequence[tuple[str, str]]:
    """The key of every profile with a state, and who it is; an anonymous visitor who is linked is no more, nor is
    whoever was erased."""
    found = [(key, document.decode_state(stored.data)) async for key, stored in ports.store.scan(document.STATES)]
    return [(key, str(each.profile)) for key, each in found if each.redirect is None and not each.is_erased]


async def _rebuild_once(
    ports: Ports, catalogs: Catalogs, key: str, known: Known | None, found: Past | None
) -> Sequence[Transition]:
    stored = await ports.store.get(document.state_path(key))
    before = document.decode_state(stored.data) if stored else _lost(known)
    if before is None or before.is_erased:
        raise NotFound(f"{key}: there is no such profile")
    compiled = await catalogs.at_least(before.catalog)
    await ports.bus.publish(MEMBERSHIPS, [announcement(entry) for entry in before.outbox])
    told = known.told if known else await ports.archive.snapshot(key, ports.clock.now())
    history = await _history(ports, key, before, found)
    after, transitions = rebuilt(key, before, told, history, compiled)
    await ports.store.commit([written(key, stored, after)])
    await ports.bus.publish(MEMBERSHIPS, [announcement(entry) for entry in after.document.outbox])
    return transitions


def _lost(known: Known | None) -> StateDocument | None:
    if known is None:
        return None
    empty = rules.encode(rules.empty())
    return StateDocument(profile=known.profile, state=empty, catalog=0, rev=0, imported=known.imported)


async def _history(ports: Ports, key: str, before: StateDocument, found: Past | None) -> Sequence[rules.Delivery]:
    keys = keys_of(key, before)
    looked_up = found if found and found.keys.issuperset(keys) else await past(ports.archive, keys)
    return looked_up.of(key, before)


def rebuilt(
    key: str,
    before: StateDocument,
    told: MembershipChanged | None,
    history: Sequence[rules.Delivery],
    compiled: Compiled,
) -> tuple[Folded, Sequence[Transition]]:
    """The document of a profile with this history, at the instant of the one before, and how the two differ.

    Numbers go on where they were: in the document, or in what was `told` of the profile if the document is older than
    that, as after a restore. Messages of the last day are known again when they are delivered again.
    """
    old = rules.decode(before.state)
    if told is not None and told.seq > old.seq:
        before = msgspec.structs.replace(before, bucketing_id=told.bucketing_id)
        old = _as_told(old, told)
    events = [together for _, together in history]
    counted = old.counts.folded + old.counts.duplicate + old.counts.late
    if sum(map(len, events)) < counted:
        raise Unavailable(
            f"{key}: the archive has {sum(map(len, events))} of {counted} events; it will have the others"
        )
    state = rules.fold(compiled.program, rules.empty(), [event for each in events for event in each], at=old.instant)
    for delivery, together in history:
        if together and max(event.received_at for event in together) > state.instant - DAY:
            state = rules.fold(compiled.program, state, (), delivery=delivery)
    transitions = _differences(old, state, compiled)
    state = msgspec.structs.replace(state, seq=old.seq + len(transitions), pending=(), changed=False)
    state = rules.drained(state)
    after = msgspec.structs.replace(
        before,
        state=rules.encode(state),
        catalog=compiled.version,
        rev=before.rev + 1,
        prepared=None,
        refold_at=None,
        outbox=(snapshot(key, before, state, transitions, compiled),),
    )
    return Folded(after, document.encode(after), state.due), transitions


def _as_told(state: rules.State, told: MembershipChanged) -> rules.State:
    """The state with what everybody was told since."""
    return msgspec.structs.replace(
        state, seq=told.seq, instant=max(state.instant, told.at), memberships=told.memberships
    )


def _differences(old: rules.State, new: rules.State, compiled: Compiled) -> tuple[Transition, ...]:
    """What has to be announced at the new state's instant to those who heard what the old one announced."""
    was, is_ = _inside(old), _inside(new)
    return tuple(
        Transition(
            segment=name,
            transition="entered" if name in is_ else "exited",
            at=new.instant,
            seq=old.seq + number,
            definition=compiled.program.segments.get(name, ""),
            reason="event",
        )
        for number, name in enumerate(sorted(was ^ is_), start=1)
    )


def _inside(state: rules.State) -> set[str]:
    return {name for name, spans in state.memberships.items() if is_named(name) and covers(spans, state.instant)}
