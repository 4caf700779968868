"""A function in a process of its own, as in the cloud, on the emulators; and visitors whom lookup knows there."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from emulator import catalog
from emulator.google_emulators import GoogleEmulators
from emulator.server import HOST, free_port
from segue.adapters.google.platform import GooglePlatform
from segue.domain.document import PublicProfile, encode, profile_path
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Write

ROOT = Path(__file__).parents[1]
SECRET = "a secret of the tests and measurements"  # noqa: S105  # no other platform has it
SEGMENT = "high-purchase-intent"
STARTED_WITHIN_S = 60.0
ENDED_WITHIN_S = 10.0


async def publish(emulators: GoogleEmulators, project: str, visitors: Sequence[str]) -> None:
    """The demo's catalogue, and the public documents of anonymous visitors who are in `SEGMENT` for good."""
    google = GooglePlatform.open(project, "catalog", environment=emulators.environment, deadline_s=60.0)
    now = time.time_ns() // 1_000_000
    await google.catalog.publish(catalog.load(ROOT / "infra" / "catalog"))
    for visitor in visitors:
        profile = ProfileRef("anonymous_id", visitor)
        public = PublicProfile(
            profile=profile, seq=1, catalog=1, at=now, known_until=None, memberships={SEGMENT: ((now, None),)}
        )
        path = profile_path(profile_key(SECRET.encode(), profile))
        await google.store.commit([Write(path=path, data=encode(public))])
    await google.close()


@contextmanager
def function_on_google(
    emulators: GoogleEmulators,
    project: str,
    target: str = "lookup",
    source: str = "functions/lookup/main.py",
    *,
    prefix: Sequence[str] = (),
    **environment: str,
) -> Iterator[tuple[str, int]]:
    """The host and port of a function's new process, which is ended with the block. `prefix` is what runs its command,
    and `environment` is added to that of the platform."""
    port = free_port()
    settings = {
        "SEGUE_PLATFORM": "google",
        "SEGUE_PROJECT": project,
        "SEGUE_PROFILE_SECRET": SECRET,
        "GUNICORN_LOG_LEVEL": "warning",
    }
    command = [
        *prefix,
        str(Path(sys.executable).with_name("functions-framework")),
        *("--asgi", "--target", target, "--source", source),
        *("--host", HOST, "--port", str(port)),
    ]
    whole = {**os.environ, **emulators.environment, **settings, **environment}
    with subprocess.Popen(command, cwd=ROOT, env=whole, stdout=subprocess.DEVNULL) as process:
        try:
            _until_it_listens(port)
            yield HOST, port
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)


def _until_it_listens(port: int) -> None:
    ends = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < ends:
        with suppress(OSError):
            http.client.HTTPConnection(HOST, port, timeout=1).connect()
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens at port {port}")
