"""`segue run` in a process of its own, for as long as a test needs it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from emulator.command import main

ROOT = Path(__file__).resolve().parents[2]
SEGUE = str(Path(sys.executable).with_name("segue"))
ENDED_WITHIN_S = 30.0


@contextmanager
def running(data: Path, *options: str, program: Sequence[str] = (SEGUE, "run")) -> Iterator[str]:
    """The address of a platform on a free port, its files in `data`. It is ended with the block, with status 0."""
    command = [*program, "--port", "0", "--data", str(data), "--catalog", "infra/catalog", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            answers = next((found for line in process.stdout if (found := re.search(r"answers at (\S+)", line))), None)
            assert answers, f"{' '.join(command)} ended with status {process.wait()}"
            yield answers[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(ENDED_WITHIN_S)
    assert process.returncode == 0


def typed(*arguments: str) -> Result:
    """Run the command to its end in this process: most of what a short one takes is the start of another."""
    return CliRunner().invoke(main, arguments)


def segue(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([SEGUE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
