"""The ports as functions are given them: the platform's own, and every call of them is measured.

What is counted is what Firestore and Pub/Sub would bill, whichever platform it is: each document that a query finds is
a read and a query that finds none is one, each write and each delete of a commit is one. Calls that fail are measured,
and bill nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from types import TracebackType
from typing import Protocol

import msgspec

from segue import tracing
from segue.domain.audience import Audience
from segue.domain.destination import Storage
from segue.domain.errors import Conflict, Rejected, Unavailable
from segue.domain.message import MembershipChanged
from segue.metrics import (
    BUS_BILLED_BYTES,
    BUS_BYTES,
    BUS_MESSAGES,
    BUS_PUSHED_BYTES,
    PORT_SECONDS,
    STORE_BYTES,
    STORE_OPERATIONS,
)
from segue.ports import (
    Archive,
    Bus,
    Catalog,
    Document,
    Http,
    Message,
    Objects,
    Ports,
    PublishedCatalog,
    SegmentSize,
    Store,
    Write,
)
from segue.tracing import Kind

OUTCOMES: Mapping[type[BaseException], str] = {
    Conflict: "conflict",
    Unavailable: "unavailable",
    Rejected: "rejected",
    GeneratorExit: "done",
    Exception: "failed",
    BaseException: "cancelled",
}
"""What came of a call, by the first entry that its error is an instance of."""

TRACE_BYTES = len("ce-traceparent")

BINDING_BYTES = 102
"""Of a message's attributes whatever is the same for all: their names, and what is as long as itself."""

LEAST_BILLED_BYTES = 1_000

FOLLOWED = 100
"""Messages of one publish that a trace goes on with. The others begin their own: a tick's would have no end."""


def observed(ports: Ports) -> Ports:
    """The same ports, each call of them measured; the clock costs nothing."""
    return Ports(
        store=ObservedStore(ports.store),
        bus=ObservedBus(ports.bus),
        archive=ObservedArchive(ports.archive),
        catalog=ObservedCatalog(ports.catalog),
        http=ObservedHttp(ports.http),
        objects=ObservedObjects(ports.objects),
        clock=ports.clock,
    )


class Begin(Protocol):
    """How a call's span begins."""

    def __call__(self, name: str, kind: Kind, **attributes: object) -> AbstractContextManager[object]: ...


class Call:
    """One call of a port, from its beginning to its end, and its span. Of one that goes through many things, the time
    that is taken to do something with them is in it, too."""

    __slots__ = ("_began", "_operation", "_port", "_span")

    def __init__(
        self, port: str, operation: str, begin: Begin = tracing.span, kind: Kind = "client", **attributes: object
    ) -> None:
        self._port = port
        self._operation = operation
        self._span = begin(f"{port} {operation}", kind, **attributes)

    def __enter__(self) -> None:
        self._began = perf_counter()
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, trace)
        outcome = "done" if kind is None else _outcome(kind)
        PORT_SECONDS.observe(perf_counter() - self._began, self._port, self._operation, outcome)


class ObservedStore:
    """`ports.Store`, measured."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, path: str) -> Document | None:
        collection = path.partition("/")[0]
        with Call("store", "get", collections=collection):
            found = await self._store.get(path)
        _read(collection, 1, len(found.data) if found else 0)
        return found

    async def commit(self, writes: Sequence[Write]) -> None:
        collections = [each.path.partition("/")[0] for each in writes]
        with Call("store", "commit", collections=" ".join(collections)):
            await self._store.commit(writes)
        for each, collection in zip(writes, collections, strict=True):
            STORE_OPERATIONS.add(collection, "delete" if each.data is None else "write")
            STORE_BYTES.add(collection, "write", by=len(each.data or b""))

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        with Call("store", "due", collections=collection):
            found = await self._store.due(collection, shard, until, limit)
        STORE_OPERATIONS.add(collection, "read", by=max(1, len(found)))
        return found

    async def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        with Call("store", "scan", tracing.aside, collections=collection):
            async for id_, found in self._store.scan(collection, after):
                _read(collection, 1, len(found.data))
                yield id_, found
        STORE_OPERATIONS.add(collection, "read")  # the query that found no more


class ObservedBus:
    """`ports.Bus`, measured."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        with Call("bus", "publish", kind="producer", topic=topic, messages=len(messages)):
            messages = _led_to(messages)
            await self._bus.publish(topic, messages)
        sizes = [size(message) for message in messages]
        published = sum(sizes)
        BUS_MESSAGES.add(topic, by=len(messages))
        BUS_BYTES.add(topic, by=published)
        BUS_BILLED_BYTES.add(topic, by=max(LEAST_BILLED_BYTES, published))
        BUS_PUSHED_BYTES.add(topic, by=sum(max(LEAST_BILLED_BYTES, each) for each in sizes))

    async def listen(self, topic: str, name: str, begun: Callable[[], None], hear: Callable[[Message], None]) -> None:
        with Call("bus", "listen", tracing.untraced):
            await self._bus.listen(topic, name, begun, hear)


class ObservedArchive:
    """`ports.Archive`, measured."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        with Call("archive", "append"):
            await self._archive.append(topic, messages)

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        with Call("archive", "sizes"):
            return await self._archive.sizes(at)

    async def snapshot(self, key: str, at: int) -> MembershipChanged | None:
        with Call("archive", "snapshot"):
            return await self._archive.snapshot(key, at)

    async def received(self, key: str) -> AsyncIterator[Message]:
        with Call("archive", "received", tracing.aside):
            async for message in self._archive.received(key):
                yield message

    async def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        with Call("archive", "histories"):
            return await self._archive.histories(keys)

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        with Call("archive", "holds"):
            return await self._archive.holds(key, message_ids)

    async def erase(self, erased: Mapping[str, int]) -> None:
        with Call("archive", "erase"):
            await self._archive.erase(erased)

    async def audience(self, asked: Audience, at: int, part: str) -> Sequence[str]:
        with Call("archive", "audience"):
            return await self._archive.audience(asked, at, part)

    async def read(self, topic: str) -> AsyncIterator[Message]:
        with Call("archive", "read", tracing.aside):
            async for message in self._archive.read(topic):
                yield message


class ObservedCatalog:
    """`ports.Catalog`, measured."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def current(self) -> PublishedCatalog | None:
        with Call("catalog", "current"):
            return await self._catalog.current()

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        with Call("catalog", "publish"):
            return await self._catalog.publish(data, expects)


class ObservedHttp:
    """`ports.Http`, measured."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        with Call("http", "post"):
            return await self._http.post(url, body, headers, timeout_s)


class ObservedObjects:
    """`ports.Objects`, measured."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def get(self, storage: Storage, path: str) -> Document | None:
        with Call("objects", "get"):
            return await self._objects.get(storage, path)

    async def put(self, storage: Storage, path: str, data: bytes, expects: str | None = None) -> None:
        with Call("objects", "put"):
            await self._objects.put(storage, path, data, expects)


def _led_to(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages, as a part of what is happening: but one that is in another trace stays there."""
    trace = tracing.current()
    if not trace:
        return messages
    return [*(_in_trace(message, trace) for message in messages[:FOLLOWED]), *messages[FOLLOWED:]]


def _in_trace(message: Message, trace: str) -> Message:
    of_another = message.trace and tracing.trace_id(message.trace) != tracing.trace_id(trace)
    return message if of_another else msgspec.structs.replace(message, trace=trace)


def _outcome(kind: type[BaseException]) -> str:
    return next(outcome for root, outcome in OUTCOMES.items() if issubclass(kind, root))


def _read(collection: str, documents: int, size: int) -> None:
    STORE_OPERATIONS.add(collection, "read", by=documents)
    STORE_BYTES.add(collection, "read", by=size)


def size(message: Message) -> int:
    """Bytes of a message as Pub/Sub counts them, but for its id there and its time."""
    said = len(message.data) + len(message.id) + len(message.type) + len(message.source)
    return BINDING_BYTES + said + (TRACE_BYTES + len(message.trace) if message.trace else 0)
