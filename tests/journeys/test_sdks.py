"""The SDKs of Segment and RudderStack, as they are published, drive a whole visit into a running Segue.

What they sent is what was archived, event by event; refused requests, errors and broken connections lose nothing, and
count nothing twice.
"""

import asyncio
import functools
import os
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pytest
from playwright.async_api import Page

from emulator.client import Client
from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef
from tests.functions.bad_input import WRITE_KEY
from tests.journeys import python_sdks
from tests.journeys.faulty_proxy import Fault, FaultyProxy, proxying
from tests.journeys.running import ROOT, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.sdk]

SDKS = ROOT / "tests" / "sdks"
VISIT: Sequence[Mapping[str, Any]] = msgspec.json.decode((SDKS / "visit.json").read_bytes())
DELIVERED_WITHIN_S = 90.0
POLL_S = 0.1

NO_FAULTS: tuple[Fault | None, ...] = ()
FAULTS: tuple[Fault | None, ...] = (
    "429",
    None,
    "500",
    None,
    "dropped before",
    None,
    "dropped after",
    None,
    "500 after",
)
"""One after the other, each with a request in between that goes through: no SDK gives a call up after one fault."""

FAULTS_AT_ONCE = tuple(fault for fault in FAULTS if fault)
"""For an SDK that never gives up, and sends in one batch all that it could not send before."""

MET = 7
"""How far into `FAULTS` every SDK gets with this visit: the fewest requests are four batches, each sent twice."""

Drive: TypeAlias = Callable[[str], Awaitable[None]]
"""Drives the visit into an address."""


class Arrived(NamedTuple):
    """What became of a visit: what was sent, what was archived, Segue's own books, and the user's segments."""

    sent: Sequence[Mapping[str, Any]]
    archived: Sequence[Event]
    ledger: Mapping[str, int]
    segments: set[str]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The origin of a site whose pages may load the SDKs."""
    handler = functools.partial(QuietHandler, directory=str(SDKS))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        """Leaves the test's output alone."""


async def visited(data: Path, site: str, faults: Sequence[Fault | None], drive: Drive) -> Arrived:
    """What became of the visit that `drive` makes through a proxy with these faults."""
    catalog = shutil.copytree(ROOT / "infra" / "catalog", data / "catalog")
    sources = catalog / "sources.yaml"
    sources.write_text(sources.read_text().replace("http://localhost:8080", site))
    with running(data / "segue", "--catalog", str(catalog)) as url:
        async with proxying(url, faults) as (proxy, address):
            await drive(address)
            await delivered(proxy)
            assert {told.fault for told in proxy.told} >= {*faults[:MET]}, "what was to fail has failed"
        async with Client.connected(url) as client:
            await client.settle()
            segments = await client.segments(ProfileRef("user_id", "ada-1"))
            ledger = await client.ledger()
    archived = await events(data / "segue")
    return Arrived(proxy.calls(), archived, ledger, {segment["id"] for segment in segments["segments"]})


async def delivered(proxy: FaultyProxy) -> None:
    """Wait until the whole visit is."""
    async with asyncio.timeout(DELIVERED_WITHIN_S):
        while len(proxy.delivered()) < len(VISIT):  # noqa: ASYNC110  # what SDKs do between tries, nobody is told
            await asyncio.sleep(POLL_S)


async def events(data: Path) -> Sequence[Event]:
    """Every archived event, each copy too."""
    archive = ArchiveFile.open(data)
    found = [
        event
        async for message in archive.read(EVENTS)
        if message.type == EVENTS_RECEIVED
        for event in msgspec.json.decode(message.data, type=EventsReceived).events
    ]
    await archive.close()
    return found


def meant(call: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The name, the properties and the traits of the event that a call is."""
    properties = call.get("properties") or {}
    match call["type"]:
        case "page":
            return "Page Viewed", {"name": call["name"], **properties}, {}
        case "identify":
            return "Identified", {}, call.get("traits") or call["context"]["traits"]
        case "group":
            group_id = call["groupId"]
            return "Grouped", {"group_id": group_id}, {"group": {**call["traits"], "id": group_id}}
    if "total_length" in properties:
        properties = {**properties, "progress": properties["position"] / properties["total_length"]}
    return call["event"], properties, {}


def assert_everything_arrived(arrived: Arrived) -> None:
    """What was sent is what was archived, which is the visit; and each event counts once."""
    sent = {call["messageId"]: call for call in arrived.sent}
    archived = {event.message_id: event for event in arrived.archived}
    assert len(sent) == len(VISIT)
    assert archived.keys() == sent.keys()
    for id_, call in sent.items():
        event = archived[id_]
        assert (event.name, event.properties, event.traits) == meant(call)
        assert (event.anonymous_id, event.user_id) == (call.get("anonymousId"), call.get("userId") or None)
        assert event.context["library"]["name"] == call["context"]["library"]["name"]
    assert visit_of(archived.values()) == visit_of_calls()
    copies = len(arrived.archived) - len(archived)
    ledger = arrived.ledger
    assert (ledger["folded"], ledger["duplicate"], ledger["failed"]) == (len(VISIT), copies, 0)
    assert "completed-buyer" in arrived.segments


def visit_of_calls() -> Counter[str]:
    """The visit as it was meant."""
    return Counter(msgspec.json.encode(meant(call), order="deterministic").decode() for call in VISIT)


def visit_of(events: Iterable[Event]) -> Counter[str]:
    """The visit as events tell it, without what SDKs add to pages and to traits."""
    wanted = {meant(call)[0]: meant(call) for call in VISIT}
    found = []
    for event in events:
        _, properties, traits = wanted[event.name]
        said = (
            event.name,
            {name: value for name, value in event.properties.items() if name in properties},
            {name: value for name, value in event.traits.items() if name in traits},
        )
        found.append(msgspec.json.encode(said, order="deterministic").decode())
    return Counter(found)


def node(script: str) -> Drive:
    """A script of tests/sdks, run to its end."""

    async def drive(address: str) -> None:
        require_packages()
        process = await asyncio.create_subprocess_exec(
            "node", script, address, WRITE_KEY, cwd=SDKS, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        _, complaints = await process.communicate(msgspec.json.encode(VISIT))
        assert process.returncode == 0
        assert "lost:" not in complaints.decode(), "a script says so of what its SDK has given up"

    return drive


def python(by: Callable[[str, str, Sequence[Mapping[str, Any]]], None]) -> Drive:
    """An SDK of PyPI, in a thread of its own."""

    async def drive(address: str) -> None:
        await asyncio.to_thread(by, address, WRITE_KEY, VISIT)

    return drive


def in_page(
    page: Page, site: str, library: str, script: str, settings: Mapping[str, Any] | None = None, *, left: bool = False
) -> Drive:
    """A script of tests/sdks in a page of the site, which is `left` as soon as all is said."""

    async def drive(address: str) -> None:
        require_packages()
        await page.goto(f"{site}/page.html")
        await page.add_script_tag(url=f"/node_modules/{library}")
        asked = {"address": address, "writeKey": WRITE_KEY, "visit": [*VISIT], "settings": settings}
        await page.evaluate((SDKS / script).read_text(), asked)
        if left:
            await page.goto("about:blank")

    return drive


def require_packages() -> None:
    """Skips the test where the packages of npm are not installed; where CI is set it fails."""
    if not (SDKS / "node_modules" / ".package-lock.json").exists() or not shutil.which("node"):
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("needs Node and the packages of npm: make sdks")


both = pytest.mark.parametrize("faults", [NO_FAULTS, FAULTS], ids=["nothing fails", "things fail"])


@both
@pytest.mark.parametrize("script", ["segment_node.cjs", "rudderstack_node.cjs"])
async def test_an_sdk_for_node(tmp_path: Path, site: str, script: str, faults: Sequence[Fault | None]) -> None:
    assert_everything_arrived(await visited(tmp_path, site, faults, node(script)))


@both
@pytest.mark.parametrize(
    "by",
    [python_sdks.by_segment, python_sdks.by_segment_gzipped, python_sdks.by_rudderstack],
    ids=lambda by: by.__name__,
)
async def test_an_sdk_for_python(tmp_path: Path, site: str, by: Any, faults: Sequence[Fault | None]) -> None:
    assert_everything_arrived(await visited(tmp_path, site, faults, python(by)))


ANALYTICS_JS = "@segment/analytics-next/dist/umd/index.js"
BATCHING = {"deliveryStrategy": {"strategy": "batching", "config": {"size": 3, "timeout": 200}}}


@pytest.mark.browser
@pytest.mark.parametrize("faults", [NO_FAULTS, FAULTS_AT_ONCE], ids=["nothing fails", "things fail"])
@pytest.mark.parametrize("settings", [None, BATCHING], ids=["single", "batching"])
async def test_analytics_js(
    tmp_path: Path, site: str, page: Page, settings: Any, faults: Sequence[Fault | None]
) -> None:
    drive = in_page(page, site, ANALYTICS_JS, "segment_browser.js", settings)
    assert_everything_arrived(await visited(tmp_path, site, faults, drive))


@pytest.mark.browser
async def test_analytics_js_on_a_page_that_is_left(tmp_path: Path, site: str, page: Page) -> None:
    """The batch is neither full nor its time over."""
    held = {"deliveryStrategy": {"strategy": "batching", "config": {"size": 100, "timeout": 600_000}}}
    drive = in_page(page, site, ANALYTICS_JS, "segment_browser.js", held, left=True)
    assert_everything_arrived(await visited(tmp_path, site, NO_FAULTS, drive))


RUDDERSTACK = "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js"
RUDDERSTACKS_BATCHES = {"queueOptions": {"batch": {"enabled": True, "maxItems": 3, "flushInterval": 300}}}


@both
@pytest.mark.browser
@pytest.mark.parametrize("settings", [{}, RUDDERSTACKS_BATCHES], ids=["single", "batching"])
async def test_rudderstacks_sdk_for_browsers(
    tmp_path: Path, site: str, page: Page, settings: Any, faults: Sequence[Fault | None]
) -> None:
    drive = in_page(page, site, RUDDERSTACK, "rudderstack_browser.js", settings)
    assert_everything_arrived(await visited(tmp_path, site, faults, drive))


@pytest.mark.browser
async def test_rudderstacks_sdk_for_browsers_by_beacon_on_a_page_that_is_left(
    tmp_path: Path, site: str, page: Page
) -> None:
    """Nothing fails here: a beacon is never told what became of it, so that its SDK cannot try again."""
    settings = {"useBeacon": True, "beaconQueueOptions": {"maxItems": 4, "flushQueueInterval": 600_000}}
    drive = in_page(page, site, RUDDERSTACK, "rudderstack_browser.js", settings, left=True)
    assert_everything_arrived(await visited(tmp_path, site, NO_FAULTS, drive))
