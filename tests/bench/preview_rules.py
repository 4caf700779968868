"""`python -m tests.bench.preview_rules FOLDER`: the rules' memberships over an archive, counted like `duck.py`'s.

One RESULT line: events, CPU seconds of the process up to the last answer, how often each rule was entered, the visitors
and the digest of its first matches, and which of them SQL computed.
"""

import asyncio
import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from segue.adapters.embedded.archive import ArchiveFile
from segue.adapters.embedded.batch import Batch
from segue.domain import rules
from segue.domain.batch import InSql
from segue.domain.message import EVENTS

RULES = Path(__file__).with_name("five_rules.yaml")
END_OF_TIME = 1 << 47

RULED = ("r1", "r2", "r3", "r4")
"""The rules that SQL says. A score's sum is of doubles, and SQL adds them in another order."""

FIRST = """
SELECT segment, visitor, since FROM (
    SELECT segment, profile, min(since) AS since FROM memberships GROUP BY segment, profile
) JOIN (SELECT profile, any_value(anonymous_id) AS visitor FROM events GROUP BY profile) USING (profile)
"""


async def run(folder: Path) -> dict[str, object]:
    segments = {rule: segment for rule, segment in YAML(typ="safe").load(RULES)["segments"].items() if rule in RULED}
    program = rules.compile(segments)
    archive = ArchiveFile.open(folder)
    async with archive.scanned(EVENTS, threads=1) as connection:
        plans = Batch(connection).run(segments, program, END_OF_TIME)
        entered = dict(connection.execute("SELECT segment, count(*) FROM memberships GROUP BY ALL").fetchall())
        cpu = time.process_time()
        (events,) = connection.execute("SELECT count(*) FROM events WHERE name IS NOT NULL").fetchone() or (0,)
        first: dict[str, dict[str, int]] = {}
        for segment, visitor, since in connection.execute(FIRST).fetchall():
            first.setdefault(segment, {})[visitor] = since
    await archive.close()
    return {
        "events": events,
        "cpu_seconds": cpu,
        "entered": entered,
        "first": {rule: [len(found), _digest(found)] for rule, found in sorted(first.items())},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
        "in_sql": [rule for rule, plan in plans.items() if isinstance(plan, InSql)],
    }


def _digest(found: dict[str, int]) -> str:
    lines = "\n".join(f"{visitor} {at}" for visitor, at in sorted(found.items()))
    return hashlib.md5(lines.encode(), usedforsecurity=False).hexdigest()[:8]


if __name__ == "__main__":
    print("RESULT " + json.dumps(asyncio.run(run(Path(sys.argv[1])))))
