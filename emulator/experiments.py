"""How many visitors saw each arm of the experiments, and whether these are the numbers that were drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.errors import NotFound
from segue.domain.experiment import EXPERIMENT_VIEWED, Experiment, shares
from segue.domain.message import EVENTS, MEMBERSHIPS
from segue.domain.sample_ratio import SUSPICIOUS, p_value

Exposures = Mapping[str, Mapping[str, int]]
"""The number of visitors by experiment and by the arm that they saw first, as the events say it."""


class ArmSeen(msgspec.Struct, frozen=True):
    """An arm, the visitors who saw it first, and how many of all who saw one would be its share."""

    id: str
    exposures: int
    expected: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as its visitors saw it.

    `p` is how likely chance alone gives such numbers, None while they are too few; `is_suspicious` if that is hardly
    likely. `unknown` are the visitors by what they are said to have seen that is no arm.
    """

    id: str
    name: str
    status: str
    exposures: int
    arms: Sequence[ArmSeen]
    p: float | None
    is_suspicious: bool
    unknown: Mapping[str, int]


_EXPOSURES = """
WITH viewed AS (
    SELECT coalesce(redirects.linked_to, events.profile) AS visitor, received_at, message_id,
        properties->>'$.experiment_id' AS experiment, properties->>'$.variation_id' AS arm
    FROM events LEFT JOIN redirects USING (profile)
    WHERE name = $name
), first AS (
    SELECT experiment, coalesce(arm, '') AS arm FROM viewed WHERE experiment IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY experiment, visitor ORDER BY received_at, message_id) = 1
)
SELECT experiment, arm, count(*) FROM first GROUP BY ALL ORDER BY ALL
"""
"""Of each visitor the first one counts, whatever they saw later. What an anonymous visitor saw is the user's who they
turned out to be, also what is not proven: a later one does not count."""


async def exposures(folder: Path) -> Exposures:
    """What the archive of a data folder has of them. Bots are not counted, whatever becomes of their events."""
    from segue.adapters.embedded.linked import join_linked  # takes its time: only this command needs it

    archive = ArchiveFile.open(folder)
    try:
        async with archive.scanned(EVENTS, MEMBERSHIPS) as connection:
            join_linked(connection)
            rows = connection.execute(_EXPOSURES, {"name": EXPERIMENT_VIEWED}).fetchall()
    finally:
        await archive.close()
    found: dict[str, dict[str, int]] = {}
    for experiment, arm, count in rows:
        found.setdefault(experiment, {})[arm] = count
    return found


def reports(experiments: Mapping[str, Experiment], found: Exposures, wanted: str | None = None) -> Sequence[Report]:
    """A report for each of these experiments, or for the one that is wanted. Raises NotFound if there is none."""
    if wanted is not None and wanted not in experiments:
        there = ", ".join(sorted(experiments)) or "none"
        raise NotFound(f"expected an experiment of the catalogue ({there}), found {wanted!r}")
    ids = experiments if wanted is None else [wanted]
    return [_report(id_, experiments[id_], found.get(id_, {})) for id_ in ids]


def _report(id_: str, experiment: Experiment, seen: Mapping[str, int]) -> Report:
    ids = [arm.id for arm in experiment.arms]
    observed = [seen.get(arm, 0) for arm in ids]
    p = p_value(observed, shares(experiment))
    return Report(
        id=id_,
        name=experiment.name,
        status=experiment.status,
        exposures=sum(observed),
        arms=[
            ArmSeen(arm, count, share * sum(observed))
            for arm, count, share in zip(ids, observed, shares(experiment), strict=True)
        ],
        p=p,
        is_suspicious=p is not None and p < SUSPICIOUS,
        unknown={arm: count for arm, count in seen.items() if arm not in ids},
    )
