"""Has Google scan an image for known holes, and refuses one with a grave hole that a newer package closes.

    python -m infra.release.scan IMAGE@sha256:… --location europe --report build/release/holes.json

It runs where gcloud is, hence on the standard library alone.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.release.service import Failed, gcloud

GRAVE = {"CRITICAL", "HIGH"}


def scan(image: str, location: str) -> Sequence[Mapping[str, Any]]:
    """The holes found in an image of a registry, as On-Demand Scanning says them. Raises Failed."""
    named = gcloud(
        *("artifacts", "docker", "images", "scan", image, "--remote", f"--location={location}"),
        "--format=value(response.scan)",
    ).strip()
    if not named:
        raise Failed(f"{image}: expected the name of a scan, found none")
    listed = gcloud("artifacts", "docker", "images", "list-vulnerabilities", named, "--format=json")
    found: Sequence[Mapping[str, Any]] = json.loads(listed)
    return found


def refused(hole: Mapping[str, Any]) -> bool:
    """Whether a hole is grave, and closed by a newer version of a package."""
    vulnerability: Mapping[str, Any] = hole["vulnerability"]
    return vulnerability.get("effectiveSeverity") in GRAVE and any(map(_closed, vulnerability.get("packageIssue", ())))


def _closed(issue: Mapping[str, Any]) -> bool:
    return bool(issue.get("fixedVersion", {}).get("kind") == "NORMAL")


def _line(hole: Mapping[str, Any]) -> str:
    vulnerability = hole["vulnerability"]
    closed = [issue for issue in vulnerability["packageIssue"] if _closed(issue)]
    packages = ", ".join(
        f"{issue['affectedPackage']} {issue['affectedVersion']['fullName']} → {issue['fixedVersion']['fullName']}"
        for issue in closed
    )
    return f"{vulnerability['effectiveSeverity']} {vulnerability.get('shortDescription', hole['noteName'])}: {packages}"


def main() -> None:
    """Scan an image; the exit status is 1 if it is refused or could not be scanned."""
    parser = argparse.ArgumentParser(prog="scan", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("image")
    parser.add_argument("--location", required=True, choices=("asia", "europe", "us"))
    parser.add_argument("--report", type=Path, required=True, help="where all that was found is written to, as JSON")
    given = parser.parse_args()
    try:
        found = scan(given.image, given.location)
    except Failed as failure:
        sys.exit(str(failure))
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(json.dumps(found, indent=2), encoding="utf-8")
    bad = [_line(hole) for hole in found if refused(hole)]
    print(f"{given.image}: {len(found)} known holes, {len(bad)} of them grave and closed by a newer package")
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
