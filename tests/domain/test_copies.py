"""Of two copies of a message the one received first counts, in whichever order they are processed."""

import pytest

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.time import HOUR
from tests.engine import covers

S = 1_767_225_599_994


def event(message_id: str, name: str, received_at: int) -> Event:
    return Event(message_id=message_id, name=name, occurred_at=S, received_at=received_at)


@pytest.mark.parametrize("first", [S + HOUR - 1, S + HOUR + 4])
def test_a_late_copy_that_was_never_seen_in_its_window_gives_way_to_the_earlier_one(first: int) -> None:
    """
    B          S ........ received S + 1 h - 1: visible from S on        [####) for 4 ms, remembered for 25 h
    its copy   S ........ received S + 1 h + 4: visible from S + 4 on    its 4 ms are over
    """
    program = rules.compile({"it": {"name": "It", "when": {"did": "B", "within": "4ms"}, "stays": "25h"}})
    state = rules.fold(program, rules.empty(), [event("a", "A", S)])
    for received_at in sorted((S + HOUR - 1, S + HOUR + 4), reverse=first > S + HOUR):
        state = rules.fold(program, state, [event("b", "B", received_at)])
    assert (state.counts.folded, state.counts.duplicate) == (2, 1)
    end = S + 4 + 25 * HOUR
    assert covers(rules.timeline(program, state, end - 1), "it", end - 1)
    assert not covers(rules.timeline(program, state, end), "it", end)
