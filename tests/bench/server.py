"""Servers that the benchmarks measure, each a process on a core of its own.

`python -m tests.bench.server bare` serves a function that does nothing; `python -m tests.bench.server held DATA` serves
ingest, whose messages stay in the queues. Both are served as `segue run` serves the platform.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop
from functions_framework.aio import create_asgi_app

from emulator import catalog, functions
from emulator.server import listening, serve
from segue import wiring
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.catalogs import Catalogs
from segue.domain.message import EVENTS
from segue.settings import Settings
from segue.wiring import Platform
from tests.embedded import ports_of

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "infra" / "catalog"
SEGUE = str(Path(sys.executable).with_name("segue"))

SERVER_CORE, CLIENT_CORE = "0", "1"
ENDED_WITHIN_S = 60.0


def pinned(core: str, command: Sequence[str]) -> list[str]:
    """The command on one core of its own, where the machine lets us choose."""
    return ["taskset", "-c", core, *command] if shutil.which("taskset") else [*command]


@contextmanager
def serving(*command: str, **environment: str) -> Iterator[tuple[str, int]]:
    """The host and port that a command's process answers at, on the servers' core; `environment` is added to ours."""
    with subprocess.Popen(
        pinned(SERVER_CORE, command), cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            found = re.search(r"answers at http://([\d.]+):(\d+)", said)
            if found is None:
                raise RuntimeError(f"{' '.join(command)} did not start")
            yield found[1], int(found[2])
        finally:
            process.terminate()
            process.wait(ENDED_WITHIN_S)


def bare() -> tuple[str, ...]:
    """The command of the function that does nothing."""
    return sys.executable, "-m", "tests.bench.server", "bare"


def held(data: Path) -> tuple[str, ...]:
    """The command of ingest with held consumers."""
    return sys.executable, "-m", "tests.bench.server", "held", str(data)


def platform(data: Path) -> tuple[str, ...]:
    """The command of the whole embedded platform."""
    return SEGUE, "run", "--port", "0", "--data", str(data)


def load(host: str, port: int, request: bytes, seconds: float, connections: int = 32) -> float:
    """Answers a second, under load from the clients' core. Raises unless every answer is 200."""
    command = [sys.executable, "-m", "tests.bench.load", host, str(port), str(connections), str(seconds)]
    done = subprocess.run(pinned(CLIENT_CORE, command), cwd=ROOT, input=request, check=True, capture_output=True)
    result = json.loads(done.stdout)
    if result["statuses"].keys() != {"200"}:
        raise RuntimeError(f"expected answers of 200 alone, found {result['statuses']}")
    return float(result["answers"] / result["seconds"])


async def _bare() -> None:
    app = create_asgi_app("bare", str(Path(__file__).with_name("bare.py")), "http")  # type: ignore[no-untyped-call]
    with listening(0) as listener:
        print("answers at http://{}:{}".format(*listener.getsockname()), flush=True)
        await serve(app, listener)


async def _held(data: Path) -> None:
    clock = SystemClock()
    opened = EmbeddedPlatform.open(data, clock, [Subscription(name="events-evaluate", topic=EVENTS)])
    ports = ports_of(opened, clock)
    await ports.catalog.publish(catalog.load(CATALOG))
    settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": "of-the-benchmark", "SEGUE_DATA": str(data)})
    wiring.use(Platform(settings=settings, ports=ports, catalogs=Catalogs(ports.catalog, clock)))
    with listening(0) as listener:
        print("answers at http://{}:{}".format(*listener.getsockname()), flush=True)
        await serve(functions.apps()["ingest"], listener)


if __name__ == "__main__":
    uvloop.run(_bare() if sys.argv[1] == "bare" else _held(Path(sys.argv[2])))
