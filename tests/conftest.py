"""What every test may rely on: a Hypothesis profile, and the Google emulators or a clear reason."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared or slow machine must not decide whether a fact holds: no deadlines, no complaint about slow generation.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("default", _UNTIMED, max_examples=200)
settings.register_profile("all", _UNTIMED, max_examples=2_000)
settings.register_profile("fuzz", _UNTIMED, max_examples=200_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def missing_for_google() -> list[str]:
    """The programs and gcloud components that are not installed; empty if the emulators can be started."""
    gcloud = shutil.which("gcloud")
    missing = [program for program in ("gcloud", "java") if shutil.which(program) is None]
    if gcloud:
        components = Path(gcloud).resolve().parent.parent / "platform"
        emulators = ("cloud-firestore-emulator", "pubsub-emulator")
        missing += [f"gcloud component {name}" for name in emulators if not (components / name).is_dir()]
    return missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = missing_for_google()
    if missing:
        reason = f"needs the Google emulators; missing here: {', '.join(missing)}"
        for item in items:
            if item.get_closest_marker("google"):
                item.add_marker(pytest.mark.skip(reason=reason))
