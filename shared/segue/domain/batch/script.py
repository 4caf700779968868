"""Relations over time: queries that give, per profile, the half-open intervals on which something holds.

A script is a list of named queries, each reading those before it. Two shapes are passed around by name:

- *changes* `(profile[, key], instant, c0, c1, …)`: at this instant these totals change by so much
- *pieces* `(profile[, key], since, until)`: not empty, not overlapping, but they may touch; *spans* do not touch either
"""

import hashlib
import re
from collections.abc import Sequence

from segue.domain.rules.evidence import Window
from segue.domain.rules.intervals import FOREVER

_STEP = re.compile(r"\bs[0-9a-f]{10}\b")

HISTORY, KNOWN = "measured", "known"
"""The relations every script begins with: the events that some condition measures, and since when a profile exists."""


class Script:
    """Named queries; equal ones share a name."""

    def __init__(self) -> None:
        self.steps: dict[str, str] = {}

    def add(self, query: str) -> str:
        """The name of a query."""
        name = "s" + hashlib.blake2b(query.encode(), digest_size=5).hexdigest()
        self.steps[name] = query
        return name

    def query(self, name: str) -> str:
        """One query of a step, with the steps it needs before it; `measured` and `known` are left to the reader."""
        needed: dict[str, None] = {}

        def gather(step: str) -> None:
            for before in dict.fromkeys(_STEP.findall(self.steps[step])):
                if before in self.steps and before not in needed:
                    gather(before)
            needed[step] = None

        gather(name)
        steps = ", ".join(f"{step} AS ({self.steps[step]})" for step in needed)
        return f"WITH {steps} SELECT profile, since, until FROM {name}"

    # Events to changes

    def entering(self, events: str, window: Window, totals: Sequence[str] = ("1",), keys: str = "profile") -> str:
        """The changes that events `(profile[, key], occurred_at, received_at, …)` make while they are in a window.

        An event is in it from `near` after it occurred, but not before it is received, until `far` after it occurred.
        """
        begins = f"greatest(occurred_at + {window.near}, received_at)" if window.near else "received_at"
        counted = ", ".join(f"{total} AS c{number}" for number, total in enumerate(totals))
        taken = ", ".join(f"-({total}) AS c{number}" for number, total in enumerate(totals))
        conditions = [f"{begins} < occurred_at + {window.far}"] if window.far is not None else []
        if window.since is not None:
            conditions.append(f"occurred_at >= {window.since}")
        kept = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        changes = f"SELECT {keys}, {begins} AS instant, {counted} FROM {events}{kept}"
        if window.far is not None:
            changes += f" UNION ALL SELECT {keys}, occurred_at + {window.far} AS instant, {taken} FROM {events}{kept}"
        return self.add(changes)

    def present(self, events: str, window: Window, keys: str) -> str:
        """The pieces on which some event of a key is in the window: what an event adds to those before it."""
        begins = f"greatest(occurred_at + {window.near}, received_at)" if window.near else "received_at"
        ends = str(FOREVER) if window.far is None else f"occurred_at + {window.far}"
        kept = "" if window.since is None else f" WHERE occurred_at >= {window.since}"
        return self.covering(f"(SELECT {keys}, {begins} AS since, {ends} AS until FROM {events}{kept}) AS opened", keys)

    def covering(self, overlapping: str, keys: str) -> str:
        """The pieces that intervals cover, which may overlap."""
        return self.add(
            f"SELECT {keys}, greatest(since, coalesce(covered, since)) AS since, until FROM ("
            f"SELECT {keys}, since, until, max(until) OVER (PARTITION BY {keys} ORDER BY since, until "
            f"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered FROM {overlapping}"
            f") AS pieces WHERE since < until AND (covered IS NULL OR covered < until)"
        )

    # Changes to spans

    def holding(self, changes: Sequence[str], totals: int, holds: str, keys: str = "profile") -> str:
        """The pieces on which `holds` is true of the running totals `t0`, `t1`, …: from one change to the next.

        Before the first change it is not. Several changes of one instant have the same totals, and all but the last of
        their rows last for no time.
        """
        columns = [f"c{number}" for number in range(totals)]
        rows = " UNION ALL ".join(f"SELECT {keys}, instant, {', '.join(columns)} FROM {name}" for name in changes)
        running = ", ".join(
            f"sum({column}) OVER (PARTITION BY {keys} ORDER BY instant) AS t{number}"
            for number, column in enumerate(columns)
        )
        return self.add(
            f"SELECT {keys}, instant AS since, until FROM (SELECT {keys}, instant, {running}, "
            f"lead(instant, 1, {FOREVER}) OVER (PARTITION BY {keys} ORDER BY instant) AS until "
            f"FROM ({rows}) AS changed) AS totals WHERE instant < until AND ({holds})"
        )

    def joined(self, pieces: str) -> str:
        """The spans that pieces make together; the pieces of a profile may touch, and do not overlap."""
        in_order = "OVER (PARTITION BY profile ORDER BY since)"
        return self.add(
            f"SELECT profile, since, CASE WHEN ends THEN until ELSE final END AS until FROM ("
            f"SELECT profile, since, until, starts, ends, lead(until) {in_order} AS final FROM ("
            f"SELECT profile, since, until, coalesce(lag(until) {in_order} <> since, true) AS starts, "
            f"coalesce(lead(since) {in_order} <> until, true) AS ends FROM {pieces}"
            f") AS neighbours WHERE starts OR ends) AS outermost WHERE starts"
        )

    def edges(self, pieces: str, keys: str = "profile") -> str:
        """The changes at the ends of pieces."""
        return self.add(
            f"SELECT {keys}, since AS instant, 1 AS c0, 0 AS c1 FROM {pieces} "
            f"UNION ALL SELECT {keys}, until AS instant, -1 AS c0, 0 AS c1 FROM {pieces} WHERE until < {FOREVER}"
        )

    def existing(self, totals: int) -> str:
        """Changes that begin, for every profile, with nothing at the instant from which it exists."""
        nothing = ", ".join(f"0 AS c{number}" for number in range(totals))
        return self.add(f"SELECT profile, since AS instant, {nothing} FROM {KNOWN}")
