"""One event's way through all functions of a running platform is one trace, and `segue trace` prints it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY, Client
from emulator.trace_tree import Span
from emulator.traces import spans as spans_in
from segue.domain.time import MINUTE
from tests.contracts.receiver import serving
from tests.functions.streaming import Page
from tests.journeys.killed import free_port
from tests.journeys.running import ROOT, running, segue

WITHIN_S = 20.0

FORGED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

VIEWED = {"type": "track", "event": "Product Viewed", "anonymousId": "visitor-1", "messageId": "viewed-1"}

SEGMENTS = {"viewer": {"name": "Viewer", "when": {"did": "Product Viewed", "within": "10m"}}}


def definitions(folder: Path, receiver: str) -> Path:
    """A catalogue with one segment, and a webhook that is told of it."""
    folder.mkdir()
    (folder / "sources.yaml").write_bytes((ROOT / "infra" / "catalog" / "sources.yaml").read_bytes())
    crm = {"webhook": {"url": receiver, "secret": "hook"}}
    (folder / "segments.yaml").write_text(json.dumps({"segments": SEGMENTS, "destinations": {"crm": crm}}))
    return folder


async def whole(client: Client, message_id: str, functions: set[str]) -> Sequence[Span]:
    """The trace of a message, once all of these were called."""
    ends = time.monotonic() + WITHIN_S
    while time.monotonic() < ends:
        spans = await client.trace(message_id)
        if functions <= {span.function for span in spans}:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # a call is told of once all that it does is done
    return await client.trace(message_id)


def ways(spans: Sequence[Span]) -> set[str]:
    """From the first span to each of the others, what led to it; catalogues are read whenever it is time to."""
    by_id = {span.id: span for span in spans}

    def way(span: Span) -> str:
        name = str(span.function or span.name)
        return f"{way(by_id[span.parent])} > {name}" if span.parent else name

    return {way(span) for span in spans if "catalog" not in way(span)}


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["embedded", pytest.param("google", marks=pytest.mark.google)])
async def test_everything_that_an_event_leads_to_is_one_trace(
    tmp_path: Path, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_WEBHOOK_SECRETS", '{"hook": "a secret that signs"}')
    received: list[Headers] = []

    async def receive(request: Request) -> Response:
        received.append(request.headers)
        return Response()

    async with serving(Starlette(routes=[Route("/", receive, methods=["POST"])])) as receiver:
        catalog = definitions(tmp_path / "catalog", receiver)
        options = ["--platform", platform, "--trace", "--catalog", str(catalog)]
        with running(tmp_path / "data", *options) as url:
            async with (
                Client.connected(url) as client,
                httpx.AsyncClient(base_url=url, timeout=WITHIN_S, trust_env=False) as http,
                http.stream(
                    "GET",
                    "/v1/stream?profile=anonymous_id:visitor-1",
                    headers={"authorization": f"Bearer {DEMO_SECRET_KEY}"},
                ) as answer,
            ):
                page = Page(answer)
                await page.told()
                forged = {"traceparent": FORGED, "ce-traceparent": FORGED}
                sent = await http.post("/v1/track", json=VIEWED, auth=(DEMO_WRITE_KEY, ""), headers=forged)
                assert sent.status_code == 200
                told = {"ingest", "evaluate", "update", "deliver", "archive", "stream"}
                spans = await whole(client, "viewed-1", told)
                await page.hint()
                ((key, _),) = await client.profiles()
                until = int(time.time() * 1000) + 11 * MINUTE
                await client.tick(until + (await client.timing()).grace, "wall")
                ended = await whole(client, f"{key}:due:{until}", {"tick", "evaluate", "update", "deliver"})
            printed = segue("trace", "viewed-1", "--url", url)
            followed = segue("trace", "--url", url, "--json")
            refused = segue("trace", "nobody", "--url", url)
    assert len({span.trace for span in [*spans]}) == 1
    assert FORGED[3:35] != spans[0].trace
    published = "ingest > bus publish > evaluate > bus publish"
    assert ways(spans) == {
        "ingest",
        "ingest > bus publish",
        "ingest > bus publish > archive",
        "ingest > bus publish > archive > archive append",
        "ingest > bus publish > evaluate",
        "ingest > bus publish > evaluate > store get",
        "ingest > bus publish > evaluate > fold",
        "ingest > bus publish > evaluate > store commit",
        published,
        f"{published} > archive",
        f"{published} > archive > archive append",
        f"{published} > update",
        f"{published} > update > store get",
        f"{published} > update > store commit",
        f"{published} > deliver",
        f"{published} > deliver > delivery",
        f"{published} > deliver > delivery > http post",
        f"{published} > stream",
    }
    assert not any(span.failed for span in spans)
    told_of = msgspec.json.encode([*spans, *ended])
    assert not [each for each in ("visitor-1", "viewed-1", key, receiver) if each.encode() in told_of]
    assert "tick > bus publish > evaluate > bus publish > deliver > delivery > http post" in ways(ended)
    assert len(received) == 2
    assert not any("traceparent" in name for headers in received for name in headers)
    assert "ingest: POST /v1/track 200" in printed.stdout
    assert "visitor-1" not in printed.stdout
    assert {"ingest", "evaluate"} <= {span["attributes"].get("faas.name") for span in json.loads(followed.stdout)}
    assert (refused.returncode, "'nobody'" in refused.stderr) == (1, True)


@contextmanager
def collecting() -> Iterator[tuple[str, list[Span]]]:
    """Where spans may be sent, and what came."""
    came: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.extend(spans_in(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", came
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["parentbased_always_on", "parentbased_always_off"])
def test_a_process_that_is_told_to_end_sends_the_spans_that_it_still_has(tmp_path: Path, sampler: str) -> None:
    port = free_port()
    framework = str(Path(sys.executable).with_name("functions-framework"))
    command = [framework, "--asgi", "--target", "update", "--source", str(ROOT / "functions" / "update" / "main.py")]
    headers = {"ce-id": "1", "ce-type": "nothing", "ce-source": "test", "ce-specversion": "1.0"}
    headers |= {"ce-time": "2026-05-01T12:00:00Z", "content-type": "application/json"}
    with collecting() as (collector, came):
        environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "SEGUE_PROFILE_SECRET": "a secret of the tests",
            "SEGUE_DATA": str(tmp_path),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector,
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
            "OTEL_TRACES_SAMPLER": sampler,
        }
        with subprocess.Popen(command, env=environment, start_new_session=True) as process:
            with httpx.Client(transport=httpx.HTTPTransport(retries=10), trust_env=False) as http:
                answer = http.post(f"http://127.0.0.1:{port}/", content=b"{}", headers=headers)
            assert (answer.status_code, came) == (204, [])
            process.terminate()
            process.wait(WITHIN_S)
    chosen = sampler == "parentbased_always_on"
    assert sorted(span.name for span in came) == (["store commit", "update"] if chosen else [])
