"""One message folded into one profile's state: the decision that evaluate carries out, as a pure function."""

import msgspec

from functions.evaluate.past import PastNeeded
from functions.evaluate.work import Oversized, Work
from segue.catalogs import Compiled, is_behind
from segue.domain import rules
from segue.domain.document import Prepared, StateDocument, encode
from segue.domain.errors import Unavailable
from segue.domain.membership import Transition, covers, is_named
from segue.domain.message import MembershipChanged
from segue.domain.profile import ProfileRef
from segue.domain.slot import is_cap


class Folded(msgspec.Struct, frozen=True):
    """The document to write, encoded too, when the profile is next due (epoch ms; None: never), and what became of the
    work's events."""

    document: StateDocument
    data: bytes
    due: int | None
    counts: rules.Counts = rules.Counts()


def folded(work: Work, before: StateDocument | None, compiled: Compiled, largest: int) -> Folded | None:
    """The profile's document after the work, its outbox holding what the work led to; None: there is nothing to do.

    Raises Oversized if the document would have more than `largest` bytes and there are events to divide, or if the work
    was begun in halves before: events are counted once. Raises PastNeeded if the profile's history has to be looked up
    first, and Unavailable if what was found is less than the state has folded.

    What is imported from more than `lateness` before the state's instant counts at once, and in what is remembered once
    the profile is folded anew from the archive: when time next comes, however much was imported until then.

    A snapshot is due when the memberships change (to a new profile they do), and at its first message under a newer
    catalogue: so the public document stays as good as computing them. Of a profile that was erased only what was
    received later counts, and begins it anew.
    """
    known = None if before is None or before.is_erased else before
    work = work.since(before.erased_at) if before else work
    profile = known.profile if known else work.profile
    state = rules.decode(before.state) if before else rules.empty()
    if profile is None or _is_idle(work, before, state, compiled) or _is_done(work, state):
        return None
    if _is_begun(work, state):
        raise Oversized
    begun = succeeded(work, known, state, compiled)
    after = _carried_on(compiled.program, begun, work)
    prepared = _prepared(work, known, state, compiled)
    if after is state:
        return None
    document = StateDocument(
        profile=profile,
        state=b"",
        catalog=compiled.version,
        rev=before.rev if before else 0,
        imported=_is_imported(work, known, state, compiled),
        prepared=prepared,
        linked=before.linked if before else (),
        redirect=before.redirect if before else None,
        erased_at=before.erased_at if before else None,
        refold_at=_refold_at(work, known, state, compiled),
        bucketing_id=known.bucketing_id if known else _first_seen_as(profile, work),
    )
    if after.changed or after.pending or known is None or known.catalog < compiled.version:
        anew = _conditions(state) != _conditions(after)
        news = announced(work.key, document, after, compiled, decides_anew=anew, trace=work.trace)
        return _fitting(news, work, largest, after.counts.since(begun.counts))
    return _fitting(_written(document, after), work, largest, after.counts.since(begun.counts))


def announced(
    key: str,
    document: StateDocument,
    state: rules.State,
    compiled: Compiled,
    *,
    decides_anew: bool = False,
    trace: str = "",
) -> Folded:
    """The document with this state in the next revision, its outbox holding what the state led to and a snapshot."""
    after = rules.drained(state)
    entry = snapshot(key, document, after, state.pending, compiled)
    entry = msgspec.structs.replace(entry, decides_anew=decides_anew, trace=trace or msgspec.UNSET)
    return _written(msgspec.structs.replace(document, catalog=compiled.version, outbox=(entry,)), after)


def _written(document: StateDocument, state: rules.State) -> Folded:
    after = msgspec.structs.replace(document, state=rules.encode(state), rev=document.rev + 1)
    return Folded(after, encode(after), min(filter(None, (state.due, after.refold_at)), default=None))


def _carried_on(program: rules.Program, state: rules.State, work: Work) -> rules.State:
    """The state after the work; its delivery is remembered where there is something to fold twice."""
    if _is_done(work, state):
        return state
    return rules.fold(program, state, work.events, at=work.at, delivery=work.delivery if work.events else None)


def succeeded(work: Work, before: StateDocument | None, state: rules.State, compiled: Compiled) -> rules.State:
    """The state that `compiled.program` can go on with: itself, or what was or now is prepared in its place."""
    if before is None or (before.catalog > compiled.filled and not _is_refolded(work, before)):
        return state
    if before.prepared and before.prepared.catalog == compiled.filled:
        successor = rules.decode(before.prepared.state)
    else:
        successor = _refolded(compiled.program, work, before, state)
    return rules.succeed(compiled.program, state, successor, work.at)


def _prepared(work: Work, before: StateDocument | None, state: rules.State, compiled: Compiled) -> Prepared | None:
    """What the definitions to come make of the profile, the work included; None if nobody has looked it up yet."""
    if compiled.prepared is None:
        return None
    if before is None:
        prepared = rules.empty()
    elif before.prepared and before.prepared.catalog == compiled.version:
        prepared = rules.decode(before.prepared.state)
    elif work.catalog:
        prepared = _refolded(compiled.prepared, work, before, state)
    else:
        return None
    after = rules.drained(_carried_on(compiled.prepared, prepared, work))
    return Prepared(compiled.version, rules.encode(after))


def _refolded(program: rules.Program, work: Work, before: StateDocument, state: rules.State) -> rules.State:
    if work.past is None:
        raise PastNeeded
    history = work.past.of(work.key, before)
    if not rules.reaches(history, state):
        raise Unavailable("the archive does not have all of the profile's events yet")
    return rules.refolded(program, history)


def _refold_at(work: Work, before: StateDocument | None, state: rules.State, compiled: Compiled) -> int | None:
    """When the profile has to be folded anew, if some of it was imported from before what the state looks back to."""
    if before is None or _is_refolded(work, before):
        return None
    if not _is_under(work, state, compiled):
        return before.refold_at
    newest = max(event.received_at for event in work.events)
    return newest if before.refold_at is None else min(newest, before.refold_at)


def _is_refolded(work: Work, before: StateDocument) -> bool:
    """Whether the work lets time come to the instant at which the profile has to be folded anew."""
    return before.refold_at is not None and work.at is not None and not work.events


def _is_under(work: Work, state: rules.State, compiled: Compiled) -> bool:
    """Whether some of what is imported is older than what the state looks back to."""
    looks_back_to = state.instant - compiled.catalog.settings.lateness
    return bool(work.imported) and any(event.received_at < looks_back_to for event in work.events)


def _fitting(after: Folded, work: Work, largest: int, counts: rules.Counts) -> Folded:
    if len(after.data) > largest and len(work.events) > 1:
        raise Oversized
    return msgspec.structs.replace(after, counts=counts)


def _is_idle(work: Work, before: StateDocument | None, state: rules.State, compiled: Compiled) -> bool:
    """Whether time alone is asked to go on, and has already gone as far or has nothing to announce by then."""
    if work.events:
        return False
    if work.catalog:
        return before is None or not is_behind(before, compiled)
    if before and _is_refolded(work, before):
        return False
    return work.at is None or state.due is None or state.due > work.at


def _is_done(work: Work, state: rules.State) -> bool:
    """Whether what the work is a part of was done as a whole."""
    return any(rules.holds(state, whole) for whole in work.within)


def _is_begun(work: Work, state: rules.State) -> bool:
    """Whether some part of the work is done already, but not all of it."""
    if len(work.events) < 2 or rules.holds(state, work.delivery):
        return False
    return any(rules.holds(state, part) for part in work.first_parts)


def _is_imported(work: Work, before: StateDocument | None, state: rules.State, compiled: Compiled) -> bool:
    """Whether the log's clock is the profile's: not for having been given a past that it lacked."""
    if before and (work.imported is None or _is_under(work, state, compiled)):
        return before.imported
    return bool(work.imported)


def _conditions(state: rules.State) -> set[str]:
    """The conditions of slots that hold of the profile, those of caps left out: what is just being looked at is not to
    be replaced for having been looked at."""
    return {
        name
        for name, spans in state.memberships.items()
        if not is_named(name) and not is_cap(name) and covers(spans, state.instant)
    }


def _first_seen_as(profile: ProfileRef, work: Work) -> str | None:
    """The anonymous id with which a user is first seen, and has perhaps seen an arm of an experiment already."""
    if profile.kind != "user_id":
        return None
    return next((event.anonymous_id for event in work.events if event.anonymous_id is not None), None)


def snapshot(
    key: str, document: StateDocument, state: rules.State, transitions: tuple[Transition, ...], compiled: Compiled
) -> MembershipChanged:
    """What is told of a state: its memberships from its instant on, and the transitions that led to them; whose it is
    and what they are bucketed by, as its document says, and of one that is part of another profile, that too."""
    redirect = document.redirect
    timeline = rules.timeline(compiled.program, state, state.instant)
    return MembershipChanged(
        key=key,
        profile=document.profile,
        seq=state.seq,
        catalog=compiled.version,
        at=state.instant,
        known_until=timeline.known_until,
        memberships=dict(timeline.memberships),
        transitions=transitions,
        approximate=tuple(sorted(timeline.approximate)),
        into=redirect.key if redirect else None,
        into_since=redirect.at if redirect else None,
        bucketing_id=document.bucketing_id,
    )
