"""Who may not listen is told so, who listens costs little, and every stream has an end."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from emulator.catalog import load
from emulator.server import HOST, listening
from functions.stream.hub import Ear, Limits
from functions.stream.routes import ADDRESS
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.domain.profile import ProfileRef
from segue.domain.visitor_token import issued
from tests.functions.streaming import ANN, RUTH, SECRET_KEY, SITE, SOON_S, Deployment, Page, streaming
from tests.project.files import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNER = {"Authorization": f"Bearer {SECRET_KEY}"}
WRITE_KEY = "demo-write-key"
SECRET = "a secret of the tests"  # noqa: S105  # for a process alone

STRANGERS: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
    "nobody": ({}, {}),
    "a token that is none": ({"token": "x"}, {}),
    "an empty token": ({"token": ""}, {}),
    "no Bearer": ({}, {"Authorization": "Bearer"}),
    "the write key": ({}, {"Authorization": f"Bearer {WRITE_KEY}"}),
    "the write key, with a profile": ({"profile": str(ANN)}, {"Authorization": f"Bearer {WRITE_KEY}"}),
    "a profile alone": ({"profile": str(ANN)}, {}),
    "a secret key without a profile": ({}, OWNER),
    "a secret key as a token": ({"token": SECRET_KEY}, {}),
}


async def closed(deployment: Deployment, query: str, **options: object) -> tuple[int, str]:
    """The code and the reason that a socket is closed with at once."""
    async with deployment.socket(query, **options) as stream:
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(stream.recv(), SOON_S)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code, ended.value.rcvd.reason


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with streaming(tmp_path_factory.mktemp("stream")) as deployment:
        yield deployment


async def test_strangers_are_refused_in_the_same_words_whatever_is_wrong(deployment: Deployment) -> None:
    foreign = issued(b"the secret of another deployment", ANN, SystemClock().now(), 60_000).token
    strangers = {
        **STRANGERS,
        "an expired token": ({"token": deployment.token(lifetime=1_000, ago=2_000)}, {}),
        "another deployment's token": ({"token": foreign}, {}),
        "a changed token": ({"token": deployment.token()[:-2] + "xx"}, {}),
        "a token for somebody else": ({"token": deployment.token(), "profile": str(RUTH)}, {}),
    }
    answers: set[tuple[int, str]] = set()
    for query, headers in strangers.values():
        async with deployment.page(headers, **query) as page:
            answers.add((page.response.status_code, (await page.response.aread()).decode()))
        encoded = str(httpx.QueryParams(query))
        answers.add(await closed(deployment, encoded, additional_headers=headers))
    text = "expected a visitor's token that is still good, or a secret key and ?profile="
    body = msgspec.json.encode({"success": False, "code": "unauthorized", "message": text}).decode()
    assert answers == {(401, body), (4401, text)}


@pytest.mark.parametrize("origin", ["null", "http://localhost:8080.evil.com", "https://localhost:8080", "http://evil"])
async def test_a_page_of_another_site_hears_nothing(deployment: Deployment, origin: str) -> None:
    async with deployment.page({"Origin": origin}, token=deployment.token()) as page:
        assert page.response.status_code == 401
        assert "access-control-allow-origin" not in page.response.headers
    assert (await closed(deployment, f"token={deployment.token()}", origin=origin))[0] == 4401


async def test_a_page_of_the_site_may_read_what_it_hears(deployment: Deployment) -> None:
    async with deployment.of(ANN, {"Origin": SITE}) as page:
        assert page.response.headers["access-control-allow-origin"] == SITE
    async with deployment.socket(f"token={deployment.token()}", origin=SITE) as stream:
        assert "connected" in str(await stream.recv())


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        *((method, "", OWNER, 405) for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD")),
        ("GET", "profile=" + "x" * 65_000, OWNER, 414),
        ("GET", "profile=ann", OWNER, 400),
        ("GET", "profile=email:ann", OWNER, 400),
        ("GET", "profile=user_id:", OWNER, 400),
        ("GET", "profile=user_id:%20", OWNER, 400),
        ("GET", "profile=user_id:%00", OWNER, 200),
        ("GET", "profile=user_id:" + "x" * 2_000, OWNER, 400),
        ("GET", "profile=user_id:%ff%fe", OWNER, 200),
        ("GET", "profile=user_id:a&profile=user_id:b", OWNER, 200),
        ("GET", "token=%ed%a0%80", {}, 401),
        ("GET", "token=" + "x." * 7_000, {}, 401),
        ("GET", "token=a.b.c&token=" + "[" * 5_000, {}, 401),
        ("GET", "%", {}, 401),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_is_refused_and_the_next_is_served(
    deployment: Deployment, method: str, query: str, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=deployment.url, trust_env=False) as http:
        async with http.stream(method, f"{ADDRESS}?{query}", headers=headers) as answer:
            assert answer.status_code == status
        async with deployment.of(ANN) as page:
            await page.told()


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
HANDSHAKE = UPGRADE + b"Sec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("name", "sent", "status"),
    [
        ("no key", b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 400),
        ("an older version", b"GET /v1/stream HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Version: 12\r\n", 400),
        ("another method", b"POST /v1/stream HTTP/1.1\r\n" + HANDSHAKE + b"Content-Length: 2\r\n", 400),
        ("no method for it", b"HEAD /v1/stream HTTP/1.1\r\n" + HANDSHAKE, 405),
        ("another address", b"GET /v1/streams HTTP/1.1\r\n" + HANDSHAKE, 403),
        ("an endless address", b"GET /v1/stream?token=" + b"x" * 40_000 + b" HTTP/1.1\r\n" + HANDSHAKE, 400),
        ("300 headers", b"GET /v1/stream HTTP/1.1\r\n" + HANDSHAKE + b"X-Y: z\r\n" * 300, 400),
        ("no UTF-8 in a header", b"GET /v1/stream HTTP/1.1\r\n" + HANDSHAKE + b"Origin: \xff\r\n", 101),
        ("escapes that are none", b"GET /v1/stream?%zz%00 HTTP/1.1\r\n" + HANDSHAKE, 101),
        ("no frame behind it", b"GET /v1/stream HTTP/1.1\r\n" + HANDSHAKE + b"\r\n" + b"\xff" * 100, 101),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_handshake_is_answered_and_the_next_is_served(
    deployment: Deployment, name: str, sent: bytes, status: int
) -> None:
    host, port = deployment.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent + b"\r\n")
    async with asyncio.timeout(SOON_S):
        assert (await reader.readline()).split()[1] == str(status).encode(), name
    writer.close()
    async with deployment.of(ANN) as page:
        await page.told()


@pytest.mark.slow
async def test_a_stream_ends_when_its_token_does(deployment: Deployment) -> None:
    """The page fetches a new token, and comes again: what it missed it is told then."""
    brief = deployment.token(lifetime=1_000)
    async with deployment.page(token=brief) as page:
        (stands,) = await page.end()
    assert await closed_in_the_end(deployment, f"token={deployment.token(lifetime=1_000)}") == 4401
    await deployment.happens(ANN)
    async with deployment.page(token=brief) as page:
        assert page.response.status_code == 401
    async with deployment.of(ANN, lastEventID=stands.id) as page:
        assert (await page.hint()).id != stands.id


async def closed_in_the_end(deployment: Deployment, query: str) -> int:
    async with deployment.socket(query) as stream:
        async with asyncio.timeout(SOON_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await stream.recv()
        return stream.close_code or 0


@pytest.mark.slow
async def test_a_stream_ends_when_its_secret_key_is_revoked(tmp_path: Path) -> None:
    documents = msgspec.json.decode(load(ROOT / "infra" / "catalog"))
    documents["sources"]["shop"]["secret_keys"] = []
    async with (
        streaming(tmp_path, Limits(heartbeat=0.05)) as deployment,
        deployment.page(OWNER, profile=str(ANN)) as page,
    ):
        await page.told()
        await deployment.opened.catalog.publish(msgspec.json.encode(documents))
        assert all(told.comment for told in await page.end())


async def test_a_stream_has_a_longest_life(tmp_path: Path) -> None:
    async with streaming(tmp_path, Limits(longest=0.2)) as deployment:
        async with deployment.of(ANN) as page:
            assert len(await page.end()) == 1
        assert await closed_in_the_end(deployment, f"token={deployment.token()}") == 1001


async def test_a_stream_that_has_nothing_to_tell_says_so(tmp_path: Path) -> None:
    async with streaming(tmp_path, Limits(heartbeat=0.02)) as deployment, deployment.of(ANN) as page:
        await page.told()
        assert [(await page.told()).comment for _ in range(3)] == [True] * 3


async def test_a_visitor_has_so_many_streams_and_another_as_many(tmp_path: Path) -> None:
    async with streaming(tmp_path, Limits(of_visitor=2)) as deployment, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            first = await stack.enter_async_context(deployment.of(ANN))
        async with deployment.page(token=deployment.token(ANN)) as page:
            assert (page.response.status_code, page.response.headers["retry-after"]) == (429, "10")
        assert (await closed(deployment, f"token={deployment.token(ANN)}"))[0] == 4429
        await stack.enter_async_context(deployment.of(RUTH))
        await first.response.aclose()
        await deployment.until(lambda: deployment.hub.open == 2)
        async with deployment.of(ANN) as page:
            await page.told()


async def test_an_instance_has_so_many_streams(tmp_path: Path) -> None:
    async with streaming(tmp_path, Limits(most=1)) as deployment:
        async with deployment.of(ANN):
            async with deployment.page(token=deployment.token(RUTH)) as page:
                assert (page.response.status_code, page.response.headers["retry-after"]) == (503, "1")
            assert (await closed(deployment, f"token={deployment.token(RUTH)}"))[0] == 1013
        await deployment.until(lambda: deployment.hub.open == 0)
        async with deployment.of(RUTH) as page:
            await page.told()


@pytest.mark.slow
async def test_a_reader_that_takes_nothing_is_told_once_of_all_that_it_missed(tmp_path: Path) -> None:
    """What is kept for it is one position, and what lies in the network's own buffers."""
    times = 2_000
    async with streaming(tmp_path, Limits(gap=0.0)) as deployment:
        deployment.server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        host, port = deployment.url.removeprefix("http://").split(":")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect((host, int(port)))
        slow.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=slow, limit=1)
        writer.write(f"GET {ADDRESS}?token={deployment.token(ANN)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await deployment.until(lambda: deployment.hub.open == 1)
        for _ in range(times):
            await deployment.happens(ANN)
        async with deployment.of(ANN) as page:
            last = await page.told()
        read = bytearray()
        async with asyncio.timeout(SOON_S):
            while last.id.encode() not in read:
                read += await reader.read(65_536)
        assert read.count(b"data:") < times
        writer.close()


async def test_while_nothing_is_heard_streams_end_and_none_begin(deployment: Deployment) -> None:
    async with deployment.of(ANN) as page:
        stands = await page.told()
        deployment.hub.ended()
        assert await page.end() == []
    async with deployment.page(token=deployment.token()) as page:
        assert (page.response.status_code, page.response.headers["retry-after"]) == (503, "1")
    await deployment.happens(ANN)
    deployment.hub.begun()
    async with deployment.of(ANN, lastEventID=stands.id) as page:
        assert (await page.hint()).id != stands.id


async def test_an_instance_that_is_told_to_end_ends_its_streams_first(tmp_path: Path) -> None:
    async with streaming(tmp_path) as deployment:
        async with deployment.of(ANN) as page, deployment.socket(f"token={deployment.token()}") as stream:
            await page.told()
            await stream.recv()
            deployment.server.should_exit = True
            assert await page.end() == []
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(stream.recv(), SOON_S)
            assert stream.close_code == 1012
        assert deployment.hub.open == 0


@pytest.mark.slow
async def test_nothing_is_left_of_a_thousand_streams_once_they_are_closed(tmp_path: Path) -> None:
    async with streaming(tmp_path) as deployment:
        tasks = len(asyncio.all_tasks())
        host, port = deployment.url.removeprefix("http://").split(":")
        request = f"GET {ADDRESS}?token={{}} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        writers = []
        for number in range(1_000):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(request.format(deployment.token(ProfileRef("anonymous_id", str(number)))).encode())
            writers.append(writer)
        await deployment.until(lambda: deployment.hub.open == 1_000)
        async with deployment.page(token=deployment.token(ANN)) as page:
            assert page.response.status_code == 503
        for writer in writers:
            writer.transport.abort()
        await deployment.until(lambda: deployment.hub.open == 0 and len(asyncio.all_tasks()) <= tasks)
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, Ear)] == []
        async with deployment.of(ANN) as page:
            await page.told()


@pytest.mark.slow
async def test_a_process_that_is_told_to_end_ends_its_streams_and_has_logged_no_token(tmp_path: Path) -> None:
    clock = SystemClock()
    opened = EmbeddedPlatform.open(tmp_path, clock)
    await opened.catalog.publish(load(ROOT / "infra" / "catalog"))
    await opened.close()
    token = issued(SECRET.encode(), ANN, clock.now(), 60_000).token
    with listening(0) as probe:
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "functions.stream"),
        env={
            **os.environ,
            "SEGUE_PROFILE_SECRET": SECRET,
            "SEGUE_DATA": str(tmp_path),
            "HOST": HOST,
            "PORT": str(port),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        await ended(process, f"http://{HOST}:{port}{ADDRESS}", token)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    logged, _ = await process.communicate()
    assert process.returncode == 0
    assert token.encode() not in logged


async def ended(process: asyncio.subprocess.Process, url: str, token: str) -> None:
    """Listen to a process in both ways, tell it to end, and hear both of them end."""
    async with asyncio.timeout(3 * SOON_S), httpx.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.ConnectError):
                assert (await http.get(url, params={"token": f"{token}x"})).status_code == 401
                break
            await asyncio.sleep(0.05)
        async with (
            http.stream("GET", url, params={"token": token}) as answer,
            connect(f"{url.replace('http', 'ws')}?token={token}", proxy=None) as stream,
        ):
            page = Page(answer)
            await page.told()
            await stream.recv()
            process.send_signal(signal.SIGTERM)
            assert await page.end() == []
            with pytest.raises(ConnectionClosed):
                await stream.recv()
        await process.wait()
