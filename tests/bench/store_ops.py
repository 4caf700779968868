"""How often the store is asked for each message, on its way into the public document."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from emulator import catalog
from emulator.fold import histories
from emulator.shop import visitors
from functions.evaluate.evaluate import Evaluator
from functions.update.update import Updater
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.catalogs import Catalogs
from segue.domain.document import PROFILES, STATES
from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIPS, EventsReceived
from segue.domain.profile import profile_key
from segue.domain.time import DAY
from segue.ports import Document, Message, Store, Write
from tests.bench.measurement import Measurement
from tests.bench.server import CATALOG
from tests.embedded import ports_of

VISITORS = 100
EVENTS_A_MESSAGE = 2
UPDATE = Subscription(name="memberships-update", topic=MEMBERSHIPS)


class Counted:
    """A store that counts what it is asked, by collection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.due, self.scan = store.due, store.scan

    async def get(self, path: str) -> Document | None:
        self.reads[path.partition("/")[0]] += 1
        return await self._store.get(path)

    async def commit(self, writes: Sequence[Write]) -> None:
        self.writes.update(write.path.partition("/")[0] for write in writes)
        await self._store.commit(writes)


def store_ops() -> Sequence[Measurement]:
    """Reads and writes of each collection per message, over visits of the demo shop."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_store_ops(Path(folder)))


async def _store_ops(folder: Path) -> Sequence[Measurement]:
    clock = SystemClock()
    opened = EmbeddedPlatform.open(folder, clock, [UPDATE])
    store = Counted(opened.store)
    ports = msgspec.structs.replace(ports_of(opened, clock), store=store)
    await ports.catalog.publish(catalog.load(CATALOG))
    evaluator, updater = Evaluator(ports, Catalogs(ports.catalog, clock)), Updater(ports)
    messages = visits(clock.now())
    for message in messages:
        await evaluator(message)
    snapshots = await opened.bus.after(f"{UPDATE.name}:{MEMBERSHIPS}", 0, 100 * VISITORS)
    for snapshot in snapshots:
        await updater(snapshot.message)
    await opened.close()
    number = len(messages)
    changed = len(snapshots) / number
    figures = (
        ("reads-state", store.reads[STATES], "1", "evaluate"),
        ("writes-state", store.writes[STATES], "1", "evaluate"),
        ("reads-public", store.reads[PROFILES], None, f"update; {changed:.0%} of the messages change a membership"),
        ("writes-public", store.writes[PROFILES], "only when it changes", "update"),
    )
    return [
        Measurement(
            bench=f"store-ops-per-message-{name}", value=count / number, unit="operations", goal=goal, note=note
        )
        for name, count, goal, note in figures
    ]


def visits(now: int) -> Sequence[Message]:
    """The visits as ingest publishes them: a few events of one profile in each message."""
    calls = (call for visitor in visitors(7, VISITORS, now) for call in visitor.calls)
    return [
        Message(
            id=f"{profile}-{first}",
            type=EVENTS_RECEIVED,
            source="//bench",
            time=time.time_ns() // 1_000_000,
            data=msgspec.json.encode(
                EventsReceived(
                    key=profile_key(b"of-the-benchmark", profile),
                    profile=profile,
                    source="shop",
                    events=tuple(events[first : first + EVENTS_A_MESSAGE]),
                )
            ),
        )
        for profile, events in histories(calls, now, 30 * DAY, Counter()).items()
        for first in range(0, len(events), EVENTS_A_MESSAGE)
    ]


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {"store-ops-per-message": store_ops}
