"""Compiling leaves: each distinct measurement once, however many conditions ask for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from segue.domain.errors import Invalid
from segue.domain.event import Event
from segue.domain.rules import evidence as ev
from segue.domain.rules.courses import Course, staged
from segue.domain.rules.evidence import CalendarWindow, Entry, Evidence, Keep, Window
from segue.domain.rules.finding import Finding
from segue.domain.rules.intervals import Spans
from segue.domain.rules.operators import split, where
from segue.domain.time import DAY, HOUR, MINUTE

MOST_TAKEN = 32
"""How many different identifiers of a visitor are kept for static lists."""

Totals: TypeAlias = list[Any]
"""What is settled of one group: [events, numbers, sum in millionths as text, least, greatest]; or what is left of what
decays: [newest instant, mantissa as text, epoch]."""


@dataclass
class View:
    """A profile's evidence, looked at from `start` on, and up to `horizon` where truth changes for ever.

    `settled`: every entry is visible from `start` on.
    """

    start: int
    horizon: int
    settled: bool
    streams: Mapping[str, Sequence[Entry]]
    totals: Mapping[str, Mapping[str, Totals]]
    memberships: dict[str, Spans]
    known: dict[str, Spans] = field(default_factory=dict)

    def entries(self, key: str) -> Sequence[Entry]:
        return self.streams.get(key, ())

    def once(self, key: str, spans: Callable[["View"], Spans]) -> Spans:
        """The truth of a leaf, worked out at most once for this view."""
        if key not in self.known:
            self.known[key] = spans(self)
        return self.known[key]


Describe: TypeAlias = Callable[[View], Finding]
"""What a condition finds at the start of a view."""


@dataclass(frozen=True)
class Node:
    """A compiled condition: its truth over time, the measurements it reads, how far back, and the segments it names.

    `recurs`: its truth changes for ever, so that it is worked out up to the view's horizon only. `cost` is what working
    it out costs, roughly, in times that of a count. `kind` is the language's, `parts` the conditions it is made of, and
    `describe` tells what there is to find at a view's start, seen from the present.
    """

    spans: Callable[[View], Spans]
    reads: frozenset[tuple[str, int | None]] = frozenset()
    refers: frozenset[str] = frozenset()
    recurs: bool = False
    cost: int = 1
    kind: str = ""
    parts: tuple["Node", ...] = ()
    describe: Describe | None = None


def leaf(
    key: str,
    spans: Callable[[View], Spans],
    reads: Mapping[str, int | None],
    *,
    recurs: bool = False,
    cost: int = 1,
    describe: Describe | None = None,
) -> Node:
    """A node whose truth is kept for the length of a view under `key`."""
    reading = frozenset(reads.items())
    return Node(lambda view: view.once(key, spans), reading, recurs=recurs, cost=cost, describe=describe)


@dataclass(frozen=True)
class Reading:
    """A value of a profile over time, from the view's start on, and the measurements it reads, how far back.

    `key` is a name for its content. `measures_time`: it is a number of milliseconds. `moves`: it changes with
    every instant.
    """

    key: str
    course: Callable[[View], Course]
    reads: Mapping[str, int | None]
    measures_time: bool = False
    moves: bool = False


def all_reads(readings: Iterable[Reading]) -> Mapping[str, int | None]:
    """What several of them read, each as far back as any of them does."""
    found: dict[str, int | None] = {}
    for key, far in (item for reading in readings for item in reading.reads.items()):
        other = found.get(key, far)
        found[key] = None if far is None or other is None else max(far, other)
    return found


def said_last(reading: Reading, view: View) -> Mapping[str, Sequence[Entry]]:
    """The newest entry of a trait that visitors say of themselves; none of a computed one."""
    entries = sorted(view.entries(reading.key), key=ev.order)
    return {reading.key: entries[-1:]} if entries else {}


@dataclass
class Measurements:
    """The measurements of a program while it is compiled.

    `compile_condition` compiles a condition of any kind; `looked_back` is that of the segment at hand. `lists` are the
    identifiers on each static list, `granted_unsaid` the purposes that are granted until something is said of them,
    `scores` and `computed` compile the score and the computed trait of each name; `used` are the keys of those that the
    segment at hand asks for. `session_gap`: so long without a message, and a session is over.
    """

    compile_condition: Callable[[Any, "Measurements"], Node]
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    granted_unsaid: frozenset[str] = frozenset()
    scores: Mapping[str, Callable[["Measurements"], Reading]] = field(default_factory=dict)
    computed: Mapping[str, Callable[["Measurements"], Reading]] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    session_gap: int = 30 * MINUTE
    lateness: int = HOUR
    max_age: int = 30 * DAY
    book: dict[str, Evidence] = field(default_factory=dict)
    looked_back: bool = False
    used: set[str] = field(default_factory=set)

    def node(self, condition: Any, part: str) -> Node:
        """The compiled condition, which is this part of a definition. Raises `Invalid` with the path from there."""
        try:
            return self.compile_condition(condition, self)
        except Invalid as error:
            raise error.under(part) from error

    def nodes(self, conditions: Sequence[Any], part: str) -> list[Node]:
        """The compiled conditions of a part that is a list of them."""
        return [self.node(condition, f"{part}[{number}]") for number, condition in enumerate(conditions)]

    def events(
        self,
        name: str,
        where_: Mapping[str, Any] | None,
        window: Window,
        keep: Keep,
        *,
        most: int | None = None,
        per: str | None = None,
        same: Sequence[str] = (),
        reads: tuple[str, str] | None = None,
    ) -> str:
        """The key of the measurement of the events of a name.

        `per` and `same` say what groups them, `reads` is (`number`, `value` or `whole`, path): what is read of them.
        """
        content = ["event", name, where_, window.since, keep, per, list(same), reads]
        if keep == "totals":
            content.append(window.far is None)
        if keep in ("returns", "decayed"):
            content.append(most)
        key = ev.content_key(content)
        collect = ev.collector(
            where(where_) if where_ else None,
            _grouping(per, same),
            READERS[reads[0]](split(reads[1])) if reads else ev.nothing,
            window.since,
            keeps_nothing=reads is None or per is not None,
        )
        self._note_events(key, name, collect, keep, window, most)
        return key

    def measured(
        self, content: object, name: str, collect: ev.Collect, keep: Keep, window: Window, most: int | None
    ) -> str:
        """The key of a measurement of the events of a name that `collect` takes in its own way."""
        key = ev.content_key(content)
        self._note_events(key, name, collect, keep, window, most)
        return key

    def _note_events(
        self, key: str, name: str, collect: ev.Collect, keep: Keep, window: Window, most: int | None
    ) -> None:
        self._note(Evidence(
            key=key, event=name, trait=None, collect=collect, keep=keep,
            far=window.far, near=window.near, most=most, looked_back=self.looked_back,
        ))  # fmt: skip

    def taken(
        self, name: str, event: str | None, reads: Callable[[Event], Sequence[Any]], keep: Keep = "newest"
    ) -> str:
        """The key of what is read of the events of a name (None: of all): `reads` gives the payloads of an event."""
        key = ev.content_key(["taken", name])
        collect = ev.collector(None, ev.no_groups, reads, None, keeps_nothing=False)
        self._note(Evidence(
            key=key, event=event or "*", trait=None, collect=collect, keep=keep,
            far=None, near=0, most=MOST_TAKEN, looked_back=self.looked_back,
        ))  # fmt: skip
        return key

    def members_of(self, name: str) -> frozenset[str]:
        """The identifiers on a static list. Raises `Invalid` if there is no such list."""
        if name not in self.lists:
            raise Invalid(f"expected a list of this catalogue, found {name!r:.60}", "list")
        return self.lists[name]

    def score(self, name: str) -> Reading:
        """The score of this name. Raises `Invalid` if there is none."""
        if name not in self.scores:
            raise Invalid(f"expected a score of this catalogue, found {name!r:.60}", "score")
        reading = self.scores[name](self)
        self.used.add(reading.key)
        return reading

    def model(self, name: str) -> Any:
        """The model of this name. Raises `Invalid` if there is none."""
        if name not in self.models:
            raise Invalid(f"expected a model of this catalogue, found {name!r:.60}", "cluster.model")
        return self.models[name]

    def feature(self, name: str) -> Reading:
        """The score, the computed trait or the trait of this name."""
        return self.score(name) if name in self.scores else self.trait_course(name)

    def trait_course(self, name: str) -> Reading:
        """The trait of this name: a computed one, or else what the visitor's identifies say of it."""
        if name in self.computed:
            reading = self.computed[name](self)
            self.used.add(reading.key)
            return reading
        key = self.trait(name)

        def course(view: View) -> Course:
            entries = view.entries(key)
            return staged(
                entries,
                view.start,
                lambda seen: [(since, value) for since, _, value in ev.over_time(filter(seen, entries))],
                None,
            )

        return Reading(key, course, {key: None})

    def trait(self, name: str) -> str:
        """The key of the history of a trait."""
        key = ev.content_key(["trait", name])
        self._note(Evidence(
            key=key, event=None, trait=name, collect=ev.trait_collector(name), keep="newest",
            far=None, near=0, most=1, looked_back=self.looked_back,
        ))  # fmt: skip
        return key

    def _note(self, new: Evidence) -> None:
        old = self.book.get(new.key, new)
        self.book[new.key] = replace(
            new,
            far=None if None in (old.far, new.far) else max(old.far or 0, new.far or 0),
            near=max(old.near, new.near),
            most=None if None in (old.most, new.most) else max(old.most or 0, new.most or 0),
            looked_back=old.looked_back or new.looked_back,
        )


READERS: Mapping[str, Callable[[tuple[str, ...]], Callable[[Any], Sequence[Any]]]] = {
    "number": ev.numbers_at,
    "value": ev.values_at,
    "whole": ev.whole_at,
}


def _grouping(per: str | None, same: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[str | None]]:
    if per is not None:
        path = split(per)
        return lambda properties: ev.groups_at(properties, path)
    return ev.same_keys([split(path) for path in same]) if same else ev.no_groups


def window_of(leaf: Any) -> Window:
    """The window of a leaf that may have one."""
    if leaf.calendar is not None:
        return CalendarWindow.of(leaf.calendar.period, leaf.calendar.last, leaf.calendar.tz)
    if leaf.ago is not None:
        return Window(far=leaf.ago[0], near=leaf.ago[1])
    return Window(far=leaf.within, since=leaf.since)


def grouped(entries: Sequence[Entry]) -> dict[str | None, list[Entry]]:
    """The entries of each group."""
    groups: dict[str | None, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry[2], []).append(entry)
    return groups
