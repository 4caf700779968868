"""The event functions on the embedded platform, pushed to as a subscription does, with a still clock."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from obstore.store import MemoryStore

from emulator.functions import apps, push
from segue import wiring
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import ManualClock
from segue.adapters.web import WebObjects
from segue.catalogs import Catalogs, Compiled, compiled
from segue.domain import rules
from segue.domain.destination import Storage
from segue.domain.document import FAILED_EVENTS, PublicProfile, StateDocument, decode_profile, decode_state
from segue.domain.errors import SegueError, Unavailable
from segue.domain.event import Event
from segue.domain.message import (
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    MEMBERSHIPS,
    EventsReceived,
    FailedMessage,
    MembershipChanged,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Bus, Document, Message, Ports, PublishedCatalog, Store, Write
from segue.settings import Settings
from segue.wiring import Identity, Platform

NOW = 1_715_342_400_000
"""2024-05-10T12:00:00Z, when everything begins."""

SETTINGS = Settings.from_environment(
    {
        "SEGUE_PROFILE_SECRET": "a secret of the tests",
        "SEGUE_WEBHOOK_SECRETS": '{"hook": "a secret that signs"}',
    }
)

ADA = ProfileRef("anonymous_id", "ada")
KEY = profile_key(SETTINGS.profile_secret, ADA)

CATALOG: Mapping[str, Any] = {
    "segments": {
        "viewer": {"name": "Viewer", "when": {"did": "Product Viewed", "within": "10m"}},
        "buyer": {"name": "Buyer", "when": {"did": "Order Completed", "within": "1h"}},
    },
    "destinations": {
        "crm": {"webhook": {"url": "https://crm.example/segue", "secret": "hook"}},
        "ads": {"webhook": {"url": "https://ads.example/segue", "secret": "hook"}, "segments": ["buyer"]},
    },
}

HEARD = Subscription(name="heard", topic="*")


class Receiver:
    """`ports.Http`: the destinations. Each host answers what `answers` still holds for it, then 200."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.answers: dict[str, list[int | SegueError]] = {}
        self.takes_ms = 0
        self.posted: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        assert 0 < timeout_s <= 10
        host = httpx.URL(url).host.partition(".")[0]
        self.posted.append((host, body, headers))
        self._clock.advance(self.takes_ms)
        answer = self.answers[host].pop(0) if self.answers.get(host) else 200
        if isinstance(answer, SegueError):
            raise answer
        return answer

    def bodies(self, host: str) -> list[dict[str, Any]]:
        """What this destination was sent, decoded."""
        return [msgspec.json.decode(body) for posted_to, body, _ in self.posted if posted_to == host]


class Breakable:
    """`ports.Store` and `ports.Bus` that raise what `breaks` still holds for a call, before its effect; None passes."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self.breaks: dict[str, list[Exception | None]] = {}
        self.calls: list[str] = []

    async def get(self, path: str) -> Document | None:
        self._pass("get", path)
        return await self._store.get(path)

    async def commit(self, writes: Sequence[Write]) -> None:
        self._pass("commit", " ".join(write.path for write in writes))
        await self._store.commit(writes)

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        self._pass("due", collection)
        return await self._store.due(collection, shard, until, limit)

    def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        return self._store.scan(collection, after)

    async def listen(self, topic: str, name: str, begun: Callable[[], None], hear: Callable[[Message], None]) -> None:
        self._pass("listen", topic)
        await self._bus.listen(topic, name, begun, hear)

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self._pass("publish", topic)
        await self._bus.publish(topic, messages)

    def _pass(self, call: str, what: str) -> None:
        self.calls.append(f"{call} {what}")
        error = self.breaks[call].pop(0) if self.breaks.get(call) else None
        if error is not None:
            raise error


class RestlessClock(ManualClock):
    """Time goes on by as much as anybody sleeps."""

    async def sleep(self, seconds: float) -> None:
        self.advance(round(seconds * 1_000))


class Pushing:
    """The functions' apps, and what can be seen of what they do."""

    def __init__(self, embedded: EmbeddedPlatform, clock: ManualClock) -> None:
        self.clock = clock
        self.embedded = embedded
        self.broken = Breakable(embedded.store, embedded.bus)
        self.receiver = Receiver(clock)
        self._events = 0
        self.buckets: dict[str, MemoryStore] = {}
        self.bucket_fails = False
        self.restart()
        self._apps = apps()

    def restart(self, identity: Identity | None = None, settings: Settings = SETTINGS) -> None:
        """New instances of all functions, with nothing in their memory."""
        self.ports = Ports(
            store=self.broken,
            bus=self.broken,
            archive=self.embedded.archive,
            catalog=self.embedded.catalog,
            http=self.receiver,
            objects=WebObjects({}, opened=self.opened),
            clock=self.clock,
        )
        self.catalogs = Catalogs(self.embedded.catalog, self.clock)
        wiring.use(Platform(settings=settings, ports=self.ports, catalogs=self.catalogs, identity=identity))

    def opened(self, storage: Storage) -> MemoryStore:
        """The bucket of a storage destination, which lives as long as the site."""
        if self.bucket_fails:
            raise Unavailable("the bucket does not answer")
        return self.buckets.setdefault(storage.bucket, MemoryStore())

    async def publish_catalog(self, **sections: Mapping[str, Any]) -> Compiled:
        """Publish the catalogue of the tests with these sections put in."""
        published: PublishedCatalog = await self.embedded.catalog.publish(msgspec.json.encode({**CATALOG, **sections}))
        return compiled(published)

    async def push(self, function: str, message: Message) -> int:
        """The status answered to a message."""
        return await push(self._apps[function], message)

    async def request(
        self, function: str, content: bytes | AsyncIterator[bytes] | Iterable[bytes], headers: Mapping[str, str]
    ) -> httpx.Response:
        """What is answered to any POST."""
        transport = httpx.ASGITransport(self._apps[function])
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/", content=content, headers=dict(headers))

    def event(self, name: str, **fields: Any) -> Event:
        """An event that happens and is received now, unless told otherwise."""
        self._events += 1
        now = {"occurred_at": self.clock.now(), "received_at": self.clock.now()}
        return Event(**{"message_id": f"event-{self._events}", "name": name, **now, **fields})

    def received(self, *events: Event, id: str = "", imported: bool = False, profile: ProfileRef = ADA) -> Message:
        """The message with which ingest hands on a request of this visitor."""
        key = profile_key(SETTINGS.profile_secret, profile)
        data = EventsReceived(key=key, profile=profile, source="shop", events=events, imported=imported)
        name = id or f"message-{events[0].message_id}"
        return self.message(EVENTS_RECEIVED, data, id=name)

    def message(self, kind: str, data: Any, id: str = "message") -> Message:
        """A message as it lies in a topic."""
        body = data if isinstance(data, bytes) else msgspec.json.encode(data)
        return Message(id=id, type=kind, source="//test", time=self.clock.now(), data=body)

    async def published(self, topic: str) -> list[Message]:
        """Everything that was published to a topic, in order."""
        return [waiting.message for waiting in await self.embedded.bus.after(f"heard:{topic}", 0, 10_000)]

    async def announced(self) -> list[MembershipChanged]:
        """Every snapshot that was announced, in order."""
        return [msgspec.json.decode(each.data, type=MembershipChanged) for each in await self.published(MEMBERSHIPS)]

    async def failed(self) -> list[FailedMessage]:
        """Everything in failed_events."""
        return [
            msgspec.json.decode(document.data, type=FailedMessage)
            async for _, document in self.embedded.store.scan(FAILED_EVENTS)
        ]

    async def state(self, key: str = KEY) -> StateDocument:
        """A profile's state document, which must be there."""
        stored = await self.embedded.store.get(f"states/{key}")
        assert stored
        return decode_state(stored.data)

    async def counts(self, key: str = KEY) -> rules.Counts:
        """What has become of the profile's events."""
        return rules.decode((await self.state(key)).state).counts

    async def public(self, key: str = KEY) -> PublicProfile | None:
        """A profile's public document."""
        stored = await self.embedded.store.get(f"profiles/{key}")
        return decode_profile(stored.data) if stored else None


def changed(seq: int, **fields: Any) -> MembershipChanged:
    """A snapshot of the visitor."""
    known: dict[str, Any] = {"catalog": 1, "at": NOW, "known_until": None, "memberships": {}, "transitions": ()}
    return MembershipChanged(key=KEY, profile=ADA, seq=seq, **{**known, **fields})


def snapshot(entry: MembershipChanged) -> Message:
    """The message that carries a snapshot."""
    data = msgspec.json.encode(entry)
    return Message(id=f"{entry.key}:{entry.seq}", type=MEMBERSHIP_CHANGED, source="//test", time=entry.at, data=data)


def unavailable(times: int = 1, after: int = 0) -> list[Exception | None]:
    """As often as this, it does not answer, once so many calls have passed."""
    return [None] * after + [Unavailable("it does not answer") for _ in range(times)]


@asynccontextmanager
async def pushing(folder: Path) -> AsyncIterator[Pushing]:
    """The functions, at work with the catalogue of the tests."""
    clock = RestlessClock(NOW)
    embedded = EmbeddedPlatform.open(folder, clock, [HEARD])
    try:
        pushing = Pushing(embedded, clock)
        await pushing.publish_catalog()
        yield pushing
    finally:
        wiring.use(None)
        await embedded.close()
