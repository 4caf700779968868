"""Functions started from the image as Cloud Run starts them: the topology's command, PORT, K_SERVICE, and SIGTERM."""

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from emulator.server import HOST, free_port
from emulator.topology import topology
from segue.entrypoint import HEALTH
from tests.image.assembled import Image

STARTED_WITHIN_S = 60.0
ENDED_WITHIN_S = 10.0
"""So long Cloud Run waits from SIGTERM on."""

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens at the port of `discard`."""

SETTINGS = {
    "SEGUE_PLATFORM": "google",
    "SEGUE_PROJECT": "segue-image",
    "SEGUE_CATALOG_DATABASE": "catalog",
    "SEGUE_ARCHIVE_DATASET": "archive",
}
PUSHED = {"SEGUE_PUSH_AUDIENCE": "segue", "SEGUE_PUSH_ACCOUNT": "push@segue.example"}
PUBLIC = {
    "SEGUE_GEO_HEADERS": "client-geo",
    "FORWARDED_ALLOW_IPS": "169.254.0.0/16,130.211.0.0/22,35.191.0.0/16,203.0.113.1",
}
"""What `infra/terraform/services.tf` sets: for all, for who is pushed to, for who anyone calls."""


class Service(msgspec.Struct, frozen=True):
    """A function's process, which answers at `port`, and the file with what it says."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    said: Path

    def answer(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the body that a request is answered with."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def until_healthy(self) -> None:
        """Return once it takes requests. Raises TimeoutError, with its last words, if it does not."""
        ends = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                if self.answer("GET", HEALTH)[0] == 204:
                    return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError(f"{self.name} does not answer; it said: {self.said.read_text()[-2000:]}")

    def cpu_ms(self) -> float:
        """What the process and its workers have taken of the CPU."""
        pid = self.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in (str(pid), *workers)]
        return sum(int(own[11]) + int(own[12]) for own in fields) * 1e3 / os.sysconf("SC_CLK_TCK")

    def ended(self) -> int:
        """The status of the process, once it has been told to end. Raises TimeoutExpired if it takes too long."""
        self.process.terminate()
        return self.process.wait(ENDED_WITHIN_S)


def command(name: str) -> Sequence[str]:
    """How Cloud Run starts a function, as `infra/terraform/topology.tf` reads it from the topology."""
    function = topology()["functions"][name]
    source = function["source"]
    if function.get("server") == "uvicorn":
        return ["python", "-m", ".".join(PurePosixPath(source).parent.parts)]
    return ["functions-framework", "--asgi", "--target", function["target"], "--source", source]


def settings(name: str) -> Mapping[str, str]:
    """The variables of a function's service, with secrets that are no one's."""
    function = topology()["functions"][name]
    secrets = dict.fromkeys(function["secrets"], "{}") | {"SEGUE_PROFILE_SECRET": "a secret of no deployment"}
    return {**SETTINGS, **secrets, **(PUBLIC if function["callers"] == "anyone" else PUSHED)}


def on_the_emulators(emulators: Mapping[str, str], project: str, folder: Path) -> Mapping[str, str]:
    """The variables of a process on a laptop's emulators, which say nothing of who pushes, and have no BigQuery."""
    nothing = dict.fromkeys([*PUSHED, "SEGUE_ARCHIVE_DATASET"], "")
    return {**nothing, **emulators, "SEGUE_PROJECT": project, "SEGUE_DATA": str(folder / "data")}


def cut_off(folder: Path) -> Mapping[str, str]:
    """The variables of a process in the cloud that reaches none of Google's services: with an account whose key nobody
    knows, and a proxy that is not there."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "segue-image",
        "client_email": "function@segue.example",
        "private_key_id": "1",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "token_uri": f"{NOWHERE}/token",
    }
    credentials = folder / "account.json"
    credentials.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials), "https_proxy": NOWHERE}


@contextmanager
def started(image: Image, name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Service]:
    """A function's new process, which may not take requests yet; it ends with the block."""
    port = free_port()
    said = folder / f"{name}-{port}.log"
    whole = {**image.environment, "HOME": str(folder), "HOST": HOST, "PORT": str(port), **settings(name), **environment}
    with (
        said.open("wb") as output,
        subprocess.Popen(command(name), cwd=image.folder, env=whole, stdout=output, stderr=output) as process,
    ):
        service = Service(name, port, process, said)
        try:
            yield service
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(ENDED_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()


def in_the_cloud(name: str) -> Mapping[str, str]:
    """What Cloud Run itself sets."""
    return {"K_SERVICE": name, "K_REVISION": f"{name}-00001", "K_CONFIGURATION": name}
