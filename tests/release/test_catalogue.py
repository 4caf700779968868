"""A change of the catalogue alone, taken through its pipeline on Google's emulators."""

import os
import subprocess
from pathlib import Path

import pytest

from emulator.google_emulators import GoogleEmulators
from tests.journeys.running import SEGUE
from tests.project.files import ROOT
from tests.release.gcloud import Gcloud
from tests.release.test_cloudbuild import CATALOGUE, steps

pytestmark = [pytest.mark.google, pytest.mark.slow]


def test_the_catalogue_is_tried_and_then_in_force_and_nothing_is_built_or_deployed(
    gcloud: Gcloud, emulators: GoogleEmulators, project: str, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ntouch {tmp_path}/built\n", encoding="utf-8")
    docker.chmod(0o700)

    def take(id_: str) -> str:
        (step,) = [step for step in steps(CATALOGUE) if step["id"] == id_]
        words = [word.replace("${PROJECT_ID}", project) for word in step["args"]]
        assert words[0] == ".venv/bin/segue"
        path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
        environment = {**os.environ, **emulators.environment, "PATH": path}
        done = subprocess.run(
            [SEGUE, *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]

    would_be, is_, is_again = take("catalogue-dry-run"), take("catalogue"), take("catalogue-dry-run")
    assert would_be == "infra/catalog: would be in force as version 1"
    assert is_ == "infra/catalog: in force as version 1"
    assert is_again == "infra/catalog: is in force already, as version 1"
    assert gcloud.asked == []
    assert not (tmp_path / "built").exists()
