"""Buckets that answer over HTTP on this machine: a real S3 server, and as much of Google Cloud Storage as is used."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segue.adapters.web.objects import Credentials
from tests.journeys.killed import free_port

BUCKET = "audiences"
S3_CREDENTIALS: Credentials = {"access_key_id": "AKIATESTS", "secret_access_key": "a secret that signs requests"}
READY_WITHIN_S = 60.0


@contextmanager
def s3() -> Iterator[str]:
    """The address of moto's S3 server, with an empty bucket, in a process of its own until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _create_bucket(url)
            yield url
        finally:
            process.terminate()


def _create_bucket(url: str) -> None:
    until = time.monotonic() + READY_WITHIN_S
    with httpx.Client(trust_env=False) as http:
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                http.put(f"{url}/{BUCKET}", content=b"").raise_for_status()
                return
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer")


def service_account() -> Credentials:
    """A key file as Google's console makes it, with a key that nobody knows."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    email = "segue@tests.iam.gserviceaccount.com"
    return {"type": "service_account", "client_email": email, "private_key_id": "1", "private_key": _pem(key).decode()}


def certified(folder: Path, host: str) -> tuple[Path, Path]:
    """The files of a key, and of the certificate that it signed for a host itself."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    kept, signed = folder / "key.pem", folder / "certificate.pem"
    kept.write_bytes(_pem(key))
    signed.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return kept, signed


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Gcs:
    """Objects by path, with Google's generations and its precondition `x-goog-if-generation-match`."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._generation = 1_000
        self.tokens: set[str] = set()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "PUT"])])

    async def _answer(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("authorization", ""))
        path, body = request.path_params["path"], await request.body()
        _, generation = self._objects.get(path, (b"", 0))
        if request.method == "GET":
            return self._told(path) if generation else Response(status_code=404)
        wanted = request.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != generation:
            return Response(status_code=412)
        self._generation += 1
        self._objects[path] = (body, self._generation)
        told = self._told(path)
        return Response(status_code=200, headers=dict(told.headers) | {"content-length": "0"})

    def _told(self, path: str) -> Response:
        data, generation = self._objects[path]
        headers = {
            "etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "x-goog-generation": str(generation),
            "last-modified": "Wed, 01 May 2024 00:00:00 GMT",
        }
        return Response(data, headers=headers)
