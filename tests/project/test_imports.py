"""The import contracts are alive: each reports the violation planted for it in a copy of the code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.files import ROOT

# contract → (file the violation is planted in, the line, importer -> imported as the report names it)
PLANTED = {
    "Imports point down: emulator, functions, segue": (
        "shared/segue/domain/planted_up.py",
        "import functions.lookup",
        "segue.domain.planted_up -> functions.lookup",
    ),
    "Inside segue: wiring, adapters, ports, domain": (
        "shared/segue/domain/planted_port.py",
        "import segue.ports",
        "segue.domain.planted_port -> segue.ports",
    ),
    "A function never imports another function": (
        "functions/tick/planted_function.py",
        "import functions.update",
        "functions.tick.planted_function -> functions.update",
    ),
    "Adapters never import each other": (
        "shared/segue/adapters/embedded/planted_adapter.py",
        "import segue.adapters.google",
        "segue.adapters.embedded.planted_adapter -> segue.adapters.google",
    ),
    "The domain and the ports know no cloud, web, clock or environment": (
        "shared/segue/domain/planted_clock.py",
        "import time",
        "segue.domain.planted_clock -> time",
    ),
    "Google clients are imported only in adapters": (
        "functions/lookup/planted_google.py",
        "import google.cloud.firestore",
        "functions.lookup.planted_google -> google",
    ),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the code that holds every planted violation."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in ("emulator", "functions", "shared"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file, line, _ in PLANTED.values():
        (copy / file).write_text(f"{line}\n", encoding="utf-8")
    linter = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(copy / "shared")])},
        capture_output=True,
        text=True,
        check=False,
    )
    return linter.stdout


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_is_reported(contract: str, report: str) -> None:
    _, _, edge = PLANTED[contract]
    assert f"{contract} BROKEN" in report
    details = re.search(
        rf"^{re.escape(contract)}\n-+\n(.*?)(?=^[^\n]+\n-{{5,}}\n|\Z)", report, re.MULTILINE | re.DOTALL
    )
    assert details
    assert edge in details[1]
