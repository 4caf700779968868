"""Hypothesis strategies for what conditions refer to by name: scores, and catalogues and histories around them."""

from functools import partial
from typing import Any, Final

from hypothesis import strategies as st

from tests.strategies import DURATIONS, SELECTED, Choices, Condition, did, histories, where
from tests.strategies_more import Scene, catalog_of

# Scores

POINTS: Final = (1, 2, 10, -1, 0.5, -10, 3, 0.1, 100, 0.0000025, -0.5)
HALF_LIVES: Final = ("1ms", "2ms", "3ms", "4ms", "6ms", "20ms", "1h", "1d", "33d")
LEVELS: Final = (0, 1, 2, 0.5, 5, 0.25, 10, -1, 1.5, 0.0000025, 100, -0.5)


def score(choices: Choices) -> Condition:
    """Points for a few events, that fade or leave."""
    events = choices.some(lambda one: {"did": one.one(SELECTED), "points": one.one(POINTS), **where(one)}, 1, 3)
    fades = {"within": choices.one(DURATIONS)} if choices.seldom(3) else {"half_life": choices.one(HALF_LIVES)}
    bounds = {"bounds": choices.one(([0, 10], [-1, 1], [0, 1.5], [0.5, 2]))} if choices.seldom(3) else {}
    return {"events": events, **fades, **bounds}


def level_test(choices: Choices) -> Any:
    """A test of a number that moves."""
    name = choices.one(("ge", "gt", "lt", "le", "ge", "eq", "ne", "between", "in", "exists"))
    if name == "between":
        return {name: sorted([choices.one(LEVELS), choices.one(LEVELS)])}
    if name in ("in", "exists"):
        return (
            {"in": list(dict.fromkeys(choices.some(lambda one: one.one(LEVELS), 1, 3)))}
            if name == "in"
            else {name: True}
        )
    return {name: choices.one(LEVELS)}


def score_is(names: tuple[str, ...], choices: Choices) -> Condition:
    """A score that compares."""
    return {"score": choices.one(names), "is": level_test(choices)}


@st.composite
def scored_scenes(draw: st.DrawFn) -> Scene:
    """Scores, and segments that ask for them."""
    choices = Choices(draw)
    scores = {f"score-{number}": score(choices) for number in range(choices.number(1, 3))}
    leaf = partial(score_is, tuple(scores))
    return Scene(catalog_of(choices, (leaf, leaf, leaf, did)), draw(histories()), {"scores": scores})
