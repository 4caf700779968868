"""The platform is put together from the environment at the first request, and never before."""

import subprocess
import sys
from pathlib import Path

import pytest

from segue import wiring
from segue.domain.errors import Invalid

FUNCTIONS = ("deliver", "evaluate", "ingest", "lookup", "tick", "update")


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGUE_PROFILE_SECRET", "a secret of the tests")
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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_importing_a_function_opens_nothing_and_imports_no_platform(function: str) -> None:
    """The server imports it in the parent process, then forks."""
    program = (
        f"import sys, functions.{function}.main\n"
        "print([name for name in sys.modules if name.startswith(('google.cloud.', 'grpc', 'segue.adapters.'))])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env={})
    assert ended.stdout == b"[]\n"


def test_lookup_has_imported_its_platform_before_its_first_request_and_still_opened_nothing() -> None:
    program = (
        "import gc, sys, threading, functions.lookup.main\n"
        "from segue import wiring\n"
        "print('segue.adapters.google.platform' in sys.modules, threading.active_count(), wiring._installed, "
        "gc.get_freeze_count() > 50_000)"
    )
    environment = {"SEGUE_PLATFORM": "google"}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert ended.stdout == b"True 1 None True\n"
