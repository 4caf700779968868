"""Evidence: what a profile's state keeps of its events for one measurement, and for how long.

An entry is `(occurred_at, visible_at, group, payload)`. An event counts at an instant s from `visible_at` on:
`max(occurred_at, received_at - lateness)`, because the past freezes (RULES.md section 1, *Memory*); seen from the
present every entry is visible. `group` is the value of `per` or `same` as a key, None without one. `payload` is what
the measurement reads of the event: nothing, a number, a value's key, or `(received_at, message_id, value)`.
"""

import hashlib
import json
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from operator import itemgetter
from typing import Any, Final, Literal, TypeAlias

from segue.domain.event import Event, Json
from segue.domain.rules import local_time
from segue.domain.rules.intervals import FOREVER, Spans, clipped, union
from segue.domain.rules.operators import MISSING, is_number, text, value_at

Entry: TypeAlias = tuple[int, int, str | None, Any]

Collect: TypeAlias = Callable[[Event, int], Sequence[Entry]]
"""What an event of the right name adds, given the instant from which on it is visible."""

Seen: TypeAlias = Callable[[Entry], bool]
"""Whether an entry counts."""

MOST_ENTRIES: Final = 1_000
"""The cap of one measurement; beyond it the oldest entries go, and answers that would need them are approximate."""

MOST_GROUPS: Final = 256
"""The groups or values that one event may open."""

LONGEST_KEY: Final = 48


@dataclass(frozen=True)
class Window:
    """`(t - far, t - near]`, from `since` on. `far` None reaches back for ever."""

    far: int | None = None
    near: int = 0
    since: int | None = None

    @property
    def content(self) -> object:
        """What tells it from other windows."""
        return [self.far, self.near, self.since]

    def active(self, entry: Entry) -> tuple[int, int]:
        """The half-open interval of instants at which the entry is visible and in the window."""
        begins, visible_at = entry[0] + self.near, entry[1]
        ends = FOREVER if self.far is None else entry[0] + self.far
        return begins if begins > visible_at else visible_at, ends


@dataclass(frozen=True)
class CalendarWindow(Window):
    """The current period of a calendar so far, and the `last` - 1 periods before it. `far` is never less."""

    period: local_time.Period = "day"
    last: int = 1
    tz: str = "UTC"

    @classmethod
    def of(cls, period: local_time.Period, last: int, tz: str) -> "CalendarWindow":
        return cls(far=last * local_time.LONGEST[period], period=period, last=last, tz=tz)

    @property
    def content(self) -> object:
        return [self.period, self.last, self.tz]

    def active(self, entry: Entry) -> tuple[int, int]:
        zone = local_time.zone(self.tz)
        start = local_time.period_start(local_time.today(entry[0], zone), self.period)
        ends = local_time.first_instant(local_time.period_after(start, self.period, self.last), zone)
        return max(entry[0], entry[1]), ends


Keep: TypeAlias = Literal["latest", "newest", "oldest", "distinct", "totals", "returns", "decayed", "sessions"]
"""What may be forgotten: see `KEEPERS`."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One distinct measurement: which events it takes, what it reads of them, and what must be kept.

    `key` is a hash of the content of what is measured. `far`, `near` and `most` (None: all) are the largest that any
    condition asks for; of `returns` and `decayed`, `most` is the gap or the half-life. `looked_back`: some memory looks
    at it at earlier instants.
    """

    key: str
    event: str | None
    trait: str | None
    collect: Collect
    keep: Keep
    far: int | None
    near: int
    most: int | None
    looked_back: bool

    @property
    def settles(self) -> bool:
        """Whether what every later answer counts is added up, and not kept one by one."""
        return self.far is None and self.keep in ("totals", "decayed")


def content_key(content: object) -> str:
    """A short name for a piece of definition: equal content, equal key."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=sorted)
    return hashlib.blake2b(canonical.encode(), digest_size=6).hexdigest()


def value_key(value: Json) -> str:
    """A text that two values share exactly if they are equal: 5 and 5.0, texts equal in NFC, never `"5"` and 5."""
    if isinstance(value, str):
        key = "s" + text(value)
    elif is_number(value):
        key = f"n{int(value)}" if value == int(value) else f"n{value!r}"
    else:
        key = "j" + json.dumps(value, sort_keys=True, separators=(",", ":"))
    return key if len(key) <= LONGEST_KEY else "h" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def groups_at(properties: Mapping[str, Json], path: tuple[str, ...]) -> list[str]:
    """The groups of `per`: the value's, each element's of an array, none if it is missing."""
    value = value_at(properties, path)
    if value is MISSING:
        return []
    found = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(value_key(one) for one in found if one is not None))[:MOST_GROUPS]


def keys_through(properties: Json, path: tuple[str, ...]) -> list[str]:
    """The keys that `same` compares: as `groups_at`, but a path goes through arrays and gives each element's value."""
    if isinstance(properties, list):
        nested = (key for element in properties for key in keys_through(element, path))
        return list(dict.fromkeys(nested))[:MOST_GROUPS]
    if path:
        return keys_through(properties.get(path[0]), path[1:]) if isinstance(properties, dict) else []
    return [] if properties is None else [value_key(properties)]


def no_groups(_properties: Mapping[str, Json]) -> Sequence[str | None]:
    """Everything in one."""
    return (None,)


def same_keys(paths: Sequence[tuple[str, ...]]) -> Callable[[Mapping[str, Json]], list[str]]:
    """The combined keys of several paths; none if one of them is missing."""

    def keys(properties: Mapping[str, Json]) -> list[str]:
        combined = product(*(keys_through(properties, path) for path in paths))
        return ["\x1f".join(parts) for parts, _ in zip(combined, range(MOST_GROUPS), strict=False)]

    return keys


def nothing(_event: Event) -> Sequence[Any]:
    """No payload: that it happened is all."""
    return (None,)


def numbers_at(path: tuple[str, ...]) -> Callable[[Event], Sequence[Any]]:
    """The number at a path, each number of an array; one None where there is none (the event still opens a group)."""

    def read(event: Event) -> Sequence[Any]:
        value = value_at(event.properties, path)
        found = [one for one in (value if isinstance(value, list) else [value]) if is_number(one)]
        return found or (None,)

    return read


def values_at(path: tuple[str, ...]) -> Callable[[Event], Sequence[Any]]:
    """The keys of the value at a path, of each element of an array; one None where there is none."""
    return lambda event: groups_at(event.properties, path) or (None,)


def whole_at(path: tuple[str, ...]) -> Callable[[Event], Sequence[Any]]:
    """The value at a path as it is, with what orders it among others of the same instant."""

    def read(event: Event) -> Sequence[Any]:
        value = value_at(event.properties, path)
        return (None,) if value is MISSING else ((event.received_at, event.message_id, value),)

    return read


def collector(
    selects: Callable[[Mapping[str, Json]], bool] | None,
    groups: Callable[[Mapping[str, Json]], Sequence[str | None]],
    payloads: Callable[[Event], Sequence[Any]],
    since: int | None,
    keeps_nothing: bool,
) -> Collect:
    """What an event of the right name adds: an entry for each of its groups and payloads.

    `keeps_nothing`: an entry without a payload is worth keeping, because it opens a group or is counted.
    """

    plain = groups is no_groups and payloads is nothing

    def collect(event: Event, visible_at: int) -> Sequence[Entry]:
        occurred_at = event.occurred_at
        if since is not None and occurred_at < since:
            return ()
        if selects is not None and not selects(event.properties):
            return ()
        if plain:
            return ((occurred_at, visible_at, None, None),)
        return [
            (occurred_at, visible_at, group, payload)
            for group in groups(event.properties)
            for payload in payloads(event)
            if keeps_nothing or payload is not None
        ]

    return collect


def trait_collector(name: str) -> Collect:
    """What an identify adds to a trait's history: its new value, None where it is removed."""

    def collect(event: Event, visible_at: int) -> Sequence[Entry]:
        if name not in event.traits:
            return ()
        return ((event.occurred_at, visible_at, None, (event.received_at, event.message_id, event.traits[name])),)

    return collect


def add(entries: list[Entry], entry: Entry) -> None:
    """Put an entry where it occurred."""
    if not entries or entries[-1][0] <= entry[0]:
        entries.append(entry)
    else:
        insort(entries, entry, key=itemgetter(0))


def order(entry: Entry) -> tuple[int, int, str]:
    """The order of `latest` and `first`: occurred_at, received_at, message_id."""
    payload = entry[3]
    return (entry[0], payload[0], payload[1]) if payload is not None else (entry[0], 0, "")


def _latest(settled: list[Entry], most: int | None) -> list[Entry]:
    if most is None or len(settled) <= most:
        return settled
    left: dict[str | None, int] = {}
    kept = []
    for entry in reversed(settled):
        count = left.get(entry[2], 0)
        if count < most:
            left[entry[2]] = count + 1
            kept.append(entry)
    return kept[::-1]


def _distinct(settled: list[Entry], most: int | None) -> list[Entry]:
    newest: dict[tuple[str | None, Any], Entry] = {(entry[2], entry[3]): entry for entry in settled}
    entries = sorted(newest.values(), key=lambda entry: (entry[0], entry[3] or ""))
    empty = [entry for entry in entries if entry[3] is None]
    return sorted(_latest([entry for entry in entries if entry[3] is not None], most) + empty, key=itemgetter(0))


def _best(settled: list[Entry], better: Callable[[Entry, Entry], bool]) -> list[Entry]:
    best: dict[tuple[str | None, bool], Entry] = {}
    for entry in settled:
        place = entry[2], entry[3] is None
        if place not in best or better(entry, best[place]):
            best[place] = entry
    return sorted(best.values(), key=itemgetter(0))


def _newest(settled: list[Entry], _most: int | None) -> list[Entry]:
    return _best(settled, lambda entry, other: order(entry) > order(other))


def _oldest(settled: list[Entry], _most: int | None) -> list[Entry]:
    return _best(settled, lambda entry, other: order(entry) < order(other))


def _returns(settled: list[Entry], gap: int) -> list[Entry]:
    """The first and the last, and in between so many that no gap seems longer than it is, where it matters."""
    chain = settled[:1]
    for entry, following in pairwise(settled[1:]):
        if following[0] - chain[-1][0] >= gap:
            chain.append(entry)
    return chain + settled[1:][-1:]


KEEPERS: Final[Mapping[Keep, Callable[[list[Entry], int | None], list[Entry]]]] = {
    "latest": _latest,
    "distinct": _distinct,
    "newest": _newest,
    "oldest": _oldest,
    "totals": lambda settled, _most: settled,
    "decayed": lambda settled, _most: settled,
    "returns": lambda settled, gap: _returns(settled, gap or 0),
}
"""Of the entries that every instant still to be looked at sees, those that can make a difference:

`latest` the last `most` of each group; `distinct` the last of each value, of the last `most` values of each group;
`newest` and `oldest` one of each group by `order` (and one without a payload); `totals` all, or their totals if the
window never lets go of them; `decayed` what is left of their weight; `returns` those that show where the gaps of `most`
ms and longer are.
"""


def kept(evidence: Evidence, entries: Sequence[Entry], start: int) -> tuple[list[Entry], list[Entry]]:
    """What must be kept for answers from `start` on, and what is settled for good (see `Evidence.settles`)."""
    settled, recent = _divided(evidence, entries, start)
    if evidence.settles:
        return recent, settled
    chosen = KEEPERS[evidence.keep](settled, evidence.most)
    return (sorted(chosen + recent, key=itemgetter(0)) if recent else chosen), []


def _divided(evidence: Evidence, entries: Sequence[Entry], start: int) -> tuple[list[Entry], list[Entry]]:
    """The entries that are still of use: those that every instant from `start` on sees, and those that come later.

    Of `returns` the last one that has left the window stays: the next one comes so long after it.
    """
    if evidence.keep == "returns":
        visible = [entry for entry in entries if entry[1] <= start]
        last_gone = bisect_right(visible, start - (evidence.far or 0), key=itemgetter(0)) - 1
        return visible[max(0, last_gone) :], [entry for entry in entries if entry[1] > start]
    if not evidence.looked_back and not evidence.near:
        gone = 0 if evidence.far is None else bisect_right(entries, start - evidence.far, key=itemgetter(0))
        return list(entries[gone:]), []
    window = Window(evidence.far, evidence.near)
    settled: list[Entry] = []
    recent: list[Entry] = []
    for entry in entries:
        begins, ends = window.active(entry)
        if ends > start and ends > begins:
            (settled if begins <= start else recent).append(entry)
    return settled, recent


def as_seen(entries: Iterable[Entry], start: int, truth: Callable[[Seen], Spans]) -> Spans:
    """The truth from `start` on, where some entries become visible later than they occurred.

    `truth(seen)` works it out over all time from the entries that `seen` lets through, each as from its own instant.
    It is asked once for each stretch in which no late entry becomes visible; most often there is one.
    """
    found = [clipped(truth(seen), since, until) for since, until, seen in stages(entries, start)]
    return found[0] if len(found) == 1 else union(span for spans in found for span in spans)


def stages(entries: Iterable[Entry], start: int) -> Iterator[tuple[int, int, Seen]]:
    """The stretches from `start` on in which no late entry becomes visible, with what is seen in each."""
    late = {entry[1] for entry in entries if start < entry[1] > entry[0]}
    for since, until in pairwise([start, *sorted(late), FOREVER]):
        yield since, until, seen_at(since)


def seen_at(instant: int) -> Seen:
    """Lets through what is visible at the instant, and what will be as soon as it occurs."""
    return lambda entry: entry[1] <= instant or entry[1] == entry[0]


def over_time(entries: Iterable[Entry]) -> list[tuple[int, int, Json]]:
    """The values of a history: from when, until when, and the newest then; before the first there is none."""
    newest: dict[int, Json] = {entry[0]: entry[3][2] for entry in sorted(entries, key=order)}
    instants = list(newest)
    return [(since, until, newest[since]) for since, until in pairwise([*instants, FOREVER])]
