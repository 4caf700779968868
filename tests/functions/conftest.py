"""Log lines can be read by tests, whatever ran before them in the same process."""

import logging

import pytest


@pytest.fixture(autouse=True)
def _lines_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that was run here has sent its lines to the standard output alone."""
    monkeypatch.setattr(logging.getLogger("segue"), "propagate", True)
