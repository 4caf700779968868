"""`together`: several leaves hold, unordered, all within one window."""

from typing import Any

from pydantic import Field, model_validator

from segue.domain.rules.evidence import Window
from segue.domain.rules.kinds.aggregate import Aggregate, compile_aggregate
from segue.domain.rules.kinds.did import Did, compile_did
from segue.domain.rules.kinds.logic import every
from segue.domain.rules.measurements import Measurements, Node
from segue.domain.rules.model import Duration, Model


class TogetherOf(Model):
    within: Duration
    of: list[Did | Aggregate] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _known_leaves(cls, values: Any) -> Any:
        for leaf in values.get("of") or () if isinstance(values, dict) else ():
            if not isinstance(leaf, dict) or not ({"did", "aggregate"} & set(leaf)):
                raise ValueError("of: expected did and aggregate only")
        return values

    @model_validator(mode="after")
    def _no_windows(self) -> "TogetherOf":
        for number, leaf in enumerate(self.of):
            if (leaf.aggregate if isinstance(leaf, Aggregate) else leaf).windowed:
                raise ValueError(f"of[{number}]: expected no window of its own: together gives it one")
        return self


class Together(Model):
    together: TogetherOf


def compile_together(definition: Together, measurements: Measurements) -> Node:
    window = Window(far=definition.together.within)
    return every([
        compile_did(part, measurements, window)
        if isinstance(part, Did)
        else compile_aggregate(part.aggregate, measurements, window)
        for part in definition.together.of
    ])  # fmt: skip
