"""Spans go to Google with a token of the account's, which is asked for when the first of them leave."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.transport.requests import AuthorizedSession

from emulator.topology import ROOT
from segue import tracing, wiring
from segue.adapters.google import spans

SERVICES = "infra/terraform/services.tf"


@contextmanager
def google() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A stand-in that issues tokens and takes spans: its address, and each path that was asked with its token."""
    asked: list[tuple[str, str | None]] = []

    class Google(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            if self.path == "/token":
                self.wfile.write(b'{"access_token": "of-the-account", "expires_in": 3600, "token_type": "Bearer"}')

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def account(folder: Path, address: str) -> Path:
    """The file of an account's own key."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "account.json"
    about = {"type": "service_account", "client_email": "evaluate@shop.iam.gserviceaccount.com"}
    file.write_text(json.dumps({**about, "private_key": key.decode(), "token_uri": f"{address}/token"}))
    return file


def test_spans_carry_the_token_of_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with google() as (address, asked):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, address)))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{address}/v1/traces")
        tracing.start({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address}, session=spans.session())
        with tracing.call("evaluate", "consumer"):
            pass
        assert asked == []
        tracing.stop()
    assert asked == [("/token", None), ("/v1/traces", "Bearer of-the-account")]


@pytest.mark.parametrize(
    ("endpoint", "authorized"),
    [
        ("https://telemetry.googleapis.com/v1/traces", True),
        ("https://telemetry.googleapis.com:443/v1/traces", True),
        ("https://telemetry.googleapis.com.example.com/v1/traces", False),
        ("http://127.0.0.1:4318/v1/traces", False),
        ("", False),
    ],
)
def test_nobody_else_gets_such_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, authorized: bool
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, "http://127.0.0.1:1")))
    assert isinstance(wiring.session(endpoint), AuthorizedSession) is authorized


def test_terraform_names_the_receiver_that_gets_it() -> None:
    (endpoint,) = re.findall(r'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "(.*)"', (ROOT / SERVICES).read_text())
    assert endpoint == f"https://{wiring.GOOGLES_SPANS}/v1/traces"
