"""Terraform itself, where it is installed: no package of PyPI, npm or Debian has it, and the provider is not needed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}


def terraform(*arguments: str, folder: Path, said: str = "") -> str:
    """What a command prints, which must succeed; without the program the test is skipped."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("needs terraform")
    command = [program, f"-chdir={folder}", *arguments]
    done = subprocess.run(command, input=said, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
