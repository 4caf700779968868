"""What a definition would have done: the figures of one segment over a stretch of the past."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from segue.domain import batch, rules
from segue.domain.event import Event
from segue.domain.membership import Interval
from segue.domain.rules.intervals import FOREVER
from segue.domain.time import DAY

if TYPE_CHECKING:
    from segue.adapters.embedded.batch import Batch

SAMPLED = 5
"""Members that are shown with their reasons."""

OFTEN = 3
"""Entries in one day from which on a profile flaps."""


class Day(msgspec.Struct, frozen=True):
    """One day (UTC) of the stretch: who entered, who left, and who was in at its end or at the preview's instant."""

    date: str
    entered: int
    exited: int
    members: int


class Overlap(msgspec.Struct, frozen=True):
    """Another segment's members, those in both, the share of both in either (Jaccard), and who computed it."""

    segment: str
    computed: str
    members: int
    both: int
    jaccard: float


class Sampled(msgspec.Struct, frozen=True):
    """A member, since when and (if that is known) until when, and why."""

    profile: str
    since: int
    until: int | None
    reasons: Sequence[str]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a segment at `at` and over the days up to it; lengths in ms, None where there is nothing to tell.

    `computed` says who computed it. `dwell` and `dwell_90` are the median and the 90th percentile of the memberships
    that ended in the stretch. `flapping` are the profiles that entered `OFTEN` times or more in one day.
    """

    segment: str
    name: str
    computed: str
    at: int
    known: int
    members: int
    days: Sequence[Day]
    ended: int
    dwell: int | None
    dwell_90: int | None
    flapping: int
    overlaps: Sequence[Overlap]
    sample: Sequence[Sampled]


def computed_by(plan: batch.Plan) -> str:
    """Who computes a segment, in words."""
    return "SQL" if isinstance(plan, batch.InSql) else f"the engine ({plan.reason})"


def preview(
    twin: "Batch", segments: Mapping[str, Any], program: rules.Program, wanted: str, at: int, days: int
) -> Preview:
    """The preview of one segment, after `twin.run` has computed the memberships of all of them up to `at`."""
    plans = batch.twin(segments, program).plans
    start = (at // DAY + 1 - days) * DAY
    asked = {"segment": wanted, "at": at, "start": start, "forever": FOREVER, "often": OFTEN, "sampled": SAMPLED}

    def rows(query: str) -> list[Any]:
        used = {name: value for name, value in asked.items() if f"${name}" in query}
        return twin.connection.execute(query, used).fetchall()

    ((members,),) = rows(_MEMBERS)
    ((known,),) = rows("SELECT count(*) FROM people")
    ((ended, dwell, dwell_90),) = rows(_DWELL)
    ((flapping,),) = rows(_FLAPPING)
    return Preview(
        segment=wanted,
        name=segments[wanted]["name"],
        computed=computed_by(plans[wanted]),
        at=at,
        known=known,
        members=members,
        days=_days({date: (entered, exited) for date, entered, exited in rows(_DAYS)}, members, start, at),
        ended=ended,
        dwell=None if dwell is None else int(dwell),
        dwell_90=None if dwell_90 is None else int(dwell_90),
        flapping=flapping,
        overlaps=_overlaps(plans, wanted, members, {name: (other, both) for name, other, both in rows(_OVERLAPS)}),
        sample=[
            _sampled(twin, program, wanted, at, profile, (since, None if until == FOREVER else until))
            for profile, since, until in rows(_SAMPLE)
        ],
    )


_MEMBERS = "SELECT count(*) FROM memberships WHERE segment = $segment AND since <= $at AND until > $at"

_DAYS = """
SELECT day, sum(entered), sum(exited) FROM (
    SELECT since // 86400000 AS day, 1 AS entered, 0 AS exited FROM memberships
    WHERE segment = $segment AND since BETWEEN $start AND $at
    UNION ALL
    SELECT until // 86400000 AS day, 0 AS entered, 1 AS exited FROM memberships
    WHERE segment = $segment AND until BETWEEN $start AND $at
) GROUP BY day
"""

_DWELL = """
SELECT count(*), quantile_disc(until - since, 0.5), quantile_disc(until - since, 0.9) FROM memberships
WHERE segment = $segment AND until BETWEEN $start AND $at
"""

_FLAPPING = """
SELECT count(DISTINCT profile) FROM (
    SELECT profile FROM memberships WHERE segment = $segment AND since BETWEEN $start AND $at
    GROUP BY profile, since // 86400000 HAVING count(*) >= $often
)
"""

_OVERLAPS = """
WITH now AS (SELECT segment, profile FROM memberships WHERE since <= $at AND until > $at),
wanted AS (SELECT profile FROM now WHERE segment = $segment)
SELECT segment, count(*) AS members, count(*) FILTER (profile IN (SELECT profile FROM wanted)) AS shared
FROM now WHERE segment <> $segment GROUP BY segment
"""

_SAMPLE = """
SELECT profile, since, until FROM memberships WHERE segment = $segment AND since <= $at AND until > $at
ORDER BY hash(profile), profile LIMIT $sampled
"""


def _overlaps(
    plans: Mapping[str, batch.Plan], wanted: str, members: int, counted: Mapping[str, tuple[int, int]]
) -> list[Overlap]:
    """Every other segment, those with the most in both first."""
    found = []
    for segment in plans.keys() - {wanted}:
        other, both = counted.get(segment, (0, 0))
        either = members + other - both
        found.append(Overlap(segment, computed_by(plans[segment]), other, both, both / either if either else 0.0))
    return sorted(found, key=lambda overlap: (-overlap.jaccard, overlap.segment))


def _days(changes: Mapping[int, tuple[int, int]], members: int, start: int, at: int) -> list[Day]:
    """The days from `start` on, the newest one's end being `at`; members are counted back from there."""
    found: list[Day] = []
    for day in range(at // DAY, start // DAY - 1, -1):
        entered, exited = changes.get(day, (0, 0))
        found.append(Day(datetime.fromtimestamp(day * DAY / 1_000, UTC).date().isoformat(), entered, exited, members))
        members += exited - entered
    return found[::-1]


def _sampled(twin: "Batch", program: rules.Program, segment: str, at: int, profile: str, interval: Interval) -> Sampled:
    events = twin.events(profile)
    limited = program.limited_to([segment])
    state = rules.fold(limited, rules.fold(limited, rules.empty(), events), (), at=at)
    return Sampled(_shown(profile, events), *interval, rules.words(rules.explain(limited, state, segment, at, events)))


def _shown(profile: str, events: Sequence[Event]) -> str:
    """The visitor as lookups name them; the archive's key if no event says."""
    for kind in ("user_id", "anonymous_id"):
        values = [value for event in events if (value := getattr(event, kind))]
        if values:
            return f"{kind}:{values[-1]}"
    return profile
