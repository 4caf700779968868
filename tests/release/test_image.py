"""The image is known by its digest from the moment it is pushed."""

import os
import subprocess
from pathlib import Path

from tests.project.files import ROOT

DIGEST = "europe-west1-docker.pkg.dev/p/segue/segue@sha256:" + "5e" * 32
DOCKER = f"""\
#!/bin/sh
echo "$PWD $*" >>"$(dirname "$0")/asked"
test "$1" != "$REFUSES" || exit 1
test "$1" != inspect || echo {DIGEST}
"""


def built(folder: Path, refuses: str = "") -> subprocess.CompletedProcess[str]:
    """The script, with a stand-in for docker."""
    (folder / "docker").write_text(DOCKER, encoding="utf-8")
    (folder / "docker").chmod(0o700)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    return subprocess.run(
        [ROOT / "infra" / "release" / "image", "segue:1", folder / "out" / "image"],
        cwd=folder,
        env={**os.environ, "PATH": path, "REFUSES": refuses},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_built_from_the_projects_folder_pushed_and_then_named_by_its_digest(tmp_path: Path) -> None:
    assert built(tmp_path).returncode == 0
    assert (tmp_path / "out" / "image").read_text(encoding="utf-8") == f"{DIGEST}\n"
    assert (tmp_path / "asked").read_text(encoding="utf-8").splitlines() == [
        f"{ROOT} build --file infra/Dockerfile --tag segue:1 .",
        f"{ROOT} push segue:1",
        f"{ROOT} inspect --format {{{{index .RepoDigests 0}}}} segue:1",
    ]


def test_what_was_not_pushed_has_no_name(tmp_path: Path) -> None:
    assert built(tmp_path, refuses="push").returncode == 1
    assert not (tmp_path / "out").exists()
