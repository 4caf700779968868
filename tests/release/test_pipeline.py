"""The commands of cloudbuild.yaml from the build on, as written there, with stand-ins for gcloud and docker."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from emulator.topology import topology
from tests.project.files import ROOT
from tests.release.gcloud import Gcloud, old
from tests.release.test_cloudbuild import RELEASE, Step, build, steps
from tests.release.test_image import DIGEST, DOCKER
from tests.release.test_scan import hole

pytestmark = pytest.mark.slow

FUNCTIONS = sorted(topology()["functions"])
PUBLISHING = {"catalogue-dry-run", "catalogue"}
"""Steps that another test takes, on Google's emulators."""


@pytest.fixture
def workspace(gcloud: Gcloud, tmp_path: Path) -> Path:
    """A folder like the one that a build has after its checks; the stand-ins are first on its PATH."""
    gcloud.becomes(services={name: old(name) for name in FUNCTIONS})
    (tmp_path / "docker").write_text(DOCKER, encoding="utf-8")
    (tmp_path / "docker").chmod(0o700)
    (tmp_path / "python3").symlink_to(sys.executable)
    folder = tmp_path / "workspace"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("emulator", "infra", "shared"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def command(step: Step, substitutions: Mapping[str, str]) -> Sequence[str]:
    """A step's words, with what Cloud Build puts into them."""
    words = [step["entrypoint"], *step["args"]] if "entrypoint" in step else step["args"]
    return [re.sub(r"\$\{(\w+)\}", lambda found: substitutions[found[1]], word) for word in words]


def taken(workspace: Path) -> tuple[list[str], str]:
    """The steps that were taken before one failed, that one included, and what it complained of."""
    substitutions = {**build(RELEASE)["substitutions"], "PROJECT_ID": "p", "BUILD_ID": "1", "_MINUTES": "0"}
    path = os.pathsep.join([str(workspace.parent), os.environ["PATH"]])
    python_path = os.pathsep.join([*sys.path, str(ROOT / "shared")])
    done = []
    for step in steps(RELEASE)[3:]:
        if step["id"] not in PUBLISHING:
            ran = subprocess.run(
                command(step, substitutions),
                cwd=workspace,
                env={**os.environ, "PATH": path, "PYTHONPATH": python_path, "REFUSES": ""},
                capture_output=True,
                text=True,
                check=False,
            )
            done.append(step["id"])
            if ran.returncode:
                return done, ran.stderr
    return done, ""


def test_every_function_of_the_topology_runs_the_image_by_its_digest(gcloud: Gcloud, workspace: Path) -> None:
    assert taken(workspace) == (["build", "scan", "waves", "deploy"], "")
    assert gcloud.traffic() == {name: {f"{name}-new": 100} for name in FUNCTIONS}
    created = [words for words in gcloud.asked if words[:3] == ["run", "services", "update"]]
    assert sorted(words[3] for words in created) == FUNCTIONS
    assert all({f"--image={DIGEST}", "--project=p", "--region=europe-west1"} <= set(words) for words in created)


def test_an_image_with_a_grave_hole_is_not_deployed(gcloud: Gcloud, workspace: Path) -> None:
    gcloud.becomes(holes=[hole("CRITICAL", "NORMAL")])
    assert taken(workspace) == (["build", "scan"], "CRITICAL CVE-2026-1: openssl 3.0.1 → 3.0.2\n")
    assert gcloud.traffic() == {name: {f"{name}-old": 100} for name in FUNCTIONS}


def test_a_function_that_fails_takes_all_that_moved_back_and_the_build_fails(gcloud: Gcloud, workspace: Path) -> None:
    gcloud.becomes(errs={"evaluate-new": 10})
    done, complained = taken(workspace)
    assert done[-1] == "deploy"
    assert "evaluate-new" in complained
    assert gcloud.traffic() == {name: {f"{name}-old": 100} for name in FUNCTIONS}
    back = [move.split()[0] for move in gcloud.moves() if move.endswith("--to-tags=previous=100")]
    assert back == ["lookup", "evaluate", "update", "stream", "privacy", "deliver"]
