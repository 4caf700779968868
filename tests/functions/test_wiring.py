"""The environment is read as a function is imported; the platform is put together at its first request."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from segue import wiring
from segue.domain.errors import Invalid
from tests.project.files import ROOT

FUNCTIONS = ("deliver", "evaluate", "ingest", "lookup", "privacy", "stream", "tick", "update")
SECRET = "a secret of the tests"  # noqa: S105  # no platform has it
GOOGLE = {"SEGUE_PROFILE_SECRET": SECRET, "SEGUE_PLATFORM": "google", "SEGUE_PROJECT": "shop-1"}


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGUE_PROFILE_SECRET", SECRET)
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path))
    wiring.use(None)


async def test_a_process_has_one_platform() -> None:
    platform = wiring.platform()
    try:
        assert wiring.platform() is platform
        assert platform.settings.platform == "embedded"
        assert platform.identity is None
        await platform.ports.catalog.publish(b"{}")
        assert (await platform.catalogs.current()).version == 1
    finally:
        wiring.use(None)


async def test_on_google_pushes_are_verified_where_an_account_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_PLATFORM", "google")
    monkeypatch.setenv("SEGUE_PROJECT", "shop-1")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "localhost:1")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:1")
    assert wiring.platform().identity is None
    wiring.use(None)
    monkeypatch.setenv("SEGUE_PUSH_AUDIENCE", "https://segue.example")
    monkeypatch.setenv("SEGUE_PUSH_ACCOUNT", "push@shop-1.iam.gserviceaccount.com")
    assert wiring.platform().identity is not None
    wiring.use(None)


def test_a_broken_environment_is_named_and_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGUE_PROFILE_SECRET")
    for _ in range(2):
        with pytest.raises(Invalid, match="SEGUE_PROFILE_SECRET"):
            wiring.platform()


def imported(functions: Iterable[str], environment: Mapping[str, str], then: str = "") -> CompletedProcess[str]:
    """A process that imports functions as the server does, which is before it forks."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")])}
    program = "\n".join([*(f"import functions.{function}.main" for function in functions), then])
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**paths, **environment}
    )


def test_importing_functions_opens_nothing_and_imports_no_other_platform() -> None:
    slow = ("google.cloud.", "grpc", "segue.adapters.")
    then = f"import sys\nprint([name for name in sys.modules if name.startswith({slow})])"
    assert imported(FUNCTIONS, {"SEGUE_PROFILE_SECRET": SECRET}, then).stdout == "[]\n"


def test_a_function_has_imported_its_platform_before_its_first_request_and_still_opened_nothing() -> None:
    then = (
        "import gc, sys, threading\n"
        "from segue import wiring\n"
        "print('segue.adapters.google.platform' in sys.modules, threading.active_count(), wiring._installed, "
        "gc.get_freeze_count() > 50_000, gc.isenabled())\n"
        "print([name for name in ('jsonschema', 'obstore', 'google.cloud.bigquery', 'duckdb') if name in sys.modules])"
    )
    assert imported(FUNCTIONS, GOOGLE, then).stdout == "True 1 None True True\n[]\n"


@pytest.mark.parametrize(
    ("function", "environment", "said"),
    [
        ("ingest", {}, "SEGUE_PROFILE_SECRET: is missing or empty"),
        ("update", GOOGLE | {"K_SERVICE": "update"}, "SEGUE_PUSH_ACCOUNT: is missing or empty"),
    ],
)
def test_a_function_does_not_start_with_a_setting_missing_and_says_which_in_one_line(
    function: str, environment: Mapping[str, str], said: str
) -> None:
    ended = imported([function], environment)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == f'{{"severity":"ERROR","event":"not_started","error":"{said}"}}\n'
