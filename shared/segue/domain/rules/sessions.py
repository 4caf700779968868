"""Sessions: the maximal runs of messages with short gaps, as stretches that a late message may join.

An entry of evidence is a stretch of messages, `[occurred_at - length, occurred_at]`, in which no gap is too long, with
the payload `(length, told)`. What is told of it is a number, which is added up, or a list of texts, which are put
together, or `[occurred_at, received_at, message_id, value]`, of which the first one counts; None is nothing.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from segue.domain.rules.evidence import MOST_ENTRIES, Entry, Evidence

BEFORE: Final = 2
"""How many of the sessions are kept that no message to come can join."""

LATELY: Final = 2
"""How many sessions tell this one and the last."""


class Session(NamedTuple):
    """A session so far."""

    first: int
    last: int
    told: Any


def runs(entries: Iterable[Entry], gap: int) -> Iterable[Session]:
    """Each session as it grows, stretch by stretch."""
    first = last = -gap
    told: Any = None
    for number, (occurred_at, _, _, (length, tells)) in enumerate(sorted(entries, key=_first)):
        if number and occurred_at - length - last < gap:
            last, told = max(last, occurred_at), _both(told, tells)
        else:
            first, last, told = occurred_at - length, occurred_at, tells
        yield Session(first, last, told)


def of_time(entries: Iterable[Entry], gap: int) -> Sequence[tuple[int, Session | None, Session | None]]:
    """From each of these instants on: the session that goes on, and the last one that has ended."""
    found: list[tuple[int, Session | None, Session | None]] = []
    going_on: Session | None = None
    ended: Session | None = None
    for session in runs(entries, gap):
        if going_on is not None and going_on.first != session.first:
            ended = going_on
            found.append((ended.last + gap, None, ended))
        going_on = session
        found.append((session.last, session, ended))
    if going_on is not None:
        found.append((going_on.last + gap, None, going_on))
    return found


def lately(entries: Sequence[Entry], gap: int) -> Sequence[Entry]:
    """The stretches of the last two sessions, which tell this one and the last where all can be seen.

    Where a memory looks back a session is in several.
    """
    sessions = 1
    begins = entries[-1][0] if entries else 0
    for position in range(len(entries) - 1, -1, -1):
        occurred_at, length = entries[position][0], entries[position][3][0]
        if begins - occurred_at >= gap:
            sessions += 1
            if sessions > LATELY:
                return entries[position + 1 :]
        begins = min(begins, occurred_at - length)
    return entries


def kept(evidence: Evidence, entries: Sequence[Entry], start: int) -> tuple[list[Entry], list[Entry]]:
    """What every instant from `start` on sees, as one stretch for each session, and the rest as it is.

    No message to come happened `far` before `start` or earlier. Nothing is settled for good.
    """
    gap, far = evidence.most or 0, evidence.far or 0
    stretches: list[Entry] = []
    for entry in sorted([entry for entry in entries if entry[1] <= start], key=_first):
        occurred_at, visible_at, _, (length, _) = entry
        if stretches and occurred_at - length - stretches[-1][0] < gap:
            stretches[-1] = _joined(stretches[-1], entry)
        else:
            stretches.append(entry if visible_at == occurred_at else (occurred_at, occurred_at, None, entry[3]))
    old = [entry for entry in stretches if entry[0] <= start - far]
    recent = [entry for entry in entries if entry[1] > start]
    return sorted([*old[-BEFORE:], *stretches[len(old) :], *recent], key=itemgetter(0)), []


def _first(entry: Entry) -> tuple[int, int]:
    return entry[0] - entry[3][0], entry[0]


def _joined(ours: Entry, theirs: Entry) -> Entry:
    """Two stretches of one session as one; ours begins first."""
    (length, told), (_, tells) = ours[3], theirs[3]
    last = max(ours[0], theirs[0])
    return last, last, None, (last - ours[0] + length, _both(told, tells))


def _both(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, int):
        return ours + theirs
    if not ours or not theirs:
        return ours or theirs
    if isinstance(ours[0], int):
        return min(ours, theirs, key=lambda said: said[:3])
    return sorted({*ours, *theirs})[:MOST_ENTRIES]
