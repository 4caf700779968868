"""The import contracts are alive: each reports the violation planted for it in a copy of the code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.project.files import ROOT


class Violation(NamedTuple):
    """One module with one line in it, the contract this breaks, and how the report names the breach."""

    module: str
    line: str
    contract: str
    reported: str


PLANTED = [
    Violation(
        "shared/segue/domain/planted_up.py",
        "import functions.lookup",
        "Imports point down: emulator, functions, segue",
        "segue.domain.planted_up -> functions.lookup",
    ),
    Violation(
        "shared/segue/domain/planted_port.py",
        "import segue.ports",
        "Inside segue: wiring, adapters, ports, domain",
        "segue.domain.planted_port -> segue.ports",
    ),
    Violation(
        "shared/segue/planted_anywhere.py",
        "HOME = None",
        "Inside segue: wiring, adapters, ports, domain",
        "not listed as layers:\n\n- segue.planted_anywhere",
    ),
    Violation(
        "functions/tick/planted_function.py",
        "import functions.update",
        "A function never imports another function",
        "functions.tick.planted_function -> functions.update",
    ),
    Violation(
        "shared/segue/adapters/embedded/planted_adapter.py",
        "import segue.adapters.google",
        "Adapters never import each other",
        "segue.adapters.embedded.planted_adapter -> segue.adapters.google",
    ),
    Violation(
        "functions/tick/planted_wiring.py",
        "from segue import wiring",
        "Only main.py and the emulator touch wiring",
        "functions.tick.planted_wiring -> segue.wiring",
    ),
    Violation(
        "functions/tick/planted_adapter.py",
        "import segue.adapters.embedded",
        "Only wiring and the emulator touch adapters",
        "functions.tick.planted_adapter -> segue.adapters.embedded",
    ),
    Violation(
        "shared/segue/domain/planted_clock.py",
        "import time",
        "The domain and the ports know no cloud, web, clock or environment",
        "segue.domain.planted_clock -> time",
    ),
    Violation(
        "functions/lookup/planted_google.py",
        "import google.cloud.firestore",
        "Google clients are imported only in adapters",
        "functions.lookup.planted_google -> google",
    ),
    Violation(
        "functions/ingest/planted_cycle/first.py",
        "import functions.ingest.planted_cycle.second",
        "No cycles anywhere",
        "No cycles are allowed in functions.ingest.planted_cycle",
    ),
    Violation(
        "functions/ingest/planted_cycle/second.py",
        "import functions.ingest.planted_cycle.first",
        "No cycles anywhere",
        "No cycles are allowed in functions.ingest.planted_cycle",
    ),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contract → what import-linter says of it in a copy of the code that holds every planted violation."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in ("emulator", "functions", "shared"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for violation in PLANTED:
        module = copy / violation.module
        module.parent.mkdir(exist_ok=True)
        (module.parent / "__init__.py").touch()
        module.write_text(f"{violation.line}\n", encoding="utf-8")
    linter = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(copy / "shared")])},
        capture_output=True,
        text=True,
        check=False,
    )
    titles_and_bodies = re.split(r"^([^\n]+)\n-{5,}\n", linter.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(titles_and_bodies[0::2], titles_and_bodies[1::2], strict=True))


@pytest.mark.parametrize("violation", PLANTED, ids=lambda violation: violation.module)
def test_a_planted_violation_is_reported(violation: Violation, report: dict[str, str]) -> None:
    assert violation.reported in report[violation.contract]
