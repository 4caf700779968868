"""A profile folded anew from what the archive has of it, and put in the place of the state that it had."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from segue.domain.event import Event
from segue.domain.rules import ring
from segue.domain.rules import state as states
from segue.domain.rules.fold import Work, fold
from segue.domain.rules.knowledge import Knowledge
from segue.domain.rules.program import Program
from segue.domain.rules.state import State

Delivery: TypeAlias = tuple[str, tuple[Event, ...]]
"""A message's id and its events."""


def refolded(program: Program, history: Sequence[Delivery]) -> State:
    """The state of a profile with this history, each message once, in any order; nothing is pending."""
    state = states.empty()
    for delivery, events in sorted(history, key=_received):
        state = states.drained(fold(program, state, events, delivery=delivery))
    return state


def reaches(history: Sequence[Delivery], state: State) -> bool:
    """Whether a history has every message that the state remembers having folded (those of the last 24 h)."""
    missing = ring.names(state.ids)
    missing -= {ring.name_of(event.message_id) for _, events in history for event in events}
    missing -= {ring.name_of(delivery) for delivery, _ in history}
    for delivery, events in history if missing else ():
        missing -= {ring.name_of(part) for part in _parts(delivery, len(events))}
    return not missing


def succeed(program: Program, before: State, after: State, at: int | None = None) -> State:
    """The state `after` in the place of `before`, whose followers are told what differs, with the reason `merge`.

    What came due for `before` until then, up to `at` (epoch ms) or to the newest instant of both, is announced first,
    at its own instants. Sequence numbers go on.
    """
    work = Work(program, before)
    work.pass_time(max(before.instant, after.instant, at or 0), inclusive=False)
    instant = work.known.instant
    work.known = Knowledge(program, after)
    work.known.instant = instant
    work.stale |= program.segments.keys()
    work.evaluate("merge")
    return work.done()


def _received(delivery: Delivery) -> tuple[int, str]:
    return max((event.received_at for event in delivery[1]), default=0), delivery[0]


def _parts(delivery: str, events: int, within: str = "") -> Iterator[str]:
    """The ids under which a message of so many events may have been folded in parts."""
    if events > 1:
        yield f"{delivery}{within}/1"
        yield from _parts(f"{delivery}{within}/1", events // 2)
        yield from _parts(delivery, events - events // 2, f"{within}/2")
