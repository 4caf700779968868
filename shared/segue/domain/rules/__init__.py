"""The engine: pure functions from definitions and events to memberships known ahead (RULES.md section 5).

`compile(segments) -> Program` · `fold(program, state, events) -> State` · `timeline(program, state, t) -> Timeline` ·
`merge(program, a, b) -> State` · `explain(program, state, segment, t) -> Explanation` ·
`scores(program, state, t) -> score -> number` · `computed(program, state, t) -> name -> value` ·
`told(program, state, t) -> name -> value` ·
`Replay(program).transitions(history, end)` ·
`bridge(before, program) -> Bridge` · `refolded(program, history) -> State` ·
`succeed(program, before, after) -> State`
"""

from segue.domain.membership import Timeline
from segue.domain.rules.bridge import Bridge, bridge
from segue.domain.rules.explain import Explanation, explain, words
from segue.domain.rules.fold import fold, timeline
from segue.domain.rules.merge import merge
from segue.domain.rules.program import Program, compile
from segue.domain.rules.rebuild import Delivery, reaches, refolded, succeed
from segue.domain.rules.replay import Replay
from segue.domain.rules.state import Counts, State, canonical, decode, drained, empty, encode, holds
from segue.domain.rules.values import computed, scores, told

__all__ = [
    "Bridge",
    "Counts",
    "Delivery",
    "Explanation",
    "Program",
    "Replay",
    "State",
    "Timeline",
    "bridge",
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
    "reaches",
    "refolded",
    "scores",
    "succeed",
    "timeline",
    "told",
    "words",
]
