"""One message folded into one profile's state: the decision that evaluate carries out, as a pure function."""

import msgspec

from functions.evaluate.work import Oversized, Work
from segue.catalogs import Compiled
from segue.domain import rules
from segue.domain.document import StateDocument, encode
from segue.domain.membership import Transition
from segue.domain.message import MembershipChanged
from segue.domain.profile import ProfileRef


class Folded(msgspec.Struct, frozen=True):
    """The document to write, encoded too, and when the profile is next due (epoch ms; None: never)."""

    document: StateDocument
    data: bytes
    due: int | None


def folded(work: Work, before: StateDocument | None, compiled: Compiled, largest: int) -> Folded | None:
    """The profile's document after the work, its outbox holding what the work led to; None: there is nothing to do.

    Raises Oversized if the document would have more than `largest` bytes and there are events to divide, or if the work
    was begun in halves before: events are counted once.

    A snapshot is due when the memberships change (to a new profile they do), and at its first message under a newer
    catalogue: so the public document stays as good as computing them.
    """
    profile = before.profile if before else work.profile
    state = rules.decode(before.state) if before else rules.empty()
    if profile is None or _is_idle(work, state) or any(rules.holds(state, whole) for whole in work.within):
        return None
    if _is_begun(work, state):
        raise Oversized
    after = rules.fold(compiled.program, state, work.events, at=work.at, delivery=work.delivery)
    if after is state:
        return None
    outbox: tuple[MembershipChanged, ...] = ()
    if after.changed or after.pending or before is None or before.catalog < compiled.version:
        transitions, after = after.pending, rules.drained(after)
        outbox = (snapshot(work.key, profile, after, transitions, compiled),)
    document = StateDocument(
        profile=profile,
        state=rules.encode(after),
        catalog=compiled.version,
        rev=before.rev + 1 if before else 1,
        imported=_is_imported(work, before),
        outbox=outbox,
    )
    return _fitting(Folded(document, encode(document), after.due), work, largest)


def _fitting(after: Folded, work: Work, largest: int) -> Folded:
    if len(after.data) > largest and len(work.events) > 1:
        raise Oversized
    return after


def _is_idle(work: Work, state: rules.State) -> bool:
    """Whether time alone is asked to go on, and has already gone as far or has nothing to announce by then."""
    return not work.events and (work.at is None or state.due is None or state.due > work.at)


def _is_begun(work: Work, state: rules.State) -> bool:
    """Whether some part of the work is done already, but not all of it."""
    if len(work.events) < 2 or rules.holds(state, work.delivery):
        return False
    return any(rules.holds(state, part) for part in work.first_parts)


def _is_imported(work: Work, before: StateDocument | None) -> bool:
    if work.imported is not None:
        return work.imported
    return before is not None and before.imported


def snapshot(
    key: str, profile: ProfileRef, state: rules.State, transitions: tuple[Transition, ...], compiled: Compiled
) -> MembershipChanged:
    """What is told of a state: its memberships from its instant on, and the transitions that led to them."""
    timeline = rules.timeline(compiled.program, state, state.instant)
    return MembershipChanged(
        key=key,
        profile=profile,
        seq=state.seq,
        catalog=compiled.version,
        at=state.instant,
        known_until=timeline.known_until,
        memberships=dict(timeline.memberships),
        transitions=transitions,
        approximate=tuple(sorted(timeline.approximate)),
    )
