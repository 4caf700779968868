"""What Segue costs on Google's emulators, beside the bare reads, writes and hops that it cannot do without."""

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop
from google.cloud import firestore
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator import catalog
from emulator.google_emulators import GoogleEmulators, google_emulators
from emulator.server import listening
from emulator.topology import topology
from functions.evaluate.evaluate import Evaluator
from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.catalogs import Catalogs
from segue.domain.document import state_path
from segue.domain.event import Event
from segue.domain.message import EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Message, Ports, Write
from tests.bench.measurement import Measurement
from tests.bench.pipeline import visits
from tests.bench.server import CATALOG, SEGUE, serving

PROFILES, AT_ONCE, RUNS = 200, 32, 5
HOPS, PAIRS = 60, 60
PROBES, RATE = 60, 2.0
TOPIC = "hops"


@asynccontextmanager
async def _ports(emulators: GoogleEmulators) -> AsyncIterator[tuple[str, Ports]]:
    """The ports of a project that nobody else uses, with the first catalogue and the topics, and the project."""
    project = f"bench-{uuid.uuid4().hex[:12]}"
    opened = GooglePlatform.open(project, "catalog", environment=emulators.environment)
    with tempfile.TemporaryDirectory() as folder:
        archive = ArchiveFile.open(Path(folder))
        http = WebHttp()
        yield (
            project,
            Ports(
                store=opened.store,
                bus=opened.bus,
                archive=archive,
                catalog=opened.catalog,
                http=http,
                objects=WebObjects({}),
                clock=SystemClock(),
            ),
        )
        await http.close()
        await archive.close()
        await opened.close()


async def _create(emulators: GoogleEmulators, project: str, topics: Sequence[str], endpoint: str | None = None) -> None:
    """Topics, and for an endpoint a subscription that pushes all of them there."""
    subscriptions = {f"{topic}-there": {"topic": topic, "function": "there"} for topic in topics} if endpoint else {}
    wanted = {**topology(), "topics": [*topics, "dead-letters"], "subscriptions": subscriptions}
    endpoints = admin.Endpoints(functions={"there": endpoint or ""}, archives={})
    await admin.create(project, wanted, endpoints, environment=emulators.environment)


def evaluate() -> Sequence[Measurement]:
    """Client CPU of a message beside that of a bare read and conditional write of the same documents, 32 at once."""
    with google_emulators() as emulators:
        return uvloop.run(_evaluate(emulators))


async def _evaluate(emulators: GoogleEmulators) -> Sequence[Measurement]:
    async with _ports(emulators) as (project, ports):
        await _create(emulators, project, ["memberships"])
        await ports.catalog.publish(catalog.load(CATALOG))
        evaluator = Evaluator(ports, Catalogs(ports.catalog, ports.clock))
        keys = [profile_key(b"of-the-benchmark", ProfileRef("user_id", str(number))) for number in range(PROFILES)]
        await _at_once(evaluator(_message(key, "Product Viewed", 0)) for key in keys)
        await _at_once(_copied(ports, key) for key in keys)
        vendor = _vendors_client(emulators, project)
        costs: dict[str, list[float]] = {"quiet": [], "vendor": [], "adapter": [], "changed": []}
        for run in range(1, RUNS + 1):
            costs["quiet"].append(await _cpu(evaluator(_message(key, "Element Clicked", run)) for key in keys))
            costs["vendor"].append(await _cpu(_read_and_write_bare(vendor, key, run) for key in keys))
            costs["adapter"].append(await _cpu(_read_and_write(ports, key) for key in keys))
            costs["changed"].append(await _cpu(evaluator(_message(key, "Product Viewed", run)) for key in keys))
        vendor.close()
    quiet, vendors, adapters, changed = (statistics.median(taken) for taken in costs.values())
    return [
        Measurement(
            bench=name, value=cost, unit="us CPU", reference=reference, ratio=cost / reference, goal=goal, note=note
        )
        for name, cost, reference, goal, note in (
            ("evaluate-google", quiet, vendors, "<= 1.3", "no membership changes; reference by google's AsyncClient"),
            ("evaluate-google-adapter", quiet, adapters, None, "the same; reference by our own store"),
            ("evaluate-google-changed", changed, vendors, None, "a membership changes: a snapshot is published too"),
        )
    ]


def _message(key: str, name: str, run: int) -> Message:
    now = time.time_ns() // 1_000_000
    event = Event(
        message_id=f"{name}-{run}",
        name=name,
        occurred_at=now,
        received_at=now,
        properties={"product_id": "dresses-1", "category": "dresses", "price": 79.9},
    )
    received = EventsReceived(key=key, profile=ProfileRef("user_id", key), source="shop", events=(event,))
    data = msgspec.json.encode(received)
    return Message(id=uuid.uuid4().hex, type=EVENTS_RECEIVED, source="//bench", time=now, data=data)


async def _copied(ports: Ports, key: str) -> None:
    """Put a copy of the state's document where the bare reads and writes find it."""
    stored = await ports.store.get(state_path(key))
    assert stored
    await ports.store.commit([Write(path=f"bare/{key}", data=stored.data)])


async def _read_and_write(ports: Ports, key: str) -> None:
    stored = await ports.store.get(f"bare/{key}")
    assert stored
    await ports.store.commit([Write(path=f"bare/{key}", data=stored.data, expects=stored.version, due=1)])


def _vendors_client(emulators: GoogleEmulators, project: str) -> Any:
    """Google's own client, as its documentation uses it. It finds the emulator by the environment alone."""
    os.environ.update(emulators.environment)
    return firestore.AsyncClient(project=project)


async def _read_and_write_bare(client: Any, key: str, run: int) -> None:
    document = client.document(f"bare/{key}")
    stored = await document.get()
    option = client.write_option(last_update_time=stored.update_time)
    await document.update({**stored.to_dict(), "rev": run}, option=option)


async def _at_once(work: Iterable[Awaitable[None]]) -> None:
    waiting = iter(work)

    async def worker() -> None:
        for each in waiting:
            await each

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _cpu(work: Iterable[Awaitable[None]]) -> float:
    """This process's CPU for each of as many pieces of work as there are profiles, in microseconds."""
    started = time.process_time()
    await _at_once(work)
    return (time.process_time() - started) / PROFILES * 1e6


def to_segment() -> Sequence[Measurement]:
    """The latency beside its floor: two hops through Pub/Sub, two reads and two conditional writes."""
    with google_emulators() as emulators:
        floor = uvloop.run(_floor(emulators))
    with tempfile.TemporaryDirectory() as folder:
        command = (SEGUE, "run", "--platform", "google", "--port", "0", "--data", folder)
        with serving(*command) as (host, port):
            found = visits("probe", f"http://{host}:{port}", RATE, PROBES)
    note = f"POST until a decision includes it, {RATE:.0f} a second; floor: 2 hops + 2 reads + 2 conditional writes"
    return [
        Measurement(
            bench=f"event-to-segment-google-{share}",
            value=found[share],
            unit="ms",
            reference=floor,
            ratio=found[share] / floor,
            goal=goal,
            note=note,
        )
        for share, goal in (("p50", "<= floor + 20 ms"), ("p99", None))
    ]


async def _floor(emulators: GoogleEmulators) -> float:
    async with _ports(emulators) as (project, ports):
        hop = statistics.median([each async for each in _hops(emulators, project, ports)])
        await ports.store.commit([Write(path="bare/1", data=b"x" * 2_048)])
        pairs = [await _wall(_read_and_write(ports, "1")) for _ in range(PAIRS)]
    return 2 * hop + 2 * statistics.median(pairs)


async def _hops(emulators: GoogleEmulators, project: str, ports: Ports) -> AsyncIterator[float]:
    """From publishing a message until it is pushed, in ms, one after the other."""
    arrived: dict[str, asyncio.Event] = {}

    async def there(request: Request) -> Response:
        arrived[request.headers["ce-id"]].set()
        return Response(status_code=204)

    with listening(0) as listener:
        app = Starlette(routes=[Route("/", there, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        serving_ = asyncio.create_task(server.serve([listener]))
        await _create(emulators, project, [TOPIC], "http://{}:{}/".format(*listener.getsockname()))
        for number in range(HOPS):
            event = arrived[str(number)] = asyncio.Event()
            message = Message(id=str(number), type="bench", source="//bench", time=0, data=b"{}")
            await asyncio.sleep(1 / RATE / 4)
            yield await _wall(_published(ports, message, event))
        server.should_exit = True
        await serving_


async def _published(ports: Ports, message: Message, arrived: asyncio.Event) -> None:
    await ports.bus.publish(TOPIC, [message])
    await arrived.wait()


async def _wall(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1_000


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    "evaluate-google": evaluate,
    "event-to-segment-google": to_segment,
}
