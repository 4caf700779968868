"""The evaluator's benchmarks: the engine beside hand-written folds of the same rules, and one message from bytes to
bytes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from emulator.catalog import load
from segue.domain import catalog, rules
from segue.domain.document import StateDocument, decode_state, encode
from segue.domain.event import Event
from segue.domain.message import EVENTS_RECEIVED, EventsReceived
from segue.domain.profile import ProfileRef
from tests.bench.measurement import Measurement, in_turn
from tests.bench.shop_log import log, reference

RUNS = 3
CATALOG = Path(__file__).parents[2] / "infra" / "catalog"

EXPECTED: Mapping[str, object] = {
    "first": {
        "r1": [19_822, "728db6e0"],
        "r2": [9_770, "bcc63bc4"],
        "r3": [19_220, "86d362a8"],
        "r4": [4_085, "62cdb646"],
        "r5": [17_763, "4880bba1"],
    },
    "transitions": 213_610,
    "digest": "ac332fae",
}
"""On the log of seed 7, plain and perturbed, as ../shared/bench/README.md has it: of each rule the visitors and the
digest of their first matches, and of all transitions the number and the digest."""


@cache
def result_of(command: tuple[str, ...], run: int) -> dict[str, Any]:  # noqa: ARG001  # each run counts
    """The RESULT line of one process, pinned to one core."""
    pinned = ["taskset", "-c", "1", sys.executable, *command]
    printed = subprocess.run(pinned, check=True, capture_output=True, text=True).stdout
    line = next(line for line in printed.splitlines() if line.startswith("RESULT "))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def rate_of(command: tuple[str, ...]) -> Callable[[], float]:
    """Events per CPU second of the next run, at each call."""
    runs = iter(range(RUNS))

    def measure() -> float:
        result = result_of(command, next(runs))
        return float(result["events"] / result["cpu_seconds"])

    return measure


def _ours(rule_set: str, *options: str) -> tuple[str, ...]:
    return ("-m", "tests.bench.fold_rules", str(log()), rule_set, *options)


def _theirs(name: str) -> tuple[str, ...]:
    return (str(reference(name)), str(log()))


def _checked(result: Mapping[str, Any]) -> str:
    """A note of what was found. Raises AssertionError if that is not what the reference finds."""
    found = {name: result[name] for name in EXPECTED}
    if result["events"] == 1_000_000 and found != EXPECTED:
        raise AssertionError(f"expected {EXPECTED}, found {found}")
    return f"{result['transitions']:,} transitions, digest {result['digest']}, {result['megabytes']:,} MB"


def five_rules() -> Sequence[Measurement]:
    """Events per CPU second over the five rules, beside a hand-written fold with the same duties and one without; whole
    histories at once, and event by event as it is live."""
    commands = (_ours("five"), _theirs("fold_laws.py"), _theirs("fold_plain.py"))
    at_once, laws, plain = in_turn(RUNS, *map(rate_of, commands))
    (live,) = in_turn(1, rate_of(_ours("five", "states")))
    note, live_note = _checked(result_of(commands[0], 0)), _checked(result_of(_ours("five", "states"), 0))
    unit = "events/CPU s"
    return (
        Measurement(
            bench="evaluator-5-rules",
            value=at_once,
            unit=unit,
            reference=laws,
            ratio=at_once / laws,
            goal=">= 0.9",
            note=note,
        ),
        Measurement(
            bench="evaluator-5-rules-plain",
            value=at_once,
            unit=unit,
            reference=plain,
            ratio=at_once / plain,
            note="fold_plain.py trusts the log: no copies, no order, no exits",
        ),
        Measurement(
            bench="evaluator-5-rules-live",
            value=live,
            unit=unit,
            reference=laws,
            ratio=live / laws,
            note=f"event by event, a state after each; {live_note}",
        ),
    )


def more_rules() -> Sequence[Measurement]:
    """Events per CPU second over 81 rules, beside five."""
    more, five = in_turn(RUNS, *map(rate_of, (_ours("eighty-one"), _ours("five"))))
    note = f"{result_of(_ours('eighty-one'), 0)['transitions']:,} transitions"
    return (
        Measurement(
            bench="evaluator-81-rules",
            value=more,
            unit="events/CPU s",
            reference=five,
            ratio=more / five,
            goal=">= 0.45",
            note=note,
        ),
    )


def many_segments() -> Sequence[Measurement]:
    """CPU time of an event under 10,000 segments, beside 10 of the same shapes."""
    many, few = (1e6 / rate for rate in in_turn(RUNS, *map(rate_of, (_ours("ten-thousand"), _ours("ten")))))
    note = f"{result_of(_ours('ten-thousand'), 0)['transitions']:,} transitions; compiling included"
    return (
        Measurement(
            bench="segments-10000-over-10",
            value=many,
            unit="us CPU",
            reference=few,
            ratio=many / few,
            goal="<= 3",
            note=note,
        ),
    )


def state_bytes() -> Sequence[Measurement]:
    """The bytes a profile's state takes as stored, over the visitors of the five rules' log."""
    sizes = result_of(_ours("five", "states"), 0)["state_bytes"]
    goals = {"median": "<= 2048", "p99": "<= 8192", "max": "<= 262144"}
    return [
        Measurement(bench=f"state-bytes-{share}", value=sizes[share], unit="bytes", goal=goals[share])
        for share in goals
    ]


def message() -> Sequence[Measurement]:
    """CPU of one message of 5 events under the first catalogue: data and state decoded, folded, timeline, encoded."""
    program = catalog.parse(msgspec.json.decode(load(CATALOG))).program()
    stored = _stored(program)
    received = [
        msgspec.json.encode(
            EventsReceived(key="0" * 32, profile=ProfileRef("user_id", "1"), source="shop", events=tuple(_visit(hour)))
        )
        for hour in range(12, 112)
    ]

    def one(number: int) -> None:
        events = msgspec.json.decode(received[number % 100], type=EventsReceived).events
        document = decode_state(stored)
        state = rules.fold(program, rules.decode(document.state), events, delivery=f"{EVENTS_RECEIVED}-{number}")
        state = rules.drained(state)
        rules.timeline(program, state, state.instant)
        encode(msgspec.structs.replace(document, state=rules.encode(state)))

    def measure() -> float:
        started = time.process_time()
        for number in range(2_000):
            one(number)
        return (time.process_time() - started) / 2_000 * 1e6

    (cost,) = in_turn(5, measure)
    measured = f"{len(program.evidence)} measurements, {len(program.segments)} segments"
    note = f"5 events, a state of {len(stored):,} bytes, {measured}"
    return (Measurement(bench="evaluate-message", value=cost, unit="us CPU", goal="<= 150", note=note),)


def _stored(program: rules.Program) -> bytes:
    """The document of a visitor after nine visits, 2 KiB of it."""
    state = rules.empty()
    for hour in range(9):
        state = rules.drained(rules.fold(program, state, _visit(hour), delivery=f"before-{hour}"))
    return encode(
        StateDocument(
            profile=ProfileRef("user_id", "1"), state=rules.encode(state), catalog=1, rev=9, imported=False, outbox=()
        )
    )


NAMES = ("Page Viewed", "Product Viewed", "Video Content Playing", "Product Viewed", "Product Added")


def _visit(hour: int) -> list[Event]:
    """Five events of one visit, all received at its end."""
    start = 1_790_000_000_000 + hour * 3_600_000
    return [
        Event(
            message_id=f"{hour:08d}-{number}-{start:x}",
            name=name,
            occurred_at=start + 2_000 * number,
            received_at=start + 10_000,
            properties={
                "product_id": f"p{hour * 7 % 40}",
                "category": f"c{hour % 6}",
                "price": 19.9 + hour,
                "progress": hour % 10 / 10,
                "on_sale": hour % 3 == 0,
            },
        )
        for number, name in enumerate(NAMES)
    ]


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {
    "evaluator-5-rules": five_rules,
    "evaluator-81-rules": more_rules,
    "segments-10000-over-10": many_segments,
    "evaluate-message": message,
    "state-bytes": state_bytes,
}
