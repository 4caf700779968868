"""The ports, simulated: shared stores and topics, and for each instance its own, faulty way to them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from segue.domain.audience import Audience
from segue.domain.destination import Storage
from segue.domain.erasure import Content, remaining
from segue.domain.errors import Conflict, Invalid, Unavailable
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived, MembershipChanged
from segue.domain.profile import SHARDS
from segue.domain.strict import decode
from segue.ports import ABSENT, Document, Message, Ports, PublishedCatalog, SegmentSize, Write
from tests.simulation.world import Instance, World

Watcher = Callable[[Write, bytes | None], None]
"""Told of each write as it takes effect, with the data it replaces."""


class Stored(msgspec.Struct, frozen=True):
    document: Document
    due: int | None
    shard: int


class Cloud:
    """What all instances share: documents, topics, the catalogue, and the receivers of webhooks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.documents: dict[str, Stored] = {}
        self.versions = 0
        self.published: dict[str, list[Message]] = {}
        self.subscribers: dict[str, list[Callable[[Message], None]]] = {}
        self.catalog: PublishedCatalog | None = None
        self.erased: dict[str, int] = {}
        """Whom the archive forgot, and up to which instant."""
        self.receiver: Callable[[str, bytes, Mapping[str, str]], int] = lambda *_: 200
        self.on_write: list[Watcher] = []
        self.on_publish: list[Callable[[str, Message], None]] = []

    def commit(self, writes: Sequence[Write]) -> None:
        for write in writes:
            stored = self.documents.get(write.path)
            found = stored.document.version if stored else ABSENT
            if write.expects is not None and write.expects != found:
                raise Conflict(f"{write.path}: expected version {write.expects!r}, found {found!r}")
        for write in writes:
            self._write(write)

    def _write(self, write: Write) -> None:
        replaced = self.documents.pop(write.path, None)
        self.versions += 1
        if write.data is not None:
            document = Document(data=write.data, version=str(self.versions))
            self.documents[write.path] = Stored(document, write.due, write.shard)
        for watch in self.on_write:
            watch(write, replaced.document.data if replaced else None)

    def get(self, path: str) -> Document | None:
        stored = self.documents.get(path)
        return stored.document if stored else None

    def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        found = [
            (stored.due, path.removeprefix(f"{collection}/"))
            for path, stored in self.documents.items()
            if path.startswith(f"{collection}/") and stored.shard == shard and stored.due is not None
        ]
        return [key for due, key in sorted(found) if due <= until][:limit]

    def scan(self, collection: str, after: str) -> Sequence[tuple[str, Document]]:
        return [
            (path.removeprefix(f"{collection}/"), self.documents[path].document)
            for path in sorted(self.documents)
            if path.startswith(f"{collection}/") and path > f"{collection}/{after}"
        ]

    def publish_catalogue(self, data: bytes, expects: int | None) -> PublishedCatalog:
        version = self.catalog.version if self.catalog else 0
        if expects not in (None, version):
            raise Conflict(f"expected version {expects}, found {version}")
        self.catalog = PublishedCatalog(version + 1, data)
        return self.catalog

    def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        """As far as the archive has come: in a storm it is some messages behind, more often than not."""
        published = {message.id: message for message in self.published.get(EVENTS, ())}
        messages = [message for message in published.values() if message.type == EVENTS_RECEIVED]
        if self.world.chance(4 * self.world.faults.refuses):
            messages = messages[: -self.world.random.randint(1, 20)]
        found: dict[str, list[Message]] = {}
        for message in messages:
            with contextlib.suppress(Invalid):
                key = decode(message.data, EventsReceived).key
                left = remaining(Content(message.type, message.data), self.erased)
                if left and left.type == message.type:
                    found.setdefault(key, []).append(msgspec.structs.replace(message, data=left.data))
        return {key: found[key] for key in keys if key in found}

    def erase(self, erased: Mapping[str, int]) -> None:
        self.erased |= {key: max(at, self.erased.get(key, at)) for key, at in erased.items()}

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        for message in messages:
            self.published.setdefault(topic, []).append(message)
            for watch in self.on_publish:
                watch(topic, message)
            for subscriber in self.subscribers.get(topic, ()):
                subscriber(message)

    def collection(self, name: str) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.documents):
            if path.startswith(f"{name}/"):
                yield path.removeprefix(f"{name}/"), self.documents[path].document.data

    def ports(self, instance: Instance) -> Ports:
        """This instance's way to all of it."""
        return Ports(
            store=SimulatedStore(self, instance),
            bus=SimulatedBus(self, instance),
            archive=SimulatedArchive(self, instance),
            catalog=SimulatedCatalog(self, instance),
            http=SimulatedHttp(self, instance),
            objects=SimulatedObjects(),
            clock=SimulatedClock(self.world, instance),
        )


class SimulatedStore:
    def __init__(self, cloud: Cloud, instance: Instance) -> None:
        self._cloud = cloud
        self._instance = instance

    async def get(self, path: str) -> Document | None:
        found: Document | None = await self._call(f"get {path}", lambda: self._cloud.get(path))
        return found

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._call(f"commit {' '.join(write.path for write in writes)}", lambda: self._cloud.commit(writes))

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        """A tick asks every shard, and is over only when every answer came: each alone fails rarely."""
        keys: Sequence[str] = await self._call(
            f"due {shard}", lambda: self._cloud.due(collection, shard, until, limit), risk=1 / SHARDS
        )
        return keys

    async def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        """A page is its own call."""
        found: Sequence[tuple[str, Document]] = await self._call(
            f"scan {collection}", lambda: self._cloud.scan(collection, after)
        )
        for identifier, document in found:
            yield identifier, document

    async def _call(self, name: str, effect: Callable[[], Any], risk: float = 1.0) -> Any:
        return await self._cloud.world.call(self._instance, name, effect, risk)


class SimulatedBus:
    def __init__(self, cloud: Cloud, instance: Instance) -> None:
        self._cloud = cloud
        self._instance = instance

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Each message is its own call: on an error, any of them may have been published."""
        for message in messages:
            effect = partial(self._cloud.publish, topic, [message])
            await self._cloud.world.call(self._instance, f"publish {topic} {message.id}", effect)

    async def listen(self, topic: str, name: str, begun: object, hear: object) -> None:  # noqa: ARG002  # nobody is heard
        """The histories are about what is kept."""
        raise Unavailable(f"{name}: nobody listens to {topic} in the simulation")


class SimulatedCatalog:
    def __init__(self, cloud: Cloud, instance: Instance) -> None:
        self._cloud = cloud
        self._instance = instance

    async def current(self) -> PublishedCatalog | None:
        found: PublishedCatalog | None = await self._cloud.world.call(
            self._instance, "catalog", lambda: self._cloud.catalog
        )
        return found

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        published: PublishedCatalog = await self._cloud.world.call(
            self._instance, "publish a catalogue", lambda: self._cloud.publish_catalogue(data, expects)
        )
        return published


class SimulatedHttp:
    def __init__(self, cloud: Cloud, instance: Instance) -> None:
        self._cloud = cloud
        self._instance = instance

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        """An answer of 0 is none at all, in the time given."""
        status: int = await self._cloud.world.call(
            self._instance,
            f"post {url} {headers['Idempotency-Key']}",
            lambda: self._cloud.receiver(url, body, headers),
        )
        if status == 0:
            await self._cloud.world.sleep(self._instance, timeout_s)
            raise Unavailable(f"{url} did not answer")
        return status


class SimulatedClock:
    """The instance's own clock, as wrong as it is."""

    def __init__(self, world: World, instance: Instance) -> None:
        self._world = world
        self._instance = instance

    def now(self) -> int:
        return self._world.now + self._instance.skew

    async def sleep(self, seconds: float) -> None:
        await self._world.sleep(self._instance, seconds)


class SimulatedArchive:
    """What is published is archived; whole histories are asked for, and visitors forgotten."""

    def __init__(self, cloud: Cloud, instance: Instance) -> None:
        self._cloud = cloud
        self._instance = instance

    async def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        found: Mapping[str, Sequence[Message]] = await self._cloud.world.call(
            self._instance, "histories", lambda: self._cloud.histories(keys)
        )
        return found

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        raise AssertionError(f"no function archives {len(messages)} messages of {topic}")

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        raise AssertionError(f"no function of the simulation asks for sizes at {at}")

    async def snapshot(self, key: str, at: int) -> MembershipChanged | None:
        raise AssertionError(f"no function of the simulation asks for the past of {key} at {at}")

    async def received(self, key: str) -> AsyncIterator[Message]:
        raise AssertionError(f"no function of the simulation asks for the events of {key}")
        yield

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        raise AssertionError(f"no function of the simulation asks for {message_ids} of {key}")

    async def erase(self, erased: Mapping[str, int]) -> None:
        await self._cloud.world.call(self._instance, "erase from the archive", lambda: self._cloud.erase(erased))

    async def audience(self, asked: Audience, at: int, part: str) -> Sequence[str]:
        raise AssertionError(f"no function of the simulation asks for {asked} at {at}, part {part}")

    async def read(self, topic: str) -> AsyncIterator[Message]:
        raise AssertionError(f"no function reads {topic}")
        yield


class SimulatedObjects:
    """The simulation's destinations are webhooks."""

    async def get(self, storage: Storage, path: str) -> Document | None:
        raise AssertionError(f"no function of the simulation reads {path} of {storage}")

    async def put(self, storage: Storage, path: str, data: bytes, expects: str | None = None) -> None:
        raise AssertionError(f"no function of the simulation writes {path} ({len(data)}, {expects}) to {storage}")
