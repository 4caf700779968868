"""Google's emulators for tests: started once by each worker that asks for them, ended with it.

A project of its own isolates a test: neither documents, nor topics, nor subscriptions are shared between projects. As
each worker has emulators of its own, a test may stop them for a while.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from emulator.google_emulators import GoogleEmulators, google_emulators, missing


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
