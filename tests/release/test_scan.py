"""An image with a grave hole that a newer package closes is not released."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.release.gcloud import Gcloud
from tests.release.test_deploy import IMAGE


def hole(severity: str, fixed: str) -> Mapping[str, Any]:
    """A finding as On-Demand Scanning lists it; `MAXIMUM` stands for a version that there is not yet."""
    issue = {
        "affectedPackage": "openssl",
        "affectedVersion": {"fullName": "3.0.1", "kind": "NORMAL"},
        "fixedVersion": {"fullName": "3.0.2", "kind": fixed} if fixed == "NORMAL" else {"kind": fixed},
    }
    vulnerability = {"effectiveSeverity": severity, "shortDescription": "CVE-2026-1", "packageIssue": [issue]}
    return {"noteName": "projects/goog-vulnz/notes/CVE-2026-1", "vulnerability": vulnerability}


def scanned(gcloud: Gcloud, report: Path, *holes: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    gcloud.becomes(holes=holes)
    where = ("--location", "europe", "--report", str(report))
    return gcloud.run(sys.executable, "-m", "infra.release.scan", IMAGE, *where)


def test_a_grave_hole_that_is_closed_elsewhere_is_refused_by_name(gcloud: Gcloud, tmp_path: Path) -> None:
    done = scanned(gcloud, tmp_path / "holes.json", hole("LOW", "NORMAL"), hole("HIGH", "NORMAL"))
    assert done.returncode == 1
    assert done.stderr == "HIGH CVE-2026-1: openssl 3.0.1 → 3.0.2\n"


def test_small_holes_and_those_nobody_has_closed_are_reported_and_pass(gcloud: Gcloud, tmp_path: Path) -> None:
    found = [hole("MEDIUM", "NORMAL"), hole("CRITICAL", "MAXIMUM")]
    done = scanned(gcloud, tmp_path / "new" / "holes.json", *found)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "new" / "holes.json").read_text(encoding="utf-8")) == found
    assert done.stdout.endswith("2 known holes, 0 of them grave and closed by a newer package\n")


def test_an_image_that_could_not_be_scanned_is_not_released(gcloud: Gcloud, tmp_path: Path) -> None:
    gcloud.becomes(refuses=[["images scan"]])
    assert scanned(gcloud, tmp_path / "holes.json").returncode == 1
    assert not (tmp_path / "holes.json").exists()
