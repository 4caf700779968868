"""The engine alone over a log: who enters and leaves when."""

from collections import Counter

from emulator.fold import Folded, fold, histories
from emulator.membership_log import Line
from emulator.recording import Call
from segue.domain import rules
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, HOUR, MINUTE

START = 1_700_000_000_000
NOW = START + 365 * DAY

PROGRAM = rules.compile(
    {
        "buyer": {"name": "Buyer", "when": {"did": "Order Completed", "within": "1h"}},
        "twice": {"name": "Twice", "when": {"did": "Order Completed", "count": {"ge": 2}, "within": "1h"}},
    }
)


def order(at: int, user: str = "1", **more: object) -> Call:
    return {"type": "track", "event": "Order Completed", "userId": user, "timestamp": START + at, **more}


def folded(*calls: Call, until: int | None = None) -> Folded:
    return fold(PROGRAM, histories(calls, NOW, 30 * DAY, Counter()), until)


def line(user: str, segment: str, transition: str, at: int) -> Line:
    return Line(f"user_id:{user}", segment, transition, START + at)  # type: ignore[arg-type]


#   1: ●──────────── 1 h ───────────)
#   2:       ●  the log's end
def test_time_goes_on_to_the_logs_newest_event_for_everybody() -> None:
    assert folded(order(0), order(2 * HOUR, "2")).log == [
        line("1", "buyer", "entered", 0),
        line("1", "buyer", "exited", HOUR),
        line("2", "buyer", "entered", 2 * HOUR),
    ]


def test_time_goes_on_further_if_asked_and_includes_that_instant() -> None:
    exits = [line("1", "buyer", "exited", HOUR)]
    assert folded(order(0), until=START + HOUR - 1).log[1:] == []
    assert folded(order(0), until=START + HOUR).log[1:] == exits


def test_events_received_in_one_millisecond_are_folded_together() -> None:
    assert [one.segment for one in folded(order(0, messageId="a"), order(0, messageId="b")).log] == ["buyer", "twice"]


def test_a_log_out_of_order_is_folded_in_the_order_of_its_time() -> None:
    assert folded(order(5), order(0)).log == folded(order(0), order(5)).log


def test_copies_are_counted() -> None:
    counts = folded(order(0, messageId="a"), order(0, messageId="a"), order(1, messageId="b")).counts
    assert (counts["folded"], counts["duplicate"]) == (2, 1)


def test_a_call_was_received_when_it_says_and_otherwise_when_it_happened() -> None:
    calls = [order(0), order(0, "2", receivedAt=START + 10 * MINUTE)]
    found = histories(calls, NOW, 30 * DAY, Counter())
    (first,), (second,) = found[ProfileRef("user_id", "1")], found[ProfileRef("user_id", "2")]
    assert (first.occurred_at, first.received_at) == (START, START)
    assert (second.occurred_at, second.received_at) == (START, START + 10 * MINUTE)


def test_a_received_call_has_its_clients_clock_corrected() -> None:
    """Sent an hour ago by a clock that is an hour slow: it happened when it was received, but for the second before."""
    call = order(-1_000, sentAt=START, receivedAt=START + HOUR)
    (event,) = histories([call], NOW, 30 * DAY, Counter())[ProfileRef("user_id", "1")]
    assert event.occurred_at == START + HOUR - 1_000


def test_calls_that_are_no_events_are_counted_by_the_reason() -> None:
    refused = Counter[str]()
    assert histories([{"type": "track", "event": "A"}, {"type": "wink"}], NOW, 30 * DAY, refused) == {}
    assert refused.total() == 2
