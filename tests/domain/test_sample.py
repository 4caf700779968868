"""Samples are GrowthBook's: its own client, version 2 of its hash, puts every visitor where ours does."""

import growthbook.core
from hypothesis import assume, example, given
from hypothesis import strategies as st

from segue.domain.event import Event
from tests.engine import Engine
from tests.oracle import Oracle

SEEDS = IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(SEEDS, IDS, st.sampled_from([0, 1, -1, 2_500, -2_500]))
@example("seed", "a", 0)
@example("seed", "a", 1)
@example("seed", "\U0001f600", 1)
@example("seed", "r4", 0)
def test_the_sample_is_the_share_that_growthbook_gives(seed: str, visitor: str, beyond: int) -> None:
    hashed = growthbook.core.gbhash(seed, visitor, 2)
    assert hashed is not None
    bucket = round(hashed * 10_000)
    assume(0 < bucket + beyond <= 10_000)
    event = Event(message_id="a", name="A", occurred_at=0, received_at=0, anonymous_id=visitor)
    catalog = {"it": {"name": "It", "when": {"sample": {"percent": (bucket + beyond) / 100, "seed": seed}}}}
    answers = [evaluator(catalog).member([event], "it", 0) for evaluator in (Oracle, Engine)]
    assert answers == [beyond > 0] * 2
