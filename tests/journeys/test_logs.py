"""Personal data is sent by every way there is, and messages are made to fail: no log line says any of it."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY
from emulator.server import listening
from segue.adapters.google.platform import GooglePlatform
from segue.domain.document import state_path
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Write
from segue.telemetry import FIELDS
from tests.journeys.running import ENDED_WITHIN_S, ROOT, SEGUE
from tests.journeys.signed import Run

pytestmark = [pytest.mark.slow]

EMAIL, PHONE, NAME, ADDRESS = "ada.planted@mail.example", "+4915112345678", "Plantedlace", "203.0.113.77"
USER, ANONYMOUS, MESSAGE, PROPERTY = "user-planted-1", "anonymous-planted-2", "message-planted-3", "planted_property"
TOKEN, WRONG_KEY, HOOK, SECRET = "token-planted-4", "key-planted-5", "hook-planted-6", "secret-planted-7"
FORGED = 'x\r\n{"severity":"INFO","event":"planted-line"}\x1b[31m\u2028'
PLANTED = ("planted", "Planted", PHONE, ADDRESS, DEMO_WRITE_KEY, DEMO_SECRET_KEY)
"""Whatever has none of these has none of the values above."""

HEADERS = {
    "x-forwarded-for": ADDRESS,
    "user-agent": f"Browser of {NAME}",
    "cookie": f"session={TOKEN}",
    "referer": f"https://shop.example/?email={EMAIL}",
    "traceparent": f"00-{TOKEN}-01",
}

WORKED = {"profile": {"user_id": USER}, "slots": ["homepage-hero", FORGED], "after": MESSAGE, "deadline_ms": 50}

CALLS: Sequence[tuple[str, str, Any, str]] = [
    ("POST", "/v1/identify", {"userId": USER, "traits": {"email": EMAIL, "phone": PHONE, "name": NAME}}, ""),
    ("POST", "/v1/track", {"anonymousId": ANONYMOUS, "event": "Order Completed", "messageId": MESSAGE}, ""),
    ("POST", "/v1/track", {"anonymousId": EMAIL, "event": FORGED, "properties": {PROPERTY: PHONE, FORGED: EMAIL}}, ""),
    ("POST", "/v1/track", {"anonymousId": ANONYMOUS, "event": "Bad", "timestamp": EMAIL, "messageId": FORGED}, ""),
    ("POST", "/v1/batch", {"batch": [{"type": FORGED, "userId": USER}, {"type": "page", "userId": USER}, EMAIL]}, ""),
    ("POST", "/v1/track", {"anonymousId": ANONYMOUS, "event": "Bought", "writeKey": WRONG_KEY}, WRONG_KEY),
    ("POST", "/v1/track", b'{"event": "' + EMAIL.encode(), ""),
    ("POST", "/v1/track", b"\x1f\x8b" + EMAIL.encode(), ""),
    ("POST", f"/v1/{EMAIL}", {}, ""),
    ("POST", "/v1/import", {"batch": [{"type": "track", "event": NAME, "userId": USER}]}, DEMO_SECRET_KEY),
    ("DELETE", f"/v1/links?anonymous_id={ANONYMOUS}&user_id={USER}", None, DEMO_SECRET_KEY),
    ("GET", f"/v1/projects/{WRONG_KEY}/settings", None, ""),
    ("POST", "/v1/decide", WORKED, DEMO_SECRET_KEY),
    ("POST", "/v1/decide", {"profile": {EMAIL: PHONE}, "slots": EMAIL}, DEMO_SECRET_KEY),
    ("POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": USER, "email": EMAIL}}, DEMO_SECRET_KEY),
    ("GET", f"/v1/profiles/user_id:{USER}/segments", None, DEMO_SECRET_KEY),
    ("GET", f"/v1/profiles/email:{EMAIL}/segments?at={PHONE}", None, DEMO_SECRET_KEY),
    ("GET", f"/v1/profiles/user_id:{USER}/segments", None, WRONG_KEY),
    ("POST", "/v1/tokens", {"user_id": USER, "ttl": EMAIL}, DEMO_SECRET_KEY),
    ("GET", f"/v1/stream?token={TOKEN}", None, ""),
]
"""What is asked of the front: method, address, body, and the key where it is not the write key."""

CONTEXT = {
    "ce-id": MESSAGE,
    "ce-type": "segue.events.received",
    "ce-source": EMAIL,
    "ce-specversion": "1.0",
    "ce-time": "2026-01-01T00:00:00Z",
    "content-type": "application/json",
    "authorization": f"Bearer {TOKEN}",
}

PUSHES: Sequence[tuple[Mapping[str, str], bytes]] = [
    (CONTEXT, json.dumps({"key": EMAIL, "profile": [USER], PROPERTY: FORGED}).encode()),
    (CONTEXT, EMAIL.encode()),
    ({**CONTEXT, "ce-type": EMAIL}, b"{}"),
    ({**CONTEXT, "ce-time": PHONE}, b"{}"),
    ({"x-planted": EMAIL}, NAME.encode()),
]
"""What is pushed to every function that has its messages pushed."""

RAW = f"GET /v1/stream?token={TOKEN} HTTP/1.1\r\nHost: {NAME}\r\n{EMAIL}\r\n: {PHONE}\r\n\r\n".encode()


@contextmanager
def logged(folder: Path, catalog: Path, *program: str) -> Iterator[Callable[[str], str]]:
    """A platform whose output lies in `folder`/segue.log; finds the first group of a pattern there, once it is."""
    log = folder / "segue.log"
    command = [*program, "--port", "0", "--data", str(folder / "data"), "--catalog", str(catalog)]
    environment = {
        **os.environ,
        "SEGUE_PROFILE_SECRET": SECRET,
        "SEGUE_WEBHOOK_SECRETS": json.dumps({"hook": SECRET}),
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield lambda pattern: _found(log, pattern)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(ENDED_WITHIN_S)


def _found(log: Path, pattern: str) -> str:
    ends = time.monotonic() + 60
    while not (found := re.search(pattern, log.read_text())):
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.1)
    return found[1]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The demo's, and a webhook where nobody answers."""
    with listening(0) as closed:
        port = closed.getsockname()[1]
    folder = tmp_path / "catalog"
    shutil.copytree(ROOT / "infra" / "catalog", folder)
    address = f"http://127.0.0.1:{port}/{HOOK}?token={TOKEN}"
    (folder / "hook.yaml").write_text(f'destinations: {{hook: {{webhook: {{url: "{address}", secret: hook}}}}}}\n')
    return folder


async def said_all(http: httpx.AsyncClient) -> None:
    """Every call, and what is no HTTP at all."""
    for method, address, body, key in CALLS:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**HEADERS, "content-type": "application/json"}
        ask = partial(http.request, method, address, content=content, headers=headers, auth=(key or DEMO_WRITE_KEY, ""))
        while (answer := await ask()).status_code == 503:  # noqa: ASYNC110  (an instance has just started)
            await asyncio.sleep(0.5)
        assert answer.status_code < 500, (address, answer.text)
    await raw(str(http.base_url))


async def raw(url: str) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(RAW)
    await reader.read(1_000)
    writer.close()


async def noted(http: httpx.AsyncClient, function: str, event: str, times: int = 1) -> None:
    """Return once a function has noted an event so often."""
    count = 0.0
    for _ in range(200):
        for family in text_string_to_metric_families((await http.get("/metrics")).text):
            for sample in family.samples:
                if sample.name == "segue_noted_total" and (function, event) == (
                    sample.labels["function"],
                    sample.labels["event"],
                ):
                    count = sample.value
        if count >= times:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{function} noted {event} {count} times")


def is_allowed(line: str) -> bool:
    """Whether a log line is one JSON object of allowed fields."""
    fields = {"severity", "event", *FIELDS}
    found = json.loads(line)
    return isinstance(found, dict) and found.keys() <= fields and found["severity"].isupper()


def client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)


async def test_a_platform_in_one_process_logs_nothing_of_it(tmp_path: Path, catalog: Path) -> None:
    with logged(tmp_path, catalog, SEGUE, "run") as found:
        async with client(found(r"answers at (\S+)")) as http:
            await said_all(http)
            await noted(http, "deliver", "delivery_postponed")
            await noted(http, "evaluate", "message_recorded")
    output = (tmp_path / "segue.log").read_text()
    assert [value for value in PLANTED if value in output] == []
    lines = [line for line in output.splitlines() if line.startswith("{")]
    assert lines
    assert [line for line in lines if not is_allowed(line)] == []


@pytest.mark.google
async def test_no_function_s_process_logs_any_of_it_nor_anything_but_allowed_lines(
    tmp_path: Path, catalog: Path
) -> None:
    with logged(tmp_path, catalog, sys.executable, "-m", "tests.journeys.signed") as found:
        url = found(r"answers at (\S+)")
        run = msgspec.json.decode((tmp_path / "data" / "run.json").read_bytes(), type=Run)
        async with client(url) as http:
            await spoil(run.environment, ProfileRef("anonymous_id", ANONYMOUS))
            await said_all(http)
            for pushed in run.functions.values():
                for context, body in PUSHES:
                    headers = {**HEADERS, **context, "authorization": pushed.right}
                    answer = await http.post(pushed.url, content=body, headers=headers)
                    assert answer.status_code == 204, answer.text
                await http.get(f"{pushed.url}{EMAIL}?token={TOKEN}", headers=HEADERS)
                await http.post(pushed.url, content=EMAIL.encode(), headers={**HEADERS, **CONTEXT})
                await raw(pushed.url)
            await noted(http, "deliver", "delivery_postponed")
            await noted(http, "evaluate", "message_recorded", len(PUSHES) + 1)
    logs = {path.stem: path.read_text() for path in (tmp_path / "data").glob("google-*/*.log")}
    assert logs.keys() >= {*run.functions, "ingest", "lookup", "stream"}
    tokens = [pushed.right.removeprefix("Bearer ") for pushed in run.functions.values()]
    front = (tmp_path / "segue.log").read_text()
    assert [
        (name, value) for name, log in {**logs, "front": front}.items() for value in (*PLANTED, *tokens) if value in log
    ] == []
    lines = [line for log in logs.values() for line in log.splitlines()]
    assert [line for line in lines if not is_allowed(line)] == []
    events = {msgspec.json.decode(line)["event"] for line in lines}
    assert events >= {"message_recorded", "delivery_postponed", "events_refused", "push_refused", "catalog_refreshed"}


async def spoil(environment: Mapping[str, str], visitor: ProfileRef) -> None:
    """Put bytes that are no state where a visitor's is."""
    google = GooglePlatform.open("segue-laptop", "catalog", environment=environment)
    path = state_path(profile_key(SECRET.encode(), visitor))
    await google.store.commit([Write(path=path, data=EMAIL.encode())])
    await google.close()
