"""What a new instance of each function takes until it answers, started from the image on the emulators."""

import asyncio
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from emulator import catalog
from emulator.google_emulators import GoogleEmulators, google_emulators
from emulator.topology import topology
from segue.adapters.google import admin
from segue.adapters.google.platform import GooglePlatform
from segue.domain.event import Event
from segue.domain.message import (
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    PROFILE_ERASED,
    TICK,
    EventsReceived,
    MembershipChanged,
    ProfileErased,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.entrypoint import HEALTH
from tests.bench.measurement import Measurement
from tests.bench.server import CATALOG
from tests.image.assembled import Image, assembled
from tests.image.cloud_run import SETTINGS, Service, on_the_emulators, settings, started

RUNS = 3
PROJECT = "cold-start"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
VISITOR = ProfileRef("anonymous_id", "ada")
KEY = profile_key(settings("evaluate")["SEGUE_PROFILE_SECRET"].encode(), VISITOR)


class Start(NamedTuple):
    """One start, in milliseconds: until it was healthy, from there until its first answer, and the CPU of both."""

    healthy: float
    answered: float
    cpu: float


def cold_start() -> Sequence[Measurement]:
    """The median start of each function, one after the other, so that none waits for another's CPU."""
    with tempfile.TemporaryDirectory() as folder, google_emulators() as emulators:
        image = assembled(Path(folder))
        asyncio.run(_prepare(emulators))
        environment = on_the_emulators(emulators.environment, PROJECT, Path(folder))
        starts = {name: [_start(image, name, Path(folder), environment) for _ in range(RUNS)] for name in FIRST}
    return [_measured(name, found) for name, found in starts.items()]


def _measured(name: str, starts: Sequence[Start]) -> Measurement:
    healthy, answered, cpu = (statistics.median(each) for each in zip(*starts, strict=True))
    return Measurement(
        bench=f"cold-start-{name}",
        value=healthy + answered,
        unit="ms",
        note=f"healthy after {healthy:.0f} ms, first answer after {answered:.0f} ms more; {cpu:.0f} ms of CPU",
    )


async def _prepare(emulators: GoogleEmulators) -> None:
    google = GooglePlatform.open(PROJECT, SETTINGS["SEGUE_CATALOG_DATABASE"], environment=emulators.environment)
    await google.catalog.publish(catalog.load(CATALOG))
    await google.close()
    nobody = admin.Endpoints(functions={}, archives={})
    await admin.create(PROJECT, {**topology(), "subscriptions": {}}, nobody, environment=emulators.environment)


def _start(image: Image, name: str, folder: Path, environment: Mapping[str, str]) -> Start:
    began = time.perf_counter()
    with started(image, name, folder, environment) as service:
        service.until_healthy()
        healthy = time.perf_counter()
        status, said = FIRST[name](service)
        answered = time.perf_counter()
        if status not in (200, 204):
            raise RuntimeError(f"{name} answered {status}: {said[:200]!r}")
        return Start((healthy - began) * 1e3, (answered - healthy) * 1e3, service.cpu_ms())


def _asked(service: Service, path: str, body: object, user: str) -> tuple[int, bytes]:
    credentials = b64encode(f"{user}:".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {credentials}", "user-agent": BROWSER}
    return service.answer("POST", path, msgspec.json.encode(body), headers)


def _pushed(service: Service, type_: str, body: object) -> tuple[int, bytes]:
    headers = {
        "ce-id": "1",
        "ce-type": type_,
        "ce-source": "//segue/bench",
        "ce-specversion": "1.0",
        "ce-time": "2024-05-10T12:00:00Z",
        "content-type": "application/json",
    }
    return service.answer("POST", "/", msgspec.json.encode(body), headers)


def _call(service: Service) -> tuple[int, bytes]:
    return _asked(service, "/v1/track", {"event": "Order Completed", "anonymousId": "ada"}, "demo-write-key")


def _question(service: Service) -> tuple[int, bytes]:
    asked = {"profile": {"anonymous_id": "ada"}, "slots": ["homepage-hero"], "deadline_ms": 10_000}
    return _asked(service, "/v1/decide", asked, "demo-secret-key")


def _events(service: Service) -> tuple[int, bytes]:
    now = time.time_ns() // 1_000_000
    event = Event(message_id="1", name="Order Completed", occurred_at=now, received_at=now, properties={"revenue": 250})
    return _pushed(service, EVENTS_RECEIVED, EventsReceived(key=KEY, profile=VISITOR, source="shop", events=(event,)))


def _snapshot(service: Service) -> tuple[int, bytes]:
    changed = MembershipChanged(
        key=KEY, profile=VISITOR, seq=1, catalog=1, at=0, known_until=None, memberships={}, transitions=()
    )
    return _pushed(service, MEMBERSHIP_CHANGED, changed)


def _tick(service: Service) -> tuple[int, bytes]:
    return _pushed(service, TICK, {"clock": "wall"})


def _erasure(service: Service) -> tuple[int, bytes]:
    return _pushed(service, PROFILE_ERASED, ProfileErased(key=KEY, at=0))


FIRST: Mapping[str, Callable[[Service], tuple[int, bytes]]] = {
    "ingest": _call,
    "evaluate": _events,
    "tick": _tick,
    "update": _snapshot,
    "deliver": _snapshot,
    "lookup": _question,
    "privacy": _erasure,
    "stream": lambda service: service.answer("GET", HEALTH),
}
"""What each function is asked first. A stream is ready as soon as it is healthy: it has read and subscribed by then."""

BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {"cold-start": cold_start}
