"""Shows what happens under a seed: `python -m tests.simulation SEED [BUG]`, BUG being part of a planted bug's name."""

import sys

from tests.simulation.deployment import CORRECT
from tests.simulation.planted import BUGS, RARE_BUGS
from tests.simulation.simulation import Simulation
from tests.simulation.world import Violation


def main(seed: int, bug: str | None = None) -> int:
    """Print the history; the status says whether something was wrong, and the last line what."""
    variant = next(variant for variant in (*BUGS, *RARE_BUGS) if bug in variant.name) if bug else CORRECT
    simulation = Simulation(seed, variant)
    try:
        simulation.run()
    except Violation as violation:
        sys.stdout.buffer.write(simulation.history + b"\n")
        sys.stdout.write(f"wrong: {violation}\n")
        return 1
    sys.stdout.buffer.write(simulation.history + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:3]))
