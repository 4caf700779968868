"""`duck_rules.py DUCK LOG RULE…`: the reference's batch SQL for these rules alone; it imports nothing of Segue's."""

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    script, log, *rules = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    duck: Any = import_module("duck")
    duck.RULES = {rule: query for rule, query in duck.RULES.items() if rule.lower() in rules}
    started = time.perf_counter()
    events, matches, seconds = duck.run(log, 1)
    import_module("common").finish("duck", events, time.perf_counter() - started, matches, {"parts_s": seconds})
