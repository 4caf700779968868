"""Starts and ends Google's emulators of Firestore and Pub/Sub, on 127.0.0.1.

They keep nothing: their documents, topics and messages live as long as they do.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from segue.domain.errors import Unavailable

HOST = "127.0.0.1"
READY_WITHIN_S = 60.0
_ENDED_WITHIN_S = 5.0

_COMPONENTS = ("cloud-firestore-emulator", "pubsub-emulator")
_QUIET = {"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1"}


class _Kind(msgspec.Struct, frozen=True):
    """What starts an emulator, and the path of a call that it answers, with whatever status, only once it works."""

    name: str
    command: tuple[str, ...]
    probe: str


_FIRESTORE = _Kind(
    "firestore",
    ("gcloud", "emulators", "firestore", "start"),
    "/v1/projects/segue/databases/(default)/documents/is-it/ready",
)
_PUBSUB = _Kind("pubsub", ("gcloud", "beta", "emulators", "pubsub", "start"), "/v1/projects/segue/topics")


class Emulator(msgspec.Struct, frozen=True, kw_only=True):
    """A running emulator. It and what it started are one process group, led by `process`."""

    kind: _Kind
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def send(self, number: signal.Signals) -> None:
        """Signal the whole group: Java outlives the `gcloud` that started it."""
        os.killpg(self.process.pid, number)


class GoogleEmulators(msgspec.Struct, frozen=True, kw_only=True):
    """Both of them, ready to be called."""

    firestore: Emulator
    pubsub: Emulator

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead Google's clients to them."""
        return {"FIRESTORE_EMULATOR_HOST": self.firestore.address, "PUBSUB_EMULATOR_HOST": self.pubsub.address}


def missing() -> Sequence[str]:
    """What must be installed before the emulators can start; empty if nothing."""
    gcloud = shutil.which("gcloud")
    programs = [name for name, path in (("gcloud", gcloud), ("Java", shutil.which("java"))) if path is None]
    if gcloud is None:
        return programs
    components = Path(gcloud).resolve().parent.parent / "platform"
    return programs + [f"gcloud component {name}" for name in _COMPONENTS if not (components / name).is_dir()]


@contextmanager
def google_emulators(*, firestore_port: int | None = None, pubsub_port: int | None = None) -> Iterator[GoogleEmulators]:
    """Both emulators, started at the same time, ready, and ended with the block. Without a port they take a free one.

    Raises Unavailable, saying what to do, if something is not installed, a port is taken or one does not start.
    """
    lacking = missing()
    if lacking:
        raise Unavailable(f"the Google emulators need {', '.join(lacking)}: install that, or run the embedded platform")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="segue-emulators-")))
        firestore = stack.enter_context(_started(_FIRESTORE, folder, firestore_port))
        pubsub = stack.enter_context(_started(_PUBSUB, folder, pubsub_port, f"--data-dir={folder}"))
        for emulator in (firestore, pubsub):
            _await_ready(emulator)
        yield GoogleEmulators(firestore=firestore, pubsub=pubsub)


@contextmanager
def _started(kind: _Kind, folder: Path, wanted_port: int | None, *options: str) -> Iterator[Emulator]:
    port = _bindable(wanted_port or 0, kind.name)
    log = folder / f"{kind.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - fixed words, a free port and a folder of our own
            [*kind.command, f"--host-port={HOST}:{port}", "--project=segue", "--quiet", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_QUIET},
            start_new_session=True,
        )
    emulator = Emulator(kind=kind, port=port, process=process, log=log)
    try:
        yield emulator
    finally:
        with suppress(ProcessLookupError):
            emulator.send(signal.SIGKILL)
        process.wait()
        _await_end(emulator)


def _await_end(emulator: Emulator) -> None:
    """Java is not our child, so what can be waited for is its port."""
    ends = time.monotonic() + _ENDED_WITHIN_S
    while _is_open(emulator.port) and time.monotonic() < ends:
        time.sleep(0.02)


def _bindable(port: int, name: str) -> int:
    """The port if nobody listens on it; for 0 a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Unavailable(f"the {name} emulator cannot listen on port {port}: {error.strerror}") from error
        return int(probe.getsockname()[1])


def _await_ready(emulator: Emulator) -> None:
    ends = time.monotonic() + READY_WITHIN_S
    while not _answers(emulator):
        if emulator.process.poll() is not None or time.monotonic() > ends:
            said = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-10:])
            raise Unavailable(f"the {emulator.kind.name} emulator did not start; it said:\n{said}")
        time.sleep(0.1)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _answers(emulator: Emulator) -> bool:
    connection = http.client.HTTPConnection(HOST, emulator.port, timeout=10)
    try:
        connection.request("GET", emulator.kind.probe)
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
