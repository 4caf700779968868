"""A recorded log through the engine alone: what every platform has to announce for it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from emulator import membership_log
from emulator.membership_log import Line
from emulator.recording import Call
from segue.domain import call as tracking
from segue.domain import rules
from segue.domain.catalog import Consent
from segue.domain.consent import consented
from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.profile import ProfileRef
from segue.domain.time import event_instant

Histories = Mapping[ProfileRef, Sequence[Event]]

EVERYTHING = Consent()
"""Nothing needs consent."""


def histories(
    calls: Iterable[Call], now: int, max_age: int, refused: Counter[str], consent: Consent = EVERYTHING
) -> Histories:
    """Each profile's events, in the order of the log; why calls were refused is counted. An anonymous visitor who turns
    out to be a user later in the log is that user from the beginning.

    A call with `receivedAt` was received then, from a client with a clock of its own; any other when it happened, as an
    import does. User ids are believed. `now`: nothing happened later. What `consent` withholds is left out.
    """
    found: defaultdict[ProfileRef, list[Event]] = defaultdict(list)
    users: dict[ProfileRef, ProfileRef] = {}
    for call in calls:
        received_at = event_instant(call.get("receivedAt"))
        reception = tracking.Reception(
            source="log",
            trusted=True,
            imported=received_at is None,
            received_at=now if received_at is None else received_at,
            max_age=max_age,
        )
        try:
            reading = tracking.read(call, reception)
        except Invalid as error:
            refused[str(error)] += 1
        else:
            kept, _ = consented([reading], consent, gpc=False)
            found[reading.profile] += (each.event for each in kept)
            users.update((each.link, each.profile) for each in kept if each.link and each.link not in users)
    return _joined(found, users)


def _joined(found: Histories, users: Mapping[ProfileRef, ProfileRef]) -> Histories:
    if not users:
        return found
    joined: defaultdict[ProfileRef, list[Event]] = defaultdict(list)
    for profile, events in found.items():
        joined[users.get(profile, profile)] += events
    return joined


class Folded(msgspec.Struct, frozen=True):
    """The membership log in its normal form, and what became of the events."""

    log: Sequence[Line]
    counts: Counter[str]


def fold(program: rules.Program, histories: Histories, until: int | None) -> Folded:
    """Fold each profile's events in the order in which they were received; then time comes to `until` (epoch ms), or to
    the newest event of all."""
    end = until or max((event.received_at for events in histories.values() for event in events), default=0)
    replay = rules.Replay(program)
    log: list[Line] = []
    counts: Counter[str] = Counter()
    for profile, events in histories.items():
        flips, counted = replay.transitions(events, end)
        log += (Line(str(profile), segment, "entered" if entered else "exited", at) for at, segment, entered in flips)
        counts.update(msgspec.structs.asdict(counted))
    return Folded(membership_log.normalised(log), counts)
