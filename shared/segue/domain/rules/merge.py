"""Merging: two states of one visitor become one.

Both are first carried on to the later one's instant and made to reach back to the same instant before it. What is
known of the time before that one is each side's last true instant, of which the later is kept: only there, and only
where both sides have something to remember, may a memory differ from that of one state that folded all the events.
"""

from collections.abc import Sequence
from operator import itemgetter

from msgspec.structs import replace

from segue.domain.membership import Transition, covers
from segue.domain.rules import decay, ring
from segue.domain.rules.evidence import Entry
from segue.domain.rules.figures import joined_totals
from segue.domain.rules.fold import Work
from segue.domain.rules.foresight import freeze, freeze_at
from segue.domain.rules.knowledge import Knowledge
from segue.domain.rules.program import Program
from segue.domain.rules.state import State


def merge(program: Program, a: State, b: State) -> State:
    """The state of a visitor whose events were folded in part into `a`, in part into `b`; the answers are symmetrical.

    `a` is the profile that goes on. What is pending is what those who follow it have to be told: what came due for it,
    what was pending or came due for `b` in segments that `a` has no part in, and then, with the reason `merge`, in what
    the memberships now differ. Sequence numbers go on from those of `a`.

    A message that both id rings hold counts once. Of older ones copies cannot be told, nor what they added to totals of
    all time: where both sides have such totals and some message in common, answers from them are approximate.
    """
    work, other = _carried_on(program, a, b)
    ours, theirs = work.known, other.known
    copies = ring.copies(ours.ids, theirs.ids)
    _join(ours, theirs, copies)
    for memory, last in theirs.remembered.items():
        ours.remembered[memory] = max(last, ours.remembered.get(memory, last))
    for memory, since in theirs.standing.items():
        ours.standing[memory] = min(since, ours.standing.get(memory, since))
    ours.ids = ring.joined(ours.ids, theirs.ids)
    ours.folded += theirs.folded - len(copies)
    ours.duplicate += theirs.duplicate + len(copies)
    ours.late += theirs.late
    ours.forgotten += theirs.forgotten
    _join_announcements(work, other)
    _keep_since(work, other)
    work.stale |= program.segments.keys()
    work.evaluate("merge")
    return work.done()


def _carried_on(program: Program, a: State, b: State) -> tuple[Work, Work]:
    """Both at the later one's instant, which is still to be announced, and with one `frozen`."""
    both = Work(program, a), Work(program, b)
    instant = max(a.instant, b.instant)
    for work in both:
        work.pass_time(instant, inclusive=False)
    reaching = [work.known for work in both if work.known.known_from is not None]
    for known in reaching:
        freeze(known)
    edge = max((known.frozen for known in reaching if known.frozen is not None), default=None)
    for known in reaching:
        if edge is not None and known.frozen != edge:
            freeze_at(known, edge)
    both[0].known.frozen = edge
    return both


def _join(ours: Knowledge, theirs: Knowledge, copies: Sequence[tuple[int, int]]) -> None:
    """Add the other side's evidence. `copies`: when messages that both have were received."""
    if theirs.known_from is not None and (ours.known_from is None or theirs.known_from < ours.known_from):
        ours.known_from = theirs.known_from
        ours.reborn = True
    sessions = {key for key, evidence in ours.program.evidence.items() if evidence.keep == "sessions"}
    for key in ours.streams.keys() | theirs.streams.keys() | ours.totals.keys() | theirs.totals.keys():
        mine, added = ours.streams.get(key, ()), theirs.streams.get(key, ())
        totals = [known.totals[key] for known in (ours, theirs) if key in known.totals]
        if copies and totals and (mine or key in ours.totals) and (added or key in theirs.totals):
            ours.lost[key] = ours.instant
        if copies and mine and added and key in sessions:
            ours.lost[key] = ours.instant
        elif copies:
            mine, added = _without_copies(mine, added, copies, ours.program.lateness)
        ours.streams[key] = sorted([*mine, *added], key=itemgetter(0))
        if totals:
            join = decay.joined_totals if decay.are_decayed(totals[0]) else joined_totals
            ours.totals[key] = join(totals[0], totals[1]) if len(totals) == 2 else totals[0]
        if key in theirs.lost:
            ours.lost[key] = max(theirs.lost[key], ours.lost.get(key, 0))
        ours.touched.add(key)


def _without_copies(
    mine: Sequence[Entry], added: Sequence[Entry], copies: Sequence[tuple[int, int]], lateness: int
) -> tuple[list[Entry], list[Entry]]:
    """Both without the entries that a message in common brought, where the other side received it earlier.

    Two entries are of one message if they say the same of the same instant, and some message in common was received
    when they say.
    """
    kept, left = list(mine), list(added)
    by_content: dict[object, list[Entry]] = {}
    for entry in mine:
        by_content.setdefault(_content(entry), []).append(entry)
    for entry in added:
        for twin in by_content.get(_content(entry), ()):
            received = next(
                (pair for pair in copies if _received(twin, pair[0], lateness) and _received(entry, pair[1], lateness)),
                None,
            )
            if received is not None:
                by_content[_content(entry)].remove(twin)
                if received[0] <= received[1]:
                    left.remove(entry)
                else:
                    kept.remove(twin)
                break
    return kept, left


def _content(entry: Entry) -> object:
    """What an entry says, whenever it was received."""
    occurred_at, _, group, payload = entry
    return occurred_at, group, repr(payload[1] if type(payload) is tuple else payload)


def _received(entry: Entry, received_at: int, lateness: int) -> bool:
    """Whether an entry may be of a message that was received then."""
    return entry[1] == max(entry[0], received_at - lateness)


def _join_announcements(work: Work, other: Work) -> None:
    """Add what those who follow `work` were not told of the other one, in segments that it has no part in itself."""
    own = work.inside | {transition.segment for transition in work.pending}
    told: set[str] = set()
    news: list[Transition] = []
    for transition in other.pending:
        if transition.segment not in own and (transition.transition == "entered" or transition.segment in told):
            (told.add if transition.transition == "entered" else told.discard)(transition.segment)
            news.append(transition)
    work.inside |= told
    seq = work.before.seq
    in_order = sorted([*work.pending, *news], key=lambda transition: transition.at)
    work.pending = [replace(each, seq=seq + number) for number, each in enumerate(in_order, start=1)]
    work.seq = seq + len(work.pending)


def _keep_since(work: Work, other: Work) -> None:
    """A membership that both had began with the earlier one."""
    for name, spans in other.memberships.items():
        here, there = (covers(each, work.known.instant) for each in (work.memberships.get(name, ()), spans))
        if there is not None and (here is None or there[0] < here[0]):
            work.memberships[name] = (there,)
