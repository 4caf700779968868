"""A recorded log through a running Segue's import, on the log's own clock."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
import orjson

from emulator import failed
from emulator.client import Timing
from emulator.failed import Record
from emulator.recording import Call
from segue.domain.errors import Rejected
from segue.domain.event import Json
from segue.domain.message import ClockName
from segue.domain.time import event_instant

LARGEST_BATCH = 450_000
"""Bytes, with room for the envelope below what ingest takes."""

MOST_CALLS = 2_500


class Platform(Protocol):
    """What a replay asks of a running Segue."""

    async def import_(self, body: bytes) -> Json: ...

    async def tick(self, at: int, clock: ClockName) -> None: ...

    async def settle(self) -> None: ...

    async def ledger(self) -> dict[str, int]: ...

    async def timing(self) -> Timing: ...

    async def failed(self) -> list[Record]: ...


class Batch(msgspec.Struct):
    """Calls that are sent together; `apart`: once everything that was sent before is worked through."""

    apart: bool = False
    calls: list[bytes] = []
    size: int = 0
    first: dict[str, int] = {}
    newest: int = 0

    @property
    def body(self) -> bytes:
        return b'{"batch":[' + b",".join(self.calls) + b"]}"

    def takes(self, call: bytes) -> bool:
        """Whether the call fits in; a batch takes one, however large."""
        return not self.calls or (self.size + len(call) <= LARGEST_BATCH and len(self.calls) < MOST_CALLS)

    def add(self, call: bytes, profile: str, at: int | None) -> None:
        self.calls.append(call)
        self.size += len(call) + 1
        if at is not None:
            self.first.setdefault(profile, at)
            self.newest = max(self.newest, at)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a log: how many calls were sent up to which instant, why some were refused, and how the
    ledger grew."""

    sent: int
    newest: int
    refused: Counter[str]
    ledger: dict[str, int]


async def replay(platform: Platform, calls: Iterable[Call], until: int | None, together: int | None = None) -> Report:
    """Send the calls in their order and wait until they are worked through. Then time comes to `until` (epoch ms), or
    to the log's newest timestamp. `together`: see `visits`; by default requests are as large as ingest takes."""
    before, timing = await platform.ledger(), await platform.timing()
    given_up_before = {record.id for record in await platform.failed()}
    sent, newest, refused = 0, 0, Counter[str]()
    sending = batches(calls, timing.lateness) if together is None else visits(calls, timing.lateness, together)
    for batch in sending:
        if batch.apart:
            await platform.settle()
        try:
            await platform.import_(batch.body)
        except Rejected as error:
            refused[str(error)] += len(batch.calls)
        sent += len(batch.calls)
        newest = max(newest, batch.newest)
    await platform.settle()
    await platform.tick((until or newest) + timing.grace, "import")
    await platform.settle()
    after = await platform.ledger()
    for record in await platform.failed():
        if record.id not in given_up_before:
            refused.update(failed.reasons(record))
    return Report(
        sent=sent, newest=newest, refused=refused, ledger={name: after[name] - before[name] for name in after}
    )


def batches(calls: Iterable[Call], lateness: int) -> Iterator[Batch]:
    """The calls in their order, in batches that ingest takes.

    Up to the lateness (ms), the order in which the platform works through a profile's events does not matter. So a call
    is kept apart from one of the same profile that is older by more: it may still be on its way.
    """
    batch, on_their_way = Batch(), dict[str, int]()
    for call in calls:
        text = orjson.dumps(call)
        profile, at = _profile(call), event_instant(call.get("timestamp"))
        if not batch.takes(text):
            yield batch
            batch, on_their_way = Batch(), batch.first | on_their_way
        if at is not None and at - on_their_way.get(profile, at) > lateness:
            if batch.calls:
                yield batch
            batch, on_their_way = Batch(apart=True), {}
        batch.add(text, profile, at)
    if batch.calls:
        yield batch


def visits(calls: Iterable[Call], lateness: int, together: int) -> Iterator[Batch]:
    """The calls as browsers send them: in a batch so many consecutive ones of one profile, the last ones fewer.

    Batches are kept apart as those of `batches` are.
    """
    on_their_way: dict[str, int] = {}
    for profile, visit in _visits(calls, together):
        batch = Batch()
        for call in visit:
            batch.add(orjson.dumps(call), profile, event_instant(call.get("timestamp")))
        if batch.newest - on_their_way.get(profile, batch.newest) > lateness:
            batch.apart = True
            on_their_way.clear()
        on_their_way.setdefault(profile, batch.first.get(profile, batch.newest))
        yield batch


def _visits(calls: Iterable[Call], together: int) -> Iterator[tuple[str, list[Call]]]:
    begun: dict[str, list[Call]] = {}
    for call in calls:
        profile = _profile(call)
        visit = begun.setdefault(profile, [])
        visit.append(call)
        if len(visit) == together:
            yield profile, begun.pop(profile)
    yield from begun.items()


def _profile(call: Call) -> str:
    return str(call.get("userId") or call.get("anonymousId"))
