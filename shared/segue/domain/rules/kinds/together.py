"""`together`: several leaves hold, unordered, all within one window."""

from segue.domain.rules.definition import Did, Together
from segue.domain.rules.evidence import Window
from segue.domain.rules.kinds.aggregate import compile_aggregate
from segue.domain.rules.kinds.did import compile_did
from segue.domain.rules.kinds.logic import every
from segue.domain.rules.measurements import Measurements, Node


def compile_together(definition: Together, measurements: Measurements) -> Node:
    window = Window(far=definition.together.within)
    return every([
        compile_did(part, measurements, window)
        if isinstance(part, Did)
        else compile_aggregate(part.aggregate, measurements, window)
        for part in definition.together.of
    ])  # fmt: skip
