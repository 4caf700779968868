"""What `make audit` finds: secrets, licences that are not allowed, and holes in what we depend on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.release.leaks import EXPLAINED, look
from infra.release.licences import of_the_tracker, parts, refused
from infra.release.locks import IMAGE, pinned
from infra.release.sbom import bill
from tests.project.files import ROOT

# In pieces, so that nothing here looks like one.
PLANTED = {
    "AWS Access Key": "aws = '" + "AKIA" + "QYLPMN5HHHFPZAM2'",
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "Secret Keyword": "SEGUE_PROFILE_SECRET=" + "'Zm9yZ2V0IG1lIG5vdCwgZm9y'",
    "JSON Web Token": "bearer "
    + "eyJhbGciOiJIUzI1NiJ9"
    + ".eyJzdWIiOiJhIn0"
    + ".9RGvPCLBTnRcNGlOUBdWYXnCqHCXoPjEKNOpJbzYoxw",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(kind: str, tmp_path: Path) -> None:
    planted = tmp_path / "settings.py"
    planted.write_text(f"# harmless\n{PLANTED[kind]}\n", encoding="utf-8")
    assert (kind, 2) in [(found.kind, found.line) for found in look([str(planted)])]


@pytest.mark.slow
def test_a_secret_in_a_tracked_file_fails_the_audit_by_file_and_line(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "planted.py").write_text(PLANTED["AWS Access Key"], encoding="utf-8")
    (tmp_path / "not_tracked.py").write_text(PLANTED["Private Key"], encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "sentence.py").write_text("SECRET = " + "'of these tests alone'", encoding="utf-8")
    subprocess.run(["git", "add", "planted.py", "tests"], cwd=tmp_path, check=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")])}
    done = subprocess.run(
        [sys.executable, "-m", "infra.release.leaks"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == "2 files: 2 look like secrets, 1 of them unexplained\n"
    assert done.stderr.startswith("planted.py:1: AWS Access Key\n")
    assert f"{EXPLAINED.name}: nothing is like 'demo-secret-key' any more" in done.stderr


@pytest.mark.parametrize(
    ("written", "licences"),
    [
        ("MIT License", {"MIT"}),
        ("Apache Software License; BSD License", {"Apache-2.0", "BSD"}),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", {"MPL-2.0", "Apache-2.0", "MIT"}),
        ("GNU Affero General Public License v3", {"GNU Affero General Public License v3"}),
    ],
)
def test_a_package_has_the_licences_that_it_names(written: str, licences: set[str]) -> None:
    assert parts(written) == licences


def test_a_licence_that_is_not_allowed_is_refused_by_the_packages_name() -> None:
    found = {"kind": "MIT", "unkind": "AGPL-3.0-only", "both": "MIT OR GPL-2.0-only", "silent": "UNKNOWN"}
    assert set(refused(found)) == {"unkind", "both", "silent"}


def test_what_minifies_the_tracker_may_be_used() -> None:
    assert refused(of_the_tracker()) == {}


@pytest.mark.slow
def test_the_bill_of_materials_names_all_that_the_image_has() -> None:
    components = json.loads(bill())["components"]
    assert [(each["name"], each["version"]) for each in components] == pinned(IMAGE)
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in components)


@pytest.mark.slow
def test_what_nobody_could_be_asked_about_does_not_count_as_clean() -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "infra.release.advisories"]
    environment = {**os.environ, **nowhere}
    for required, status in (([], 0), (["--required"], 1)):
        done = subprocess.run(
            [*command, *required], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status
        assert "!!! NOT AUDITED: infra/requirements.lock" in done.stderr
        assert "no known holes" not in done.stdout
