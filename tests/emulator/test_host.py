"""The embedded platform on one address: which path is whose, who may ask, how it starts and how it ends."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator import catalog
from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY, Client
from emulator.host import embedded
from emulator.server import free_port, listening
from emulator.topology import ROOT, function_of
from segue import wiring
from segue.adapters.system import ManualClock
from segue.domain.document import FAILED_EVENTS, state_path
from segue.domain.errors import NotFound
from segue.domain.message import EVENTS, EVENTS_RECEIVED, FailedMessage
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE, SECOND
from segue.ports import Clock, Write
from tests.journeys.running import running, typed

NOON = 1_750_000_000_000
ANNA = ProfileRef("anonymous_id", "anna")


@asynccontextmanager
async def calls(data: Path, clock: Clock | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Calls to a platform in this process."""
    definitions = catalog.load(ROOT / "infra" / "catalog")
    async with (
        embedded(data, definitions, {}, clock) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://segue") as http,
    ):
        yield http


@asynccontextmanager
async def client(data: Path, clock: Clock | None = None) -> AsyncIterator[Client]:
    async with calls(data, clock) as http:
        yield Client(http, DEMO_WRITE_KEY, DEMO_SECRET_KEY)


def call(event: str, message_id: str) -> dict[str, str]:
    return {"type": "track", "event": event, "anonymousId": ANNA.value, "messageId": message_id}


async def segments(client: Client) -> set[str]:
    return {segment["id"] for segment in (await client.segments(ANNA))["segments"]}


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/v1/track", "ingest"),
        ("/v1/import", "ingest"),
        ("/v1/profiles/user_id:7/segments", "lookup"),
        ("/v1/segments", "lookup"),
        ("/v1/decide", "lookup"),
        ("/v1/stream", "stream"),
        ("/v1/segments/", None),
        ("/v1", None),
        ("/", None),
        ("/_segue/tick", None),
    ],
)
def test_a_path_belongs_to_the_function_that_the_topology_says(path: str, function: str | None) -> None:
    assert function_of(path) == function


async def test_an_event_becomes_a_segment_that_lookup_knows(tmp_path: Path) -> None:
    async with client(tmp_path) as visitor:
        await visitor.call(call("Product Added", "m1"))
        await visitor.settle()
        assert await segments(visitor) == {"new-visitor"}
        assert (await visitor.ledger())["folded"] == (await visitor.ledger())["published"] == 1


async def test_a_bot_is_in_the_ledger_and_in_no_segment_unless_its_source_keeps_it(tmp_path: Path) -> None:
    googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    definitions = msgspec.json.decode(catalog.load(ROOT / "infra" / "catalog"))
    for bots, bot, folded, found in (("exclude", 1, 0, set()), ("keep", 0, 1, {"new-visitor"})):
        definitions["sources"]["shop"]["bots"] = bots
        async with (
            embedded(tmp_path / bots, msgspec.json.encode(definitions), {}) as app,
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://segue") as http,
        ):
            visitor = Client(http, DEMO_WRITE_KEY, DEMO_SECRET_KEY)
            await visitor.call({**call("Product Added", "m1"), "context": {"userAgent": googlebot}})
            await visitor.settle()
            ledger = await visitor.ledger()
            assert (ledger["published"], ledger["bot"], ledger["folded"]) == (1, bot, folded)
            assert await segments(visitor) == found


async def test_time_alone_is_announced_by_the_schedule(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with client(tmp_path, clock) as visitor:
        await visitor.call(call("Product Added", "m1"))
        await visitor.settle()
        clock.advance(32 * MINUTE)
        await visitor.settle()
        clock.advance(5 * SECOND)
        await visitor.settle()
        announced = [(line.segment, line.transition, line.at - NOON) for line in await visitor.memberships()]
        assert announced == [("new-visitor", "entered", 0), ("cart-abandoner", "entered", 30 * MINUTE)]


async def test_a_restart_knows_what_was_known(tmp_path: Path) -> None:
    async with client(tmp_path) as visitor:
        await visitor.call(call("Product Added", "m1"))
    async with client(tmp_path) as visitor:
        await visitor.call(call("Product Added", "m1"))
        await visitor.settle()
        assert await segments(visitor) == {"new-visitor"}
        ledger = await visitor.ledger()
        assert (ledger["published"], ledger["folded"], ledger["duplicate"]) == (2, 1, 1)


async def test_the_secret_of_the_profiles_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    async with client(tmp_path):
        secret = (tmp_path / "profile.secret").read_text()
    async with client(tmp_path):
        assert (tmp_path / "profile.secret").read_text() == secret
    assert len(bytes.fromhex(secret)) == 32
    assert stat.S_IMODE((tmp_path / "profile.secret").stat().st_mode) == 0o600


async def test_what_fails_for_too_long_is_a_failed_event_and_the_ledger_closes(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with client(tmp_path, clock) as visitor:
        ports = wiring.platform().ports
        of_newer_code = msgspec.msgpack.encode({"schema": 1_000})
        key = profile_key((tmp_path / "profile.secret").read_bytes(), ANNA)
        await ports.store.commit([Write(path=state_path(key), data=of_newer_code)])
        await visitor.call(call("Product Added", "m1"))
        settling = asyncio.create_task(visitor.settle())
        while not settling.done():
            clock.advance(MINUTE)
            await asyncio.wait([settling], timeout=0.02)
        await ports.store.commit([Write(path=state_path(key), data=None)])
        failed = [
            msgspec.json.decode(found.data, type=FailedMessage) async for _, found in ports.store.scan(FAILED_EVENTS)
        ]
        assert [(each.stage, each.topic, each.type) for each in failed] == [("evaluate", EVENTS, EVENTS_RECEIVED)]
        ledger = await visitor.ledger()
        assert (ledger["published"], ledger["failed"]) == (1, 1)


async def test_what_is_nobodys_path_is_not_found(tmp_path: Path) -> None:
    async with calls(tmp_path) as http:
        answer = await http.get("/wp-login.php")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "tick"),
        ("POST", "settle"),
        ("GET", "memberships"),
        ("GET", "ledger"),
        ("GET", "settings"),
        ("GET", "traces/m"),
    ],
)
async def test_what_only_a_laptop_answers_wants_the_secret_key(tmp_path: Path, method: str, path: str) -> None:
    async with calls(tmp_path) as http:
        for key in ("", DEMO_WRITE_KEY):
            assert (await http.request(method, f"/_segue/{path}", auth=(key, ""))).status_code == 401


async def test_where_no_traces_are_kept_that_is_said(tmp_path: Path) -> None:
    async with client(tmp_path) as laptop:
        with pytest.raises(NotFound, match="segue run --trace"):
            await laptop.trace("m")


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with listening(0) as taken:
        port = taken.getsockname()[1]
        ended = typed("run", "--port", str(port), "--data", str(tmp_path))
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"Error: port {port} of 127.0.0.1 cannot be used (Address already in use); --port takes another"
    ]
    assert not (tmp_path / "segue.db").exists()


def test_a_data_folder_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with running(tmp_path):
        ended = typed("run", "--port", "0", "--data", str(tmp_path))
    assert ended.exit_code == 1
    assert "has this data folder open" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "segue.db").write_bytes(b"no database" * 1000)
    ended = typed("run", "--port", "0", "--data", str(tmp_path))
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"Error: {tmp_path}/segue.db: cannot be opened as a SQLite file: file is not a database"
    ]


def test_what_was_accepted_before_the_end_is_there_at_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        asyncio.run(_sent(url))
    with running(tmp_path) as url:
        asyncio.run(_known(url))


async def _sent(url: str) -> None:
    async with Client.connected(url) as visitor:
        await asyncio.gather(*(visitor.call(call("Product Added", f"m{n}")) for n in range(50)))


async def _known(url: str) -> None:
    async with Client.connected(url) as visitor:
        await visitor.settle()
        assert (await visitor.ledger())["folded"] == 50


def test_a_free_port_is_given_to_one_process_alone() -> None:
    ports = [free_port() for _ in range(1_000)]
    assert len({*ports}) == 1_000
