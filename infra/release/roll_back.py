"""Takes every function back to the revision that answered before the last release; also ends one that broke off.

    python -m infra.release.roll_back --project P --region R [FUNCTION …]

Who sends goes back before who receives. Does not touch the catalogue.
"""

import argparse
import sys

from emulator.topology import topology
from infra.release.deploy import roll_back
from infra.release.service import Failed, Service
from infra.release.waves import waves


def main() -> None:
    """Roll back the functions named, or all."""
    order = [name for wave in waves(topology()) for name in wave]
    parser = argparse.ArgumentParser(prog="roll_back", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help=f"of {', '.join(order)}; all if none is named")
    parser.add_argument("--project", required=True)
    parser.add_argument("--region", required=True)
    given = parser.parse_args()
    unknown = set(given.functions) - set(order)
    if unknown:
        parser.error(f"expected functions of the topology, found {', '.join(sorted(unknown))}")
    wanted = [name for name in order if name in (given.functions or order)]
    try:
        roll_back([Service(name, given.project, given.region) for name in wanted])
    except Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
