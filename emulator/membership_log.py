"""The membership log: who entered and left which segment when, in one form in which runs can be compared."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from segue.domain.membership import Transition
from segue.domain.message import MembershipChanged
from segue.domain.profile import ProfileRef

Direction = Literal["entered", "exited"]


class Line(msgspec.Struct, frozen=True):
    """One line of the log; `profile` as `user_id:42`, `at` in epoch ms."""

    profile: str
    segment: str
    transition: Direction
    at: int


def line(profile: ProfileRef, transition: Transition) -> Line:
    """An announcement as a line of the log."""
    return Line(str(profile), transition.segment, transition.transition, transition.at)


def lines(snapshots: Iterable[MembershipChanged]) -> Iterator[Line]:
    """The lines of archived snapshots, in no particular order."""
    for snapshot in snapshots:
        for transition in snapshot.transitions:
            yield line(snapshot.profile, transition)


def normalised(log: Iterable[Line]) -> list[Line]:
    """The log sorted by at, profile, segment and transition, without the pairs of one profile, segment and instant that
    cancel out: what entered and exited at the same instant never was."""
    surplus: Counter[tuple[int, str, str]] = Counter()
    for entry in log:
        surplus[entry.at, entry.profile, entry.segment] += 1 if entry.transition == "entered" else -1
    return [
        Line(profile, segment, "entered" if count > 0 else "exited", at)
        for (at, profile, segment), count in sorted(surplus.items())
        for _ in range(abs(count))
    ]


def encoded(log: Iterable[Line]) -> Iterator[bytes]:
    """Each line as JSON with its line feed."""
    for entry in log:
        yield msgspec.json.encode(entry) + b"\n"
