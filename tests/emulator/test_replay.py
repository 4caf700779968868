"""A log goes through the import in batches that keep what must stay in order apart, and its refusals are counted."""

import orjson

from emulator.client import Timing
from emulator.failed import Record
from emulator.recording import Call
from emulator.replay import LARGEST_BATCH, MOST_CALLS, batches, replay, visits
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.message import EVENTS_REFUSED, ClockName, EventsRefused, FailedMessage, RefusedEvent
from segue.domain.time import HOUR, MINUTE

START = 1_700_000_000_000


def call(at: int, user: str = "1", **more: Json) -> Call:
    return {"type": "track", "event": "A", "userId": user, "timestamp": START + at, **more}


def shape(calls: list[Call], lateness: int = HOUR) -> list[tuple[bool, int]]:
    """Of each batch, whether it waits for what went before, and how many calls it has."""
    return [(batch.apart, len(batch.calls)) for batch in batches(calls, lateness)]


def test_calls_keep_their_order_and_lose_nothing() -> None:
    calls = [call(index, str(index)) for index in range(6_000)]
    sent = [each for batch in batches(calls, HOUR) for each in orjson.loads(batch.body)["batch"]]
    assert sent == calls


def test_a_batch_holds_no_more_calls_and_bytes_than_ingest_takes() -> None:
    assert shape([call(0)] * (MOST_CALLS + 1)) == [(False, MOST_CALLS), (False, 1)]
    large = [call(0, properties={"text": "x" * 30_000})] * 40
    assert all(len(batch.body) < LARGEST_BATCH + 100 for batch in batches(large, HOUR))
    assert shape([call(0, properties={"text": "x" * LARGEST_BATCH}), call(0)]) == [(False, 1), (False, 1)]


#   first batch ──┐      lateness
#   1: 0:00       │◄──────────────►│ 1:00 goes on, 1:00:00.001 waits until the first is worked through
def test_a_call_waits_for_one_of_its_profile_that_is_older_by_more_than_the_lateness() -> None:
    full = [call(0)] * MOST_CALLS
    assert shape([*full, call(HOUR)]) == [(False, MOST_CALLS), (False, 1)]
    assert shape([*full, call(HOUR + 1)]) == [(False, MOST_CALLS), (True, 1)]
    assert shape([*full, call(HOUR + 1, "2")]) == [(False, MOST_CALLS), (False, 1)]
    assert shape([*full, call(2 * MINUTE)], lateness=MINUTE) == [(False, MOST_CALLS), (True, 1)]


def test_calls_of_one_batch_may_be_any_time_apart() -> None:
    """Ingest makes one message of a profile's calls in a request."""
    assert shape([call(0), call(50 * HOUR)]) == [(False, 2)]


def test_a_call_without_a_timestamp_waits_for_nothing() -> None:
    assert shape([{"type": "track"}] * 3) == [(False, 3)]


def test_a_visit_is_so_many_calls_of_one_profile_in_their_order() -> None:
    calls = [call(at, user) for at, user in enumerate("1212131")]
    sent = [
        [each["timestamp"] - START for each in orjson.loads(batch.body)["batch"]] for batch in visits(calls, HOUR, 2)
    ]
    assert sent == [[0, 2], [1, 3], [4, 6], [5]]


def test_a_visit_waits_for_one_of_its_profile_that_began_earlier_by_more_than_the_lateness() -> None:
    calls = [call(0), call(1), call(HOUR), call(HOUR), call(2 * HOUR), call(2 * HOUR + 1)]
    assert [batch.apart for batch in visits(calls, HOUR, 2)] == [False, False, True]


class Platform:
    """Takes what is sent, refuses what it is told to, and notes what it was asked."""

    def __init__(self, refuses: bool = False) -> None:
        self.asked: list[str] = []
        self._refuses = refuses

    async def import_(self, body: bytes) -> Json:
        self.asked.append(f"import {len(orjson.loads(body)['batch'])}")
        if self._refuses:
            raise Invalid("not one of them")

    async def tick(self, at: int, clock: ClockName) -> None:
        self.asked.append(f"tick {at - START} {clock}")

    async def settle(self) -> None:
        self.asked.append("settle")

    async def ledger(self) -> dict[str, int]:
        return {"published": sum(asked.startswith("import") for asked in self.asked)}

    async def timing(self) -> Timing:
        return Timing(lateness=HOUR, grace=10)

    async def failed(self) -> list[Record]:
        refused = EventsRefused(
            source="shop", received_at=0, refused=tuple(RefusedEvent(index=n, reason="no id", event={}) for n in (1, 2))
        )
        failed = FailedMessage(
            stage="ingest",
            reason="2 of a batch refused",
            failed_at=0,
            topic="events",
            id="m",
            type=EVENTS_REFUSED,
            data=orjson.dumps(
                {"refused": [{"index": r.index, "reason": r.reason, "event": {}} for r in refused.refused]}
            ).decode(),
        )
        return [Record("r", failed)] if self.asked else []


async def test_time_comes_to_the_logs_end_once_everything_is_worked_through() -> None:
    platform = Platform()
    report = await replay(platform, [call(5), call(7)], None)
    assert platform.asked == ["import 2", "settle", "tick 17 import", "settle"]
    assert (report.sent, report.newest, report.ledger) == (2, START + 7, {"published": 1})


async def test_time_goes_on_for_as_long_as_is_asked() -> None:
    platform = Platform()
    await replay(platform, [call(5)], START + HOUR)
    assert f"tick {HOUR + 10} import" in platform.asked


async def test_what_was_refused_is_counted_by_its_reason() -> None:
    assert (await replay(Platform(), [call(1)], None)).refused == {"no id": 2}
    assert (await replay(Platform(refuses=True), [call(1)] * 3, None)).refused == {"not one of them": 3, "no id": 2}
