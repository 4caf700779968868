"""`python -m tests.bench.fold_rules LOG`: the five rules' log through the engine, counted like the reference peers.

One RESULT line: events, CPU seconds of the process up to the last answer (decoding included), the transitions of each
rule, the digest of its first matches, and the bytes of the profiles' states.
"""

import gc
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from ruamel.yaml import YAML

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.membership import Transition
from tests.bench.measurement import percentile

RULES = Path(__file__).with_name("five_rules.yaml")
END_OF_TIME = 1 << 50


class Row(msgspec.Struct):
    """A line of the log."""

    event_id: str
    ts: int
    visitor_id: str
    type: str
    category: str | None = None
    product_id: str | None = None
    pct: int | None = None


def event(row: Row) -> Event:
    """The line as an event that was received when it happened."""
    properties = {"category": row.category, "product_id": row.product_id, "pct": row.pct}
    return Event(message_id=row.event_id, name=row.type, occurred_at=row.ts, received_at=row.ts, properties=properties)


def run(log: Path) -> tuple[int, dict[str, rules.State], dict[str, list[Transition]]]:
    """The number of events, each visitor's state at the end of the log, and all that is ever announced for each."""
    program = rules.compile(YAML(typ="safe").load(RULES)["segments"])
    decode = msgspec.json.Decoder(Row).decode
    states: dict[str, rules.State] = {}
    nothing = rules.empty()
    events = 0
    with log.open("rb", 1 << 20) as lines:
        for line in lines:
            row = decode(line)
            states[row.visitor_id] = rules.fold(program, states.get(row.visitor_id, nothing), (event(row),))
            events += 1
    announced = {
        visitor: list(rules.fold(program, state, (), at=END_OF_TIME).pending) for visitor, state in states.items()
    }
    return events, states, announced


def first_matches(announced: dict[str, list[Transition]]) -> dict[str, list[object]]:
    """Of each rule the visitors matched, and the digest of `visitor instant` of their first entries."""
    first: dict[str, dict[str, int]] = {}
    for visitor, transitions in announced.items():
        for transition in transitions:
            if transition.transition == "entered":
                first.setdefault(transition.segment, {}).setdefault(visitor, transition.at)
    return {rule: [len(found), _digest(found)] for rule, found in sorted(first.items())}


def _digest(found: dict[str, int]) -> str:
    lines = "\n".join(f"{visitor} {at}" for visitor, at in sorted(found.items()))
    return hashlib.md5(lines.encode(), usedforsecurity=False).hexdigest()[:8]


def state_bytes(states: Sequence[rules.State]) -> dict[str, int]:
    """The bytes of the states as stored, what was announced left out: median, 99th percentile, largest."""
    sizes = [len(rules.encode(rules.drained(state))) for state in states]
    return {"median": int(percentile(sizes, 0.5)), "p99": int(percentile(sizes, 0.99)), "max": max(sizes)}


if __name__ == "__main__":
    gc.disable()
    events, states, announced = run(Path(sys.argv[1]))
    cpu = time.process_time()
    entered = Counter(one.segment for found in announced.values() for one in found if one.transition == "entered")
    result = {
        "events": events,
        "cpu_seconds": cpu,
        "first": first_matches(announced),
        "entered": dict(sorted(entered.items())),
        "state_bytes": state_bytes(list(states.values())),
    }
    print("RESULT " + msgspec.json.encode(result).decode())
