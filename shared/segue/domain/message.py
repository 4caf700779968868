"""What the topics carry: the data of each CloudEvent type, as plain values with strict decoding.

| topic | type | data | published by | read by |
| --- | --- | --- | --- | --- |
| events | segue.events.received | EventsReceived | ingest | evaluate, archive |
| events | segue.events.of-bots | EventsOfBots | ingest | archive |
| events | segue.events.refused | EventsRefused | ingest | evaluate, archive |
| events | segue.events.withheld | EventsWithheld | ingest | evaluate, archive |
| events | segue.link.requested | LinkRequested | ingest | evaluate, archive |
| events | segue.link.withdrawn | LinkWithdrawn | ingest | evaluate, archive |
| events | segue.profile.due | ProfileDue | tick | evaluate |
| sweeps | segue.profiles.behind | ProfilesBehind | tick | evaluate |
| erasures | segue.profile.erased | ProfileErased | lookup | privacy |
| erasures | segue.erasures.due | ErasuresDue | the scheduler | privacy |
| ticks | segue.tick | Tick | the scheduler | tick |
| memberships | segue.membership.changed | MembershipChanged | evaluate | update, deliver, archive |
| exports | segue.audiences.due | AudiencesDue | the scheduler | deliver |
| retry-{destination} | segue.delivery.due | DeliveryDue | deliver | deliver |
| retry-{destination} | segue.audience.due | AudienceDue | deliver | deliver |

What tells of one profile alone begins with its `key`, and nothing else does: archives are sorted by that.
"""

from typing import Literal, TypeAlias, TypeVar

import msgspec

from segue.domain.audience import Progress
from segue.domain.event import Event, Json
from segue.domain.membership import Interval, Transition
from segue.domain.profile import Key, ProfileRef

EVENTS, TICKS, MEMBERSHIPS, SWEEPS, ERASURES = "events", "ticks", "memberships", "sweeps", "erasures"

EVENTS_RECEIVED = "segue.events.received"
EVENTS_OF_BOTS = "segue.events.of-bots"
EVENTS_REFUSED = "segue.events.refused"
EVENTS_WITHHELD = "segue.events.withheld"
LINK_REQUESTED = "segue.link.requested"
LINK_WITHDRAWN = "segue.link.withdrawn"
PROFILE_DUE = "segue.profile.due"
PROFILES_BEHIND = "segue.profiles.behind"
PROFILE_ERASED = "segue.profile.erased"
ERASURES_DUE = "segue.erasures.due"
TICK = "segue.tick"
MEMBERSHIP_CHANGED = "segue.membership.changed"
DELIVERY_DUE = "segue.delivery.due"
AUDIENCES_DUE = "segue.audiences.due"
AUDIENCE_DUE = "segue.audience.due"

ClockName: TypeAlias = Literal["wall", "import"]


class EventsReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one request and one profile.

    `imported`: they came by /v1/import, on the log's own clock. `proven`: who the visitor is can be relied on, so that
    what an anonymous one does still counts for the user that they turned out to be.
    """

    key: Key
    profile: ProfileRef
    source: str
    events: tuple[Event, ...]
    imported: bool = False
    proven: bool = True


class EventsOfBots(EventsReceived, frozen=True, kw_only=True):
    """The events of one request and one bot, of a source that leaves bots out: they are archived, and never folded."""


class RefusedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an otherwise good batch that can never be accepted: what was sent (if it can be shown), and why.

    `keys` are those of the profiles that its ids name, as far as they can be read.
    """

    index: int
    reason: str
    event: Json
    keys: tuple[Key, ...] = ()


class EventsRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The refused events of one request."""

    source: str
    received_at: int
    refused: tuple[RefusedEvent, ...]


class EventsWithheld(msgspec.Struct, frozen=True, kw_only=True):
    """How many accepted events were not kept, or no longer are, and why: not what they said, nor whose they were."""

    source: str
    received_at: int
    count: int
    reason: Literal["consent", "erased"]


class LinkRequested(msgspec.Struct, frozen=True, kw_only=True):
    """A call said that the anonymous visitor `anonymous` is the user `profile`; it was received at `at` (epoch ms)."""

    anonymous_key: Key
    anonymous: ProfileRef
    key: Key
    profile: ProfileRef
    source: str
    message_id: str
    at: int
    imported: bool = False


class LinkWithdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """The site's owner says at `at` (epoch ms) that the anonymous visitor `anonymous` is not the user `profile`."""

    anonymous_key: Key
    anonymous: ProfileRef
    key: Key
    profile: ProfileRef
    at: int


class ProfileDue(msgspec.Struct, frozen=True, kw_only=True):
    """A profile with something to announce at or before `at` (epoch ms, the tick's time less the grace)."""

    key: Key
    at: int


class ProfilesBehind(msgspec.Struct, frozen=True, kw_only=True):
    """Profiles whose state is to be brought up to version `catalog`, and on the wall's clock to `at` (epoch ms)."""

    keys: tuple[Key, ...]
    catalog: int
    at: int


class ProfileErased(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor is to be forgotten, with all profiles that are linked to this one, as of `at` (epoch ms)."""

    key: Key
    at: int


class ErasuresDue(msgspec.Struct, frozen=True, kw_only=True):
    """What was archived late of whoever was erased lately, as of the message's own time, is to be erased, too."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """Time has come to `at` on the wall's clock, or on the clock of a log under import.

    `at` is in epoch ms; None is the message's own time, for a schedule cannot say it.
    """

    at: int | None = None
    clock: ClockName = "wall"


class MembershipChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A profile's memberships after one message: a whole snapshot, and the transitions that led to it.

    `seq` orders the snapshots of a profile and is above that of every transition in it. `catalog` is the catalogue
    version that computed it, `at` the evaluation's instant; the snapshot is exact from `at` up to `known_until`.
    `into` is the profile that an anonymous one is part of, with all that was received up to `into_since`: the newest
    snapshot of each tells who is linked. `bucketing_id` is what the visitor is bucketed by in experiments, if not
    by the own id. `decides_anew`: a condition of a slot holds otherwise than before, which no transition tells.
    `trace` is that of the message that led to it; it lies in an outbox alone, and is not told.
    """

    key: Key
    profile: ProfileRef
    seq: int
    catalog: int
    at: int
    known_until: int | None
    memberships: dict[str, tuple[Interval, ...]]
    transitions: tuple[Transition, ...]
    approximate: tuple[str, ...] = ()
    into: Key | None = None
    into_since: int | None = None
    bucketing_id: str | None = None
    decides_anew: bool = False
    trace: str | msgspec.UnsetType = msgspec.UNSET


class DeliveryDue(msgspec.Struct, frozen=True, kw_only=True):
    """One transition for one destination, to be tried again no earlier than `not_before` (epoch ms)."""

    destination: str
    key: Key
    profile: ProfileRef
    transition: Transition
    attempt: int
    not_before: int


class AudiencesDue(msgspec.Struct, frozen=True, kw_only=True):
    """The members of every segment are to be exported to every storage destination, as of the message's own time."""


class AudienceDue(msgspec.Struct, frozen=True, kw_only=True):
    """The members that a segment has at `at` (epoch ms) are to be exported to a destination: the next part of it, to be
    tried again no earlier than `not_before`. `full`: all of them, whatever was exported before."""

    destination: str
    segment: str
    at: int
    full: bool = False
    attempt: int = 0
    not_before: int = 0
    progress: Progress | None = None


class FailedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What can never succeed as it is, kept in `failed_events` with its reason until somebody replays it.

    `stage` is the function that gave up. `data` is the message's body as it came (text, escaped where it is no UTF-8).
    """

    stage: str
    reason: str
    failed_at: int
    topic: str
    id: str
    type: str
    data: str


Data = TypeVar("Data")


def archived(data: bytes, type_: str, kind: str, into: type[Data]) -> Data | None:
    """The data of an archived message of type `type_`, if that is `kind`. None for what is no such value: the archive
    keeps whatever was accepted."""
    if type_ != kind:
        return None
    try:
        return msgspec.json.decode(data, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
