"""Asks whether holes are known in what the locks pin, by pip-audit.

    python -m infra.release.advisories [--required]

What is known is kept by PyPI, which cannot be reached from everywhere. Where it is not, nothing is known to be clean:
that is said, and with --required it fails.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.release.locks import ALL, IMAGE, ROOT


def audit(lock: Path) -> tuple[Sequence[str], Sequence[str]]:
    """The holes known in what a lock pins, each in a line; and what could not be asked about, or why nothing could."""
    options = ("--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pip-audit")), *options, f"--requirement={lock}"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        dependencies: Sequence[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return (), done.stderr.strip().splitlines()[-1:] or ["pip-audit said nothing"]
    return (
        [
            f"{each['name']} {each['version']}: {hole['id']}, closed in {', '.join(hole['fix_versions']) or 'none yet'}"
            for each in dependencies
            for hole in each.get("vulns", ())
        ],
        [each["name"] for each in dependencies if "skip_reason" in each],
    )


def main() -> None:
    """Audit both locks; the exit status is 1 where there are holes, or no answer and one is required."""
    parser = argparse.ArgumentParser(prog="advisories", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--required", action="store_true", help="fail where it could not be asked")
    required = parser.parse_args().required
    failed = False
    for lock in (IMAGE, ALL):
        name = lock.relative_to(ROOT)
        holes, unknown = audit(lock)
        if holes:
            print(f"{name}: known holes\n  " + "\n  ".join(holes), file=sys.stderr)
        if unknown:
            print(f"!!! NOT AUDITED: {name}: {len(unknown)} of what it pins, as {unknown[0]}", file=sys.stderr)
        if not (holes or unknown):
            print(f"{name}: no known holes")
        failed = failed or bool(holes) or (required and bool(unknown))
    sys.exit(failed)


if __name__ == "__main__":
    main()
