"""Google's emulators for tests: started once by each worker that asks for them, ended with it.

A project of its own isolates a test: neither documents, nor topics, nor subscriptions are shared between projects. As
each worker has emulators of its own, a test may stop them for a while.
"""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.google_emulators import Emulator, GoogleEmulators, google_emulators, missing

STOPPED_WITHIN_S = 30.0


@pytest.fixture(scope="session")
def emulators() -> Iterator[GoogleEmulators]:
    """Both emulators, running. Without gcloud or Java the test is skipped; where CI is set it fails."""
    lacking = missing()
    if lacking:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"needs the Google emulators; missing here: {', '.join(lacking)}")
    with google_emulators() as running:
        yield running


@pytest.fixture
def project() -> str:
    """A Google Cloud project that nobody has used."""
    return f"test-{uuid.uuid4().hex[:16]}"


@contextmanager
def stopped(emulator: Emulator) -> Iterator[None]:
    """The emulator stands still, with all its threads, until the end of the block. Each of them stops only when it gets
    to run: on a busy machine the last ones go on for a while after the signal."""
    emulator.send(signal.SIGSTOP)
    try:
        ends = time.monotonic() + STOPPED_WITHIN_S
        while set(_states(emulator.process.pid)) - {"T"}:
            assert time.monotonic() < ends, "the emulator does not stand still"
            time.sleep(0.01)
        yield
    finally:
        emulator.send(signal.SIGCONT)


def _states(group: int) -> Iterator[str]:
    """The state of each thread of the processes of a group, as Linux has it."""
    for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
        try:
            state, _parent, its_group, *_ = stat.read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            yield state
