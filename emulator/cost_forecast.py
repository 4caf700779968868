"""What a definition would cost: the past folded with it and without it, by the very decision that evaluate takes.

A sample of profiles is folded message by message, with the ticks that fall in between, and what each fold would have
read, written and announced is counted. The difference of the two is the definition's.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from emulator.cost import Usage, Used, archives_of, receivers_of
from functions.evaluate.evaluate import announcement
from functions.evaluate.fold import folded
from functions.evaluate.work import Work
from segue.catalogs import Compiled
from segue.domain import document
from segue.domain.errors import Invalid, NotFound
from segue.domain.event import Event
from segue.domain.message import EVENTS, MEMBERSHIPS, PROFILE_DUE, MembershipChanged, ProfileDue
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, MINUTE
from segue.observed import LEAST_BILLED_BYTES, size
from segue.ports import Message

MONTH = 30 * DAY

TICK = MINUTE
"""How often a tick comes."""

ROUNDS = 3
"""Each profile is folded so often with and without, in turn, and the least CPU time counts: others use the CPU too."""

PUSH_CPU_S: Mapping[str, float] = {"evaluate": 0.003, "update": 0.002, "deliver": 0.0008}
"""CPU of a pushed message around what is decided of it, as measured in the replay of the README."""

UNBOUNDED = 1 << 40
"""As the largest document: no message is folded in halves."""


class Delivery(msgspec.Struct, frozen=True):
    """Events of one profile that came in one message."""

    id: str
    events: tuple[Event, ...]

    @property
    def at(self) -> int:
        """When they were received, in epoch ms."""
        return max(event.received_at for event in self.events)


Histories = Mapping[ProfileRef, Sequence[Delivery]]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What the past of some profiles came to: folds of messages and of ticks, documents written, what was announced
    (how many messages, their bytes, and those as Pub/Sub bills them), CPU seconds, and the bytes of the states in the
    end. `flips` are transitions by segment, `posts` those of them that went to webhooks."""

    folds: int = 0
    ticks: int = 0
    written: int = 0
    announced: int = 0
    announced_bytes: int = 0
    announced_billed: int = 0
    posts: int = 0
    cpu: float = 0.0
    state_bytes: int = 0
    flips: Counter[str] = Counter()

    def __add__(self, other: Self) -> "Course":
        return Course(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def __sub__(self, other: Self) -> "Course":
        return Course(**{name: getattr(self, name) - getattr(other, name) for name in self.__struct_fields__})


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of the past, from `start` to `end` (epoch ms): what was received before is folded, too, and not counted.

    `known_profiles` and `monthly_events` are of all of it.
    """

    histories: Histories
    start: int
    end: int
    known_profiles: int
    monthly_events: float

    @property
    def events(self) -> int:
        """How many events of the sample are counted."""
        return _events_since(self.start, self.histories)


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment adds to the others of a catalogue, in a sample of the past."""

    segment: str
    past: Past
    course: Course

    @property
    def used(self) -> Used:
        """What each function uses more."""
        return Used(self.past.events, _usage(self.course))


def past(histories: Histories, end: int, days: int, most_events: int) -> Past:
    """The newest days of some histories, and of them so many events. Raises NotFound if there are none."""
    begun = min((each.at for deliveries in histories.values() for each in deliveries), default=end)
    start = max(begun, end - days * DAY)
    events = _events_since(start, histories)
    if events == 0:
        raise NotFound(f"expected events in the last {days} days, found none")
    return Past(
        histories=_sampled(histories, most_events),
        start=start,
        end=end,
        known_profiles=len(histories),
        monthly_events=events * MONTH / max(end - start, 1),
    )


def added(compiled: Compiled, segments: Sequence[str], past: Past) -> Sequence[Added]:
    """What each of some segments of a catalogue adds to all others. Raises Invalid if another one refers to it: neither
    costs anything without the other."""
    without = [_without(compiled, segment) for segment in segments]
    everything, *rest = _courses([compiled, *without], past)
    return [
        Added(segment=segment, past=past, course=everything - course)
        for segment, course in zip(segments, rest, strict=True)
    ]


def _without(compiled: Compiled, segment: str) -> Compiled:
    program = compiled.program.limited_to([each for each in compiled.program.segments if each != segment])
    if segment in program.segments:
        raise Invalid(f"expected a segment that no other one refers to, found {segment}")
    return msgspec.structs.replace(compiled, program=program)


def _events_since(start: int, histories: Histories) -> int:
    return sum(len(each.events) for deliveries in histories.values() for each in deliveries if each.at >= start)


def _sampled(histories: Histories, events: int) -> Histories:
    """Whole profiles in an order that has nothing to do with them, until they have so many events."""
    chosen: dict[ProfileRef, Sequence[Delivery]] = {}
    left = events
    for profile in sorted(histories, key=lambda each: hashlib.sha256(str(each).encode()).digest()):
        if left <= 0:
            break
        chosen[profile] = histories[profile]
        left -= sum(len(delivery.events) for delivery in histories[profile])
    return chosen


def _courses(alternatives: Sequence[Compiled], past: Past) -> Sequence[Course]:
    """What the past comes to with each of these catalogues."""
    found = [Course() for _ in alternatives]
    for profile, deliveries in past.histories.items():
        rounds = [
            [_course(each, profile, deliveries, past.start, past.end) for each in alternatives] for _ in range(ROUNDS)
        ]
        for index, tried in enumerate(zip(*rounds, strict=True)):
            found[index] += min(tried, key=lambda course: course.cpu)
    return found


def _usage(more: Course) -> Mapping[str, Usage]:
    """What each function uses for it."""
    told = more.ticks * size(_due("0" * 32, 0))
    return {
        "tick": Usage(reads=more.ticks, messages=more.ticks, published=told, archived=told * archives_of(EVENTS)),
        "evaluate": Usage(
            requests=more.ticks,
            reads=more.ticks,
            writes=more.written,
            cpu=more.cpu + more.ticks * PUSH_CPU_S["evaluate"],
            messages=more.announced,
            published=more.announced_billed,
            archived=more.announced_bytes * archives_of(MEMBERSHIPS),
            pushed=more.ticks * LEAST_BILLED_BYTES,
        ),
        **{function: _told(function, more) for function in receivers_of(MEMBERSHIPS)},
    }


def _told(function: str, more: Course) -> Usage:
    """What a function uses for hearing of memberships."""
    documents = more.announced if function == "update" else 0
    return Usage(
        requests=more.announced,
        pushed=more.announced_billed,
        cpu=more.announced * PUSH_CPU_S.get(function, 0.0),
        reads=documents,
        writes=documents,
    )


def _course(compiled: Compiled, profile: ProfileRef, deliveries: Sequence[Delivery], start: int, end: int) -> Course:
    folding = _Folding(compiled, hashlib.sha256(str(profile).encode()).hexdigest()[:32], start)
    for delivery in sorted(deliveries, key=lambda each: each.at):
        folding.tick_until(delivery.at)
        work = Work(key=folding.key, delivery=delivery.id, profile=profile, events=delivery.events)
        folding.fold(work, delivery.at)
    folding.tick_until(end)
    return folding.course


class _Folding:
    """One profile's document, message by message, and what was done to it from `start` on (epoch ms)."""

    def __init__(self, compiled: Compiled, key: str, start: int) -> None:
        self.key = key
        self._compiled = compiled
        self._start = start
        self._stored = b""
        self._due: int | None = None
        self._courses: list[Course] = []

    @property
    def course(self) -> Course:
        return sum(self._courses, Course(state_bytes=len(self._stored)))

    def fold(self, work: Work, at: int) -> None:
        """What evaluate does with it at an instant."""
        began = time.thread_time_ns()
        before = document.decode_state(self._stored) if self._stored else None
        after = folded(work, before, self._compiled, UNBOUNDED)
        cpu = (time.thread_time_ns() - began) / 1e9
        if after:
            self._stored, self._due = after.data, after.due
        elif work.at is not None:
            self._due = None  # the tick has nothing to tell after all
        if at >= self._start:
            outbox = after.document.outbox if after else ()
            self._courses.append(_counted(self._compiled, work, outbox, cpu, written=after is not None))

    def tick_until(self, until: int) -> None:
        """The ticks up to an instant that tell that the profile is due."""
        grace = self._compiled.catalog.settings.grace
        while self._due is not None and (at := -(-(self._due + grace) // TICK) * TICK) <= until:
            self.fold(Work(key=self.key, delivery=f"{self.key}:due:{at}", at=at - grace), at)


def _counted(
    compiled: Compiled, work: Work, outbox: Sequence[MembershipChanged], cpu: float, *, written: bool
) -> Course:
    sizes = [size(announcement(entry)) for entry in outbox]
    flips = Counter(flip.segment for entry in outbox for flip in entry.transitions)
    wanted = [each.segments for each in compiled.catalog.destinations.values() if each.webhook]
    return Course(
        folds=1,
        ticks=int(work.at is not None),
        written=int(written),
        announced=len(sizes),
        announced_bytes=sum(sizes),
        announced_billed=sum(max(LEAST_BILLED_BYTES, each) for each in sizes),
        posts=sum(
            count for segments in wanted for flip, count in flips.items() if segments is None or flip in segments
        ),
        cpu=cpu,
        flips=flips,
    )


def _due(key: str, at: int) -> Message:
    data = msgspec.json.encode(ProfileDue(key=key, at=at))
    return Message(id=f"{key}:due:{at:013}", type=PROFILE_DUE, source="//segue/tick", time=at, data=data)
