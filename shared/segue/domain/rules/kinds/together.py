"""`together`: several leaves hold, unordered, all within one window."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field, Tag, model_validator

from segue.domain.rules.evidence import Window
from segue.domain.rules.kinds.aggregate import Aggregate, compile_aggregate
from segue.domain.rules.kinds.did import Did, compile_did
from segue.domain.rules.kinds.logic import every
from segue.domain.rules.measurements import Measurements, Node
from segue.domain.rules.model import Duration, Model, Refused, tag, told_by
from segue.domain.rules.wording import within

Leaf = Annotated[
    Annotated[Did, Tag(tag("did"))] | Annotated[Aggregate, Tag(tag("aggregate"))], told_by("did", "aggregate")
]


class TogetherOf(Model):
    within: Duration
    """The window of all of them; exactly so far apart is out."""
    of: list[Leaf] = Field(min_length=1)
    """`did` and `aggregate`, without windows of their own."""

    @model_validator(mode="after")
    def _no_windows(self) -> "TogetherOf":
        for number, leaf in enumerate(self.of):
            if (leaf.aggregate if isinstance(leaf, Aggregate) else leaf).windowed:
                raise Refused("expected no window of its own, for together gives it one", "of", number)
        return self


class Together(Model):
    """All of these in one window, in any order: `{together: {within: 10m, of: [{did: A}, {did: B}]}}`."""

    together: TogetherOf


def compile_together(definition: Together, measurements: Measurements) -> Node:
    window = Window(far=definition.together.within)
    parts = [
        replace(compile_did(part, measurements, window), kind="did")
        if isinstance(part, Did)
        else replace(compile_aggregate(part.aggregate, measurements, window), kind="aggregate")
        for part in definition.together.of
    ]
    return every(parts, f"together{within(window)}, all of")
