"""Events become memberships, public documents and deliveries, exactly once in effect, whatever goes wrong on the way.

`SIMULATION_SEEDS` says how many histories are lived through; `python -m tests.simulation SEED` shows one of them.
"""

import os
import subprocess
import sys

import pytest

from tests.project.files import ROOT
from tests.simulation.deployment import Variant
from tests.simulation.planted import BUGS, NO_BUG, RARE_BUGS
from tests.simulation.simulation import Simulation, first_violation

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "200"))
BLOCKS = 8

SEEDS_FOR_A_BUG = range(60)
"""Within how many histories each planted bug must show."""

FAULTS = (
    "crashes",
    "fails before its effect",
    "the reply is lost",
    "Conflict",
    "tries again",
    "answers 500",
    "answers 0",
    "answers 400",
    "not to be delivered before",
    "commit failed_events/",
    "catalogue 2 is published",
    "the archive does not have all of the profile's events yet",
    "receives segue.link.requested",
    "receives segue.link.withdrawn",
    "commit links/",
    "receives segue.profile.erased",
    "erase from the archive",
)
"""What histories tell of: faults, and answers to them that are rarely needed."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_wrong_whatever_happens(block: int) -> None:
    assert first_violation(Variant(), range(block, SEEDS, BLOCKS)) is None


@pytest.mark.parametrize(
    "bug", [*BUGS, *(pytest.param(bug, marks=pytest.mark.slow) for bug in RARE_BUGS)], ids=lambda bug: bug.name
)
def test_a_planted_bug_is_seen(bug: Variant) -> None:
    assert first_violation(bug, SEEDS_FOR_A_BUG)


@pytest.mark.slow
def test_the_steps_that_bugs_are_planted_in_have_none() -> None:
    assert first_violation(NO_BUG, range(20)) is None


@pytest.mark.slow
def test_every_kind_of_fault_happens() -> None:
    told = b"\n".join(Simulation(seed).run().history for seed in range(20)).decode()
    assert [fault for fault in FAULTS if fault not in told] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
def test_a_seed_is_one_history_byte_for_byte(seed: int) -> None:
    here = Simulation(seed).run().history
    assert Simulation(seed).run().history == here
    assert history_elsewhere(seed, "1") == here
    assert history_elsewhere(seed, "2") == here


@pytest.mark.slow
def test_seeds_are_different_histories() -> None:
    assert len({Simulation(seed).run().history for seed in range(5)}) == 5


def history_elsewhere(seed: int, hash_seed: str) -> bytes:
    """The history that another process lives through, one in which sets have another order."""
    command = (sys.executable, "-m", "tests.simulation", str(seed))
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    return ended.stdout.removesuffix(b"\n")
