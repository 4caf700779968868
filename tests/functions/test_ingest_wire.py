"""Ingest behind the functions framework and a real server: the same answers, and nothing on the wire breaks it."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import uvicorn
from functions_framework.aio import create_asgi_app

from segue import wiring
from tests.functions.bad_input import CASES, WIRE, Case, WireCase, call, whole
from tests.functions.ingesting import Ingest, ingesting
from tests.project.files import ROOT

GOOD = Case("a good event", 200, whole(call()))

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingest]:
    """Ingest as Cloud Run runs it, at a port of its own; its client goes there."""
    async with ingesting(tmp_path_factory.mktemp("ingest")) as ingest:
        wiring.use(ingest.platform)
        app = create_asgi_app("ingest", str(ROOT / "functions" / "ingest" / "main.py"), "http")  # type: ignore[no-untyped-call]
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", http="httptools", lifespan="off"))
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        host, port = listening.getsockname()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as ingest.http:
            yield ingest
        server.should_exit = True
        await serving
        wiring.use(None)


async def answered(served: Ingest, sent: bytes) -> bytes:
    """Everything that comes back until the server closes the connection, once all is sent and our side is closed."""
    url = served.http.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(sent)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("case", WIRE, ids=lambda case: case.name)
async def test_no_bytes_are_answered_with_a_server_error_and_the_next_event_works(
    served: Ingest, case: WireCase
) -> None:
    async with asyncio.timeout(30):
        answer = await answered(served, case.sent)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4"))
    assert (await served.answer(GOOD)).status_code == 200


@pytest.mark.slow
async def test_the_table_of_bad_input_holds_behind_a_real_server(served: Ingest) -> None:
    found = {case.name: (await served.answer(case)).status_code for case in CASES}
    assert found == {case.name: case.status for case in CASES}
