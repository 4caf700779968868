"""Samples are GrowthBook's: its own client, version 2 of its hash, puts every visitor where ours does."""

import growthbook.core
from hypothesis import example, given
from hypothesis import strategies as st

from segue.domain.event import Event
from tests.engine import Engine
from tests.oracle.person import bucket

SEEDS = IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(SEEDS, IDS, st.integers(1, 10_000))
@example("seed", "a", 505)
@example("seed", "a", 506)
@example("seed", "\U0001f600", 4347)
def test_the_sample_is_the_share_that_growthbook_gives(seed: str, visitor: str, share: int) -> None:
    hashed = growthbook.core.gbhash(seed, visitor, 2)
    assert hashed is not None
    assert bucket(seed, visitor) == round(hashed * 10_000)
    event = Event(message_id="a", name="A", occurred_at=0, received_at=0, anonymous_id=visitor)
    engine = Engine({"it": {"name": "It", "when": {"sample": {"percent": share / 100, "seed": seed}}}})
    assert engine.member([event], "it", 0) is (round(hashed * 10_000) < share)
