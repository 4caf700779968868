"""The engine: pure functions from definitions and events to memberships known ahead (RULES.md section 5).

`compile(segments) -> Program` · `fold(program, state, events) -> State` · `timeline(program, state, t) -> Timeline` ·
`merge(program, a, b) -> State` · `explain(program, state, segment, t) -> Explanation` ·
`scores(program, state, t) -> score -> number` · `computed(program, state, t) -> name -> value` ·
`Replay(program).transitions(history, end)`
"""

from segue.domain.membership import Timeline
from segue.domain.rules.explain import Explanation, explain, words
from segue.domain.rules.fold import fold, timeline
from segue.domain.rules.merge import Unfilled, adopt, merge, unfilled
from segue.domain.rules.program import Program, compile
from segue.domain.rules.replay import Replay
from segue.domain.rules.state import Counts, State, canonical, decode, drained, empty, encode, holds
from segue.domain.rules.values import computed, scores

__all__ = [
    "Counts",
    "Explanation",
    "Program",
    "Replay",
    "State",
    "Timeline",
    "Unfilled",
    "adopt",
    "canonical",
    "compile",
    "computed",
    "decode",
    "drained",
    "empty",
    "encode",
    "explain",
    "fold",
    "holds",
    "merge",
    "scores",
    "timeline",
    "unfilled",
    "words",
]
