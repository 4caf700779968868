"""`python -m tests.bench.fold_rules LOG RULES [states]`: a log under a set of rules, counted like the reference peers.

One RESULT line: events, CPU seconds of the process up to the last answer (decoding and compiling included), the
transitions of each rule, the digest of its first matches and of all transitions. With `states` the engine folds event
by event instead, as it does live, and the line has the bytes of the profiles' states too.
"""

import gc
import hashlib
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from segue.domain import rules
from segue.domain.event import Event
from segue.domain.rules.generated import Flip
from tests.bench.measurement import percentile
from tests.bench.rule_sets import RULE_SETS

END_OF_TIME = 1 << 47


def run_at_once(program: rules.Program, log: Path) -> tuple[int, dict[str, Sequence[Flip]]]:
    """The number of events, and what each visitor enters and leaves for ever after; visitor by visitor."""
    histories: dict[str, list[Event]] = {}
    decode = msgspec.json.Decoder().decode
    events = 0
    with log.open("rb", 1 << 20) as lines:
        for line in lines:
            row = decode(line)
            history = histories.get(row["visitor_id"])
            if history is None:
                history = histories[row["visitor_id"]] = []
            history.append(_event(row))
            events += 1
    replay = rules.Replay(program)
    flips: dict[str, Sequence[Flip]] = {}
    while histories:  # what was folded is let go while it is still at hand
        visitor, history = histories.popitem()
        flips[visitor] = replay.transitions(history, END_OF_TIME)[0]
    return events, flips


def run_live(program: rules.Program, log: Path) -> tuple[int, dict[str, rules.State], dict[str, Sequence[Flip]]]:
    """The same event by event, in the order of the log, with the visitors' states before the end of time."""
    states: dict[str, rules.State] = {}
    nothing = rules.empty()
    events = 0
    decode = msgspec.json.Decoder().decode
    with log.open("rb", 1 << 20) as lines:
        for line in lines:
            row = decode(line)
            visitor = row["visitor_id"]
            states[visitor] = rules.fold(program, states.get(visitor, nothing), (_event(row),))
            events += 1
    announced: dict[str, Sequence[Flip]] = {
        visitor: [
            (each.at, each.segment, each.transition == "entered")
            for each in rules.fold(program, state, (), at=END_OF_TIME).pending
        ]
        for visitor, state in states.items()
    }
    return events, states, announced


def _event(row: dict[str, object]) -> Event:
    """A line as an event that was received when it happened; what it tells is its properties."""
    happened = row["ts"]
    return Event(  # the log is trusted to have texts and numbers where it should
        message_id=row["event_id"],  # type: ignore[arg-type]
        name=row["type"],  # type: ignore[arg-type]
        occurred_at=happened,  # type: ignore[arg-type]
        received_at=happened,  # type: ignore[arg-type]
        properties=row,
    )


def first_matches(flips: Mapping[str, Iterable[Flip]]) -> dict[str, list[object]]:
    """Of each rule the visitors matched, and the digest of `visitor instant` of their first entries."""
    first: dict[str, dict[str, int]] = {}
    for visitor, found in flips.items():
        for at, segment, entered in found:
            if entered:
                first.setdefault(segment, {}).setdefault(visitor, at)
    return {
        rule: [len(found), _digest("\n".join(f"{visitor} {at}" for visitor, at in sorted(found.items())))]
        for rule, found in sorted(first.items())
    }


def all_transitions(flips: Mapping[str, Iterable[Flip]]) -> dict[str, object]:
    """How many there are, and the digest of `instant visitor rule entered|exited`, as the reference prints it."""
    lines = sorted((at, visitor, rule.upper(), on) for visitor, found in flips.items() for at, rule, on in found)
    text = "".join(f"{at} {visitor} {rule} {'entered' if on else 'exited'}\n" for at, visitor, rule, on in lines)
    return {"transitions": len(lines), "digest": _digest(text)}


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]


def state_bytes(states: Sequence[rules.State]) -> dict[str, int]:
    """The bytes of the states as stored, what was announced left out: median, 99th percentile, largest."""
    sizes = [len(rules.encode(rules.drained(state))) for state in states]
    return {"median": int(percentile(sizes, 0.5)), "p99": int(percentile(sizes, 0.99)), "max": max(sizes)}


def main(log: Path, rule_set: str, live: bool) -> dict[str, object]:
    definitions = RULE_SETS[rule_set]()
    program = rules.compile(definitions["segments"], scores=definitions["scores"])
    states: dict[str, rules.State] = {}
    if live:
        events, states, flips = run_live(program, log)
    else:
        events, flips = run_at_once(program, log)
    result: dict[str, object] = {"events": events, "cpu_seconds": time.process_time()}
    result["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    entered = Counter(segment for found in flips.values() for _, segment, on in found if on)
    result |= {"first": first_matches(flips), "entered": dict(sorted(entered.items())), **all_transitions(flips)}
    return result | {"state_bytes": state_bytes(list(states.values()))} if live else result


if __name__ == "__main__":
    gc.disable()
    print("RESULT " + msgspec.json.encode(main(Path(sys.argv[1]), sys.argv[2], "states" in sys.argv[3:])).decode())
