"""All Segue asks of the outside, on one page: seven ports, each with one adapter a platform.

Every awaitable call may be delayed, may fail before or after its effect, and is a yield point in the simulation. An
adapter raises `Unavailable` for whatever may succeed when tried again, and `Rejected` for what never will.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from segue.domain.audience import Audience
from segue.domain.destination import Storage
from segue.domain.message import MembershipChanged


class Document(msgspec.Struct, frozen=True):
    """A stored document: opaque bytes, and the version that a conditional write names."""

    data: bytes
    version: str


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One write of a commit.

    `path` is `collection/id`. `data` replaces the document; None deletes it. `expects` is the precondition: the version
    that was read, `ABSENT` if the document must not exist, or None for no precondition. `due` (epoch ms) and `shard`
    put the document into `Store.due`'s index; without `due` it leaves the index.
    """

    path: str
    data: bytes | None
    expects: str | None = None
    due: int | None = None
    shard: int = 0


ABSENT = ""
"""As `Write.expects`: the document must not exist yet."""


class Store(Protocol):
    """Documents with compare-and-set."""

    async def get(self, path: str) -> Document | None:
        """The document as of now (strongly consistent), or None."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply 1 to 10 writes, all or none; raises `Conflict`, and nothing changed, if a precondition fails."""
        ...

    async def due(self, collection: str, shard: int, until: int, limit: int) -> Sequence[str]:
        """The ids of at most `limit` documents of the shard with `due <= until`, the earliest first."""
        ...

    def scan(self, collection: str, after: str = "") -> AsyncIterator[tuple[str, Document]]:
        """Every document of a collection with its id, ordered by id, from the one that comes next to `after` on.

        For operators' commands, and for what has to reach every profile once."""
        ...


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent on its way through a topic: `data` is JSON, `time` epoch ms.

    `trace` is where it belongs in a trace, as W3C's `traceparent` (CloudEvents' extension Distributed Tracing); empty:
    in none. It is no part of what the message says: an archive does not keep it.
    """

    id: str
    type: str
    source: str
    time: int
    data: bytes
    trace: str = ""


class Bus(Protocol):
    """Topics with push subscriptions: at least once, in any order. A process may also listen to a topic for itself."""

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Return once every message is durable in the topic. On an error any of them may have been published."""
        ...

    async def listen(self, topic: str, name: str, begun: Callable[[], None], hear: Callable[[Message], None]) -> None:
        """Hear of every message that is published from when `begun` was called on, until cancelled.

        For this process alone, and nothing is kept for it: what is published while it does not listen it never hears
        of. A message may be heard twice, and in any order. Both calls return at once. `name` is the listener's, which
        no other has. Raises Unavailable if what is published may not be heard any more.
        """
        ...


class SegmentSize(msgspec.Struct, frozen=True, kw_only=True):
    """How many profiles are in a segment at an instant, and when one last entered or left it (epoch ms)."""

    members: int
    last_change: int | None


class Archive(Protocol):
    """Every message of a topic, kept. In the cloud Pub/Sub's own BigQuery subscriptions write it."""

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        """Keep the messages; durable on return. A message id that is already kept is kept once."""
        ...

    async def sizes(self, at: int) -> Mapping[str, SegmentSize]:
        """Each segment's size at an instant, from each profile's newest membership snapshot of then."""
        ...

    async def snapshot(self, key: str, at: int) -> MembershipChanged | None:
        """A profile's newest membership snapshot of an instant, or None if it had none yet."""
        ...

    def received(self, key: str) -> AsyncIterator[Message]:
        """Every kept message with events of a profile, in the order in which they were kept."""
        ...

    async def histories(self, keys: Sequence[str]) -> Mapping[str, Sequence[Message]]:
        """Of each of these profiles that has any, every kept message with events of it, as `received` has them."""
        ...

    async def holds(self, key: str, message_ids: Sequence[str]) -> frozenset[str]:
        """Which of these event message ids of a profile are kept."""
        ...

    async def erase(self, erased: Mapping[str, int]) -> None:
        """Forget profiles, by key, each up to an instant (epoch ms, inclusive): what they did, and what they were in.
        What is left of their messages `erasure.remaining` says.

        On return none of it is kept, and what comes of it later never will be. Erasing again changes nothing."""
        ...

    async def audience(self, asked: Audience, at: int, part: str) -> Sequence[str]:
        """The identifiers of the segment's members at an instant, from each profile's newest membership snapshot of
        then, each once and in order; those alone whose SHA-256 begins with the bits
        `part`, at most 32.

        Who is linked, and what is known of them, is as it is now. Without the identifier, or the consent, nobody is
        told of; nor by an id that looks like an e-mail address, unless as a hash."""
        ...

    def read(self, topic: str) -> AsyncIterator[Message]:
        """Every kept message of a topic, in order of `time` then id."""
        ...


class PublishedCatalog(msgspec.Struct, frozen=True):
    """One immutable version of the catalogue: a positive number that only grows, and its YAML documents as one JSON."""

    version: int
    data: bytes


class Catalog(Protocol):
    """The published definitions, in a store of their own."""

    async def current(self) -> PublishedCatalog | None:
        """The version that `current` points to, or None if nothing was ever published."""
        ...

    async def publish(self, data: bytes, expects: int | None = None) -> PublishedCatalog:
        """Write the next version, then flip the pointer. The same bytes as the current version change nothing.

        `expects` is the version that has to be current (0: none is); raises `Conflict` if it is not."""
        ...


class Http(Protocol):
    """Calls to addresses that users configure: webhook destinations."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        """POST without following redirects; the answer's status. Raises `Unavailable` if there was no answer in time,
        `Rejected` if the address is not allowed (a private one in the cloud)."""
        ...


class Objects(Protocol):
    """Objects in buckets that users configure: storage destinations. Paths go behind the storage's prefix."""

    async def get(self, storage: Storage, path: str) -> Document | None:
        """The object as of now (strongly consistent), or None."""
        ...

    async def put(self, storage: Storage, path: str, data: bytes, expects: str | None = None) -> None:
        """Write an object whole, or not at all. `expects` is the version that was read, `ABSENT` if there must be none,
        or None for no precondition; raises `Conflict`, and nothing changed, if it fails."""
        ...


class Clock(Protocol):
    """The time: the only place that knows what it is."""

    def now(self) -> int:
        """UTC in epoch ms."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least that long."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """One platform: the seven ports together."""

    store: Store
    bus: Bus
    archive: Archive
    catalog: Catalog
    http: Http
    objects: Objects
    clock: Clock
