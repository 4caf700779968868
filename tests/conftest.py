"""What every test may rely on: a Hypothesis profile, and a browser and the Google emulators or a clear reason."""

import os

import pytest
from hypothesis import HealthCheck, settings

from emulator.google_emulators import missing
from tests.browser import browser, page, visitor
from tests.emulators import emulators, project

__all__ = ["browser", "emulators", "page", "project", "visitor"]

# A shared or slow machine must not decide whether a fact holds: no deadlines, no complaint about slow generation.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("default", _UNTIMED, max_examples=200)
settings.register_profile("all", _UNTIMED, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = missing()
    if lacking and not os.environ.get("CI"):
        reason = f"needs the Google emulators; missing here: {', '.join(lacking)}"
        for item in items:
            if item.get_closest_marker("google"):
                item.add_marker(pytest.mark.skip(reason=reason))
