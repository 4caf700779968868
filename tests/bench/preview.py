"""Preview's benchmark: the rules over the archive, beside hand-written SQL over the log."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.evaluator import RUNS, rate_of, result_of
from tests.bench.measurement import Measurement, in_turn
from tests.bench.preview_archive import archive_of
from tests.bench.preview_rules import RULED
from tests.bench.shop_log import log, reference

EXPECTED: Mapping[str, Mapping[str, object]] = {
    "first": {
        "r1": [19_822, "728db6e0"],
        "r2": [9_770, "bcc63bc4"],
        "r3": [19_220, "86d362a8"],
        "r4": [4_085, "62cdb646"],
    },
    "entered": {"r1": 30_599, "r2": 14_261, "r3": 35_191, "r4": 4_118},
}
"""On the log of seed 7, as ../shared/bench/README.md has it."""


def five_rules() -> Sequence[Measurement]:
    """Events per CPU second of every membership over the archive, beside `duck.py`'s first matches over the log."""
    ours = ("-m", "tests.bench.preview_rules", str(archive_of(log())))
    theirs = (str(Path(__file__).with_name("duck_rules.py")), str(reference("duck.py")), str(log()), *RULED)
    events, beside = in_turn(RUNS, rate_of(ours), rate_of(theirs))
    result = result_of(ours, 0)
    found = {name: result[name] for name in EXPECTED}
    if result["events"] == 1_000_000 and found != EXPECTED:
        raise AssertionError(f"expected {EXPECTED}, found {found}")
    return (
        Measurement(
            bench="preview-5-rules",
            value=events,
            unit="events/CPU s",
            reference=beside,
            ratio=events / beside,
            goal=">= 0.7",
            note=f"{', '.join(RULED)}: every entry and exit with the laws in force; imports and reading the archive"
            f" included; peak {result['peak_mb']} MB; duck.py looks for first matches in the log's text",
        ),
    )


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {"preview-5-rules": five_rules}
