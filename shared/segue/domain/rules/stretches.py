"""Conditions as one stretch of time: what the generated code keeps of the events, and when the condition is then true.

Seen from an instant, with no further event, most conditions are true on a single stretch `[since, until)`: a count
lapses as the oldest event that it needs leaves the window, an abandonment begins once and ends once. What does not fit
raises `Unsaid` and is left to the readable engine.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite, log2
from typing import Any, Final, NamedTuple

from segue.domain.event import Event, Json
from segue.domain.rules.decay import Decaying, weight
from segue.domain.rules.evidence import MOST_ENTRIES, Window, content_key, value_key
from segue.domain.rules.figures import from_micro, micro
from segue.domain.rules.intervals import FOREVER
from segue.domain.rules.kinds.absent import Absent
from segue.domain.rules.kinds.aggregate import Aggregate, AggregateOf
from segue.domain.rules.kinds.did import Did, needed
from segue.domain.rules.kinds.first_time import FirstTime
from segue.domain.rules.kinds.logic import All, Any_, AtLeast, InSegment, None_, Not
from segue.domain.rules.kinds.score import Score, ScoreIs
from segue.domain.rules.kinds.together import Together
from segue.domain.rules.kinds.trait import TraitIs
from segue.domain.rules.measurements import window_of
from segue.domain.rules.model import Windowed
from segue.domain.rules.operators import MISSING, is_number, matcher, operation, refs, split, text, where
from segue.domain.time import DAY

NEVER: Final = -FOREVER


class Unfit(Exception):
    """A history that the generated code leaves to the readable engine."""


class Unsaid(Exception):
    """A definition that the generated code leaves to the readable engine."""


class Stretch(NamedTuple):
    """When a condition is true, as Python expressions: from `since` (None: it has begun) until `until`.

    `after` are the names of the events that may change it, `*` for all. `inputs` are the variables it is made of.
    `denies`: it may be true before any of these. `rung`: `until` is so many milliseconds after an expression. `level`:
    it is true as long as a score (the number of its variables) is not below this.
    """

    since: str | None
    until: str
    after: frozenset[str]
    inputs: tuple[str, ...]
    denies: bool = False
    rung: tuple[str, int] | None = None
    level: tuple[str, float] | None = None


COMPARISONS: Final = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
"""The operators that Python has too, between two numbers or two texts."""


@dataclass
class Writer:
    """The function while it is written: its variables, what each event changes, and what the code refers to.

    `taking` are the lines for the events of a name, `*` for all; `learning` those for events with traits; `summing`
    those that come after either, for the events of some names. `scores` are those that it keeps.
    """

    conditions: Mapping[str, Any]
    definitions: Mapping[str, Score]
    max_age: int
    computed: Collection[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    taking: dict[str, list[str]] = field(default_factory=dict)
    learning: list[str] = field(default_factory=list)
    summing: list[tuple[frozenset[str], list[str]]] = field(default_factory=list)
    scores: dict[str, "Fading"] = field(default_factory=dict)
    bound: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)

    def once(self, content: object, write: Callable[[str], Any]) -> Any:
        """What `write(suffix)` gives, written once for equal content."""
        key = content_key(content)
        if key not in self.written:
            self.written[key] = write(str(len(self.written)))
        return self.written[key]

    def variable(self, name: str, initial: str) -> str:
        self.variables[name] = initial
        return name

    def constant(self, name: str, value: object) -> str:
        self.bound[name] = value
        return name

    def on(self, event: str, selector: Mapping[str, Any] | None, since: int | None, *lines: str) -> None:
        """Add lines to what events of a name change, if they pass. What passes alike is asked once."""
        tests = [] if since is None else [f"t >= {since}"]
        tests += [self._passing(path, test) for path, test in (selector or {}).items()]
        body = self.taking.setdefault(event, [])
        if not tests:
            body.extend(lines)
            return
        question = f"if {' and '.join(tests)}:"
        if question != next((line for line in reversed(body) if not line.startswith(" ")), None):
            body.append(question)
        body.extend("    " + line for line in lines)

    def _passing(self, path: str, test: Json) -> str:
        """Whether an event's property passes, as an expression. A number or a plain text is compared with its like on
        the spot, everything else where the operators are."""
        passes = self.once(["where", path, test], lambda number: self.constant(f"passes{number}", where({path: test})))
        written_out = test if isinstance(test, dict) else {"eq": test}
        name, operand = operation(written_out)
        if name not in COMPARISONS or len(split(path)) > 1 or "ignore_case" in written_out:
            return f"{passes}(p)"
        if is_number(operand) and isfinite(operand):
            alike = f"type(v := p.get({path!r})) is int or type(v) is float"
        elif isinstance(operand, str):
            alike, operand = f"type(v := p.get({path!r})) is str and v.isascii()", text(operand)
        else:
            return f"{passes}(p)"
        return f"(v {COMPARISONS[name]} {operand!r} if {alike} else v is not None and {passes}(p))"

    def value(self, path: str, *lines: str) -> list[str]:
        """Lines that run with the key of the property at the path in `v`, if it is there."""
        names = split(path)
        if len(names) == 1:
            read, there = f"v = p.get({path!r})", "if v is not None:"
        else:
            read = f"v = value_at(p, {names!r})"
            there = "if v is not MISSING:"
        return [
            read,
            there,
            "    if type(v) is not str: v = key_of(v)",
            "    elif not v.isascii(): v = text(v)",
            *("    " + line for line in lines),
        ]


def key_of(value: Json) -> Json:
    """What tells a value that is no text from others. Raises `Unfit` for an array: each element has its own."""
    if is_number(value):
        return value
    if isinstance(value, list):
        raise Unfit
    return (value_key(value),)


def _threshold(test: Mapping[str, Any]) -> int:
    """The k of a test that says k or more. Raises `Unsaid` for any other."""
    name, operand = operation(test)
    if name not in ("ge", "gt") or not is_number(operand):
        raise Unsaid
    least = needed(dict(test))
    if not matcher(test)(least, {}) or matcher(test)(least - 1, {}):
        raise Unsaid
    return least


def _rolling(leaf: Windowed, window: Window | None) -> Window:
    found = window or window_of(leaf)
    if type(found) is not Window or found.near:
        raise Unsaid
    return found


def _lapse(latest: str, far: int | None) -> str:
    """Until when something counts that happened at `latest`."""
    return f"{latest} + {far}" if far is not None else f"(FOREVER if {latest} != NEVER else NEVER)"


def _rolled(latest: str, far: int | None, *events: str) -> Stretch:
    """True as long as what happened at `latest` is in the window."""
    rung = None if far is None else (latest, far)
    return Stretch(None, _lapse(latest, far), frozenset(events), (latest,), rung=rung)


def write_did(leaf: Did, writer: Writer, window: Window | None = None) -> Stretch:
    """The window lets go of the k-th latest event last."""
    window = _rolling(leaf, window)
    most = _threshold(leaf.count)
    content = ["did", leaf.did, leaf.where, window.since, leaf.per, most]

    def write(number: str) -> str:
        latest = writer.variable(f"latest{number}", "NEVER")
        if leaf.per is not None:
            lines = _of_groups(writer, number, latest, leaf.per, most)
            writer.on(leaf.did, leaf.where, window.since, *lines)
        elif most == 1:
            writer.on(leaf.did, leaf.where, window.since, f"{latest} = t")
        elif most <= 8:
            ring = [latest, *(writer.variable(f"later{number}_{k}", "NEVER") for k in range(most - 1))]
            writer.on(leaf.did, leaf.where, window.since, f"{', '.join(ring)} = {', '.join([*ring[1:], 't'])}")
        else:
            ring_name = writer.variable(f"ring{number}", f"deque(maxlen={most})")
            lines = [f"{ring_name}.append(t)", f"if len({ring_name}) == {most}: {latest} = {ring_name}[0]"]
            writer.on(leaf.did, leaf.where, window.since, *lines)
        return latest

    return _rolled(_shared(writer, content, write, window.far), window.far, leaf.did)


def _of_groups(writer: Writer, number: str, latest: str, path: str, most: int) -> list[str]:
    groups = writer.variable(f"groups{number}", "{}")
    return writer.value(
        path,
        f"g = {groups}.get(v)",
        "if g is None:",
        f"    if len({groups}) >= {MOST_ENTRIES // most}: {_pruned(groups, 'g[-1]', number)}",
        f"    g = {groups}[v] = deque(maxlen={most})",
        "g.append(t)",
        f"if len(g) == {most} and g[0] > {latest}: {latest} = g[0]",
    )


def _pruned(groups: str, newest: str, number: str) -> str:
    """A statement that forgets the groups that have left the longest window."""
    return f"{groups} = fewer({{v: g for v, g in {groups}.items() if {newest} > t - far{number}}}, len({groups}))"


def _shared(writer: Writer, content: object, write: Callable[[str], str], far: int | None) -> str:
    """The variable of a measurement that serves windows of all lengths; `far` and its number name the longest."""
    latest: str = writer.once(content, write)
    number = latest.removeprefix("latest")
    longest = writer.bound.get(f"far{number}", 0)
    writer.constant(f"far{number}", max(longest, FOREVER if far is None else far))
    return latest


def fewer(groups: dict[Any, Any], before: int) -> dict[Any, Any]:
    """The groups that are left. Raises `Unfit` if they are hardly fewer: the engine has a cap and says so."""
    if len(groups) > before // 2:
        raise Unfit
    return groups


def write_aggregate(leaf: AggregateOf, writer: Writer, window: Window | None = None) -> Stretch:
    """Of figures, the number of distinct values: the window lets go of the k-th latest value last."""
    window = _rolling(leaf, window)
    figure, path = leaf.function
    if figure != "distinct":
        raise Unsaid
    most = _threshold(leaf.is_)
    content = ["distinct", leaf.of, leaf.where, window.since, leaf.per, path, most]

    def write(number: str) -> str:
        latest = writer.variable(f"latest{number}", "NEVER")
        if leaf.per is not None:
            lines = _of_values_in_groups(writer, number, latest, leaf, path, most)
        elif most == 2:
            value = writer.variable(f"value{number}", "MISSING")
            when = writer.variable(f"when{number}", "NEVER")
            lines = writer.value(path, f"if v != {value}: {value} = v; {latest} = {when}", f"{when} = t")
        else:
            values = writer.variable(f"values{number}", "{}")
            lines = writer.value(path, *_of_values(values, latest, most))
        writer.on(leaf.of, leaf.where, window.since, *lines)
        return latest

    return _rolled(_shared(writer, content, write, window.far), window.far, leaf.of)


def _of_values(values: str, latest: str, most: int) -> list[str]:
    """Keep the latest `most` values, the latest last, and when the first of them last came."""
    return [
        f"{values}.pop(v, None)",
        f"{values}[v] = t",
        f"if len({values}) > {most}: del {values}[next(iter({values}))]",
        f"if len({values}) == {most}:",
        f"    w = next(iter({values}.values()))",
        f"    if w > {latest}: {latest} = w",
    ]


def _of_values_in_groups(
    writer: Writer, number: str, latest: str, leaf: AggregateOf, path: str, most: int
) -> list[str]:
    groups = writer.variable(f"groups{number}", "{}")
    newest = "next(reversed(g.values()))"
    return writer.value(
        leaf.per or "",
        f"g = {groups}.get(v)",
        "if g is None:",
        f"    if len({groups}) >= {MOST_ENTRIES // (most + 1)}: {_pruned(groups, newest, number)}",
        f"    g = {groups}[v] = {{}}",
        *writer.value(path, *_of_values("g", latest, most)),
    )


def write_leaf(leaf: Aggregate, writer: Writer) -> Stretch:
    return write_aggregate(leaf.aggregate, writer)


def write_together(condition: Together, writer: Writer) -> Stretch:
    window = Window(far=condition.together.within)
    return _every([
        write_did(part, writer, window) if isinstance(part, Did) else write_aggregate(part.aggregate, writer, window)
        for part in condition.together.of
    ])  # fmt: skip


def write_absent(condition: Absent, writer: Writer) -> Stretch:
    """A waits from its instant on; a B that is strictly later ends it."""
    part = condition.absent
    if part.same or part.after.did == "*":
        raise Unsaid

    def write(number: str) -> str:
        waiting = writer.variable(f"waiting{number}", "NEVER")
        writer.on(part.without.did, part.without.where, None, f"if {waiting} < t: {waiting} = NEVER")
        writer.on(part.after.did, part.after.where, None, f"{waiting} = t")
        return waiting

    content = ["absent", part.after.model_dump(), part.without.model_dump()]
    waiting = writer.once(content, write)
    found = _rolled(waiting, part.within, part.after.did, part.without.did)
    return found if part.for_ is None else found._replace(since=f"{waiting} + {part.for_}", rung=None)


def write_first_time(leaf: FirstTime, writer: Writer) -> Stretch:
    window = _rolling(leaf, None)

    def write(number: str) -> str:
        first = writer.variable(f"first{number}", "NEVER")
        writer.on(leaf.first_time, leaf.where, None, f"if {first} == NEVER: {first} = t")
        return first

    first: str = writer.once(["first", leaf.first_time, leaf.where], write)
    found = _rolled(first, window.far, leaf.first_time)
    if window.since is not None:
        return found._replace(until=f"(FOREVER if {first} >= {window.since} else NEVER)")
    return found


TRAITS: Final = "\x00traits"
"""Stands for an event's name in `Stretch.after`: any event that brings traits."""


def write_trait(leaf: TraitIs, writer: Writer) -> Stretch:
    """True for ever, as long as no event brings another value."""

    names = dict.fromkeys([split(leaf.trait)[0], *(split(other)[0] for other in refs(leaf.is_))])
    if not names.keys().isdisjoint(writer.computed):
        raise Unsaid

    def write(number: str) -> str:
        known = writer.variable(f"known{number}", "NEVER")
        test = writer.constant(f"holds{number}", matcher(leaf.is_))
        writer.learning.append(
            f"if not {set(names)!r}.isdisjoint(e.traits): "
            f"{known} = FOREVER if {test}(value_at(traits, {split(leaf.trait)!r}), traits) else NEVER"
        )
        return known

    known = writer.once(["trait", leaf.trait, leaf.is_], write)
    denies = matcher(leaf.is_)(MISSING, {})
    if denies:
        raise Unsaid
    return Stretch(None, known, frozenset({TRAITS}), (known,))


EQUAL: Final = 1e-12
"""How near a score comes to a number, relatively, that is equal to it: less than it fades in a millisecond."""

ROUNDED, ROUNDINGS = 1e-15, 64
"""What floating-point arithmetic may get wrong in a number of half-lives: at most so much with every event (four
roundings are less), and so many times more with the age of what counts and with its logarithm."""

LONGEST_HALF_LIFE: Final = 3_650 * DAY


def write_score(leaf: ScoreIs, writer: Writer) -> Stretch:
    """A sum of points above 0 that fades: from above a number it falls below it once."""
    score = writer.definitions[leaf.score]
    name, operand = operation(leaf.is_)
    if score.half_life is None or score.half_life > LONGEST_HALF_LIFE or any(one.points < 0 for one in score.events):
        raise Unsaid
    if name != "ge" or not is_number(operand) or operand <= 0:
        raise Unsaid
    if score.bounds is not None and not score.bounds[0] < operand < score.bounds[1]:
        raise Unsaid
    half_life, level = score.half_life, float(operand)
    after = frozenset(one.did for one in score.events)

    def write(number: str) -> str:
        value, gain = writer.variable(f"score{number}", "0.0"), writer.variable(f"gain{number}", "0.0")
        scored = writer.variable(f"scored{number}", "0")
        writer.variable(f"faded{number}", "0.0")
        for one in score.events:
            writer.on(one.did, one.where, None, f"{gain} += {float(from_micro(micro(one.points)))!r}")
        lines = [
            f"faded{number} = {value} * 2.0 ** (({scored} - now) / {half_life})",
            f"{value} = faded{number} + ({gain} if t == now else {gain} * 2.0 ** ((t - now) / {half_life}))",
            f"{scored} = now",
            f"{gain} = 0.0",
        ]
        writer.summing.append((after, lines))
        writer.scores[number] = Fading(score, half_life, writer.max_age)
        writer.constant(f"fading{number}", writer.scores[number])
        return number

    number = writer.once(["score", [one.model_dump() for one in score.events], half_life], write)
    until = f"fading{number}.until(score{number}, {level!r}, scored{number}, events)"
    return Stretch(None, until, after, (f"score{number}", f"scored{number}"), level=(number, level))


class Fading:
    """When a score falls below a level: in floating-point arithmetic, and where that cannot tell, exactly."""

    def __init__(self, score: Score, half_life: int, max_age: int) -> None:
        self._half_life, self._max_age = half_life, max_age
        self._earning: dict[str, list[tuple[Callable[[Mapping[str, Json]], bool] | None, int]]] = {}
        for one in score.events:
            selects = where(one.where) if one.where else None
            self._earning.setdefault(one.did, []).append((selects, micro(one.points)))

    def until(self, value: float, level: float, scored: int, events: Sequence[Event]) -> int:
        """Until when a value that was so much as it was scored is not below the level: `NEVER` if it was below then."""
        if value < level * (1 - EQUAL):
            return NEVER
        return self.lapses(value, [level], scored, events, scored + 1)[0]

    def lapses(
        self, value: float, levels: Sequence[float], now: int, events: Sequence[Event], before: int = FOREVER
    ) -> list[int]:
        """Of each level the first instant at which a value that is so much now is (or was) below it.

        `events` are those of the profile; the value comes from those that were received before `before`. Raises
        `Unfit` if it was below a level from the beginning, which floating-point arithmetic could not tell.
        """
        half_life = self._half_life
        doubt = half_life * ROUNDED * (ROUNDINGS + len(events)) if value > 0 else 1
        logarithm = log2(value) if value > 0 else 0
        found = []
        for level in levels:
            left = half_life * (logarithm - log2(level))
            whole = floor(left)
            if doubt < left - whole < 1 - doubt:
                found.append(now + whole + 1)
            else:
                found.append(self._exactly(level, [event for event in events if event.received_at < before]))
        return found

    def _exactly(self, level: float, events: Sequence[Event]) -> int:
        first = {event.message_id: event for event in reversed(events) if self._may_earn(event)}
        parts = [
            (points, weight(event.occurred_at, self._half_life))
            for event in first.values()
            for name in {event.name, "*"}
            for selects, points in self._earning.get(name, ())
            if selects is None or selects(event.properties)
        ]
        exact = Decaying.of(parts, self._half_life, max(event.occurred_at for event in first.values()), None)
        below = next(instant for instant in exact.crossings(level) if exact.at(instant, (level,)) < level)
        if below <= max(event.received_at for event in first.values()):
            raise Unfit
        return below

    def _may_earn(self, event: Event) -> bool:
        is_in_time = event.received_at - event.occurred_at <= self._max_age
        return is_in_time and not self._earning.keys().isdisjoint((event.name, "*"))


def _every(parts: Sequence[Stretch]) -> Stretch:
    if len(parts) == 1:
        return parts[0]
    begins = [part.since for part in parts if part.since is not None]
    return Stretch(
        _extreme("max", begins) if begins else None,
        _extreme("min", [part.until for part in parts]),
        *_joined(parts),
        denies=all(part.denies for part in parts),
        rung=None if begins else _rung("min", parts),
    )


def _some(parts: Sequence[Stretch]) -> Stretch:
    if len(parts) == 1:
        return parts[0]
    if any(part.since is not None for part in parts):
        raise Unsaid
    return Stretch(None, _extreme("max", [part.until for part in parts]), *_joined(parts), rung=_rung("max", parts))


def _none(parts: Sequence[Stretch]) -> Stretch:
    """What is true now until some instant is false until then, and true for ever from then on."""
    some = _some(parts)
    if some.since is not None:
        raise Unsaid
    return Stretch(some.until, "FOREVER", some.after, some.inputs, denies=True)


def _joined(parts: Sequence[Stretch]) -> tuple[frozenset[str], tuple[str, ...]]:
    inputs = dict.fromkeys(name for part in parts for name in part.inputs)
    return frozenset().union(*(part.after for part in parts)), tuple(inputs)


def _rung(name: str, parts: Sequence[Stretch]) -> tuple[str, int] | None:
    """The same number of milliseconds after the greatest or the least, if it is the same for all."""
    rungs = [part.rung for part in parts if part.rung is not None]
    far = {rung[1] for rung in rungs}
    if len(rungs) < len(parts) or len(far) > 1:
        return None
    return _extreme(name, [rung[0] for rung in rungs]), far.pop()


def _extreme(name: str, expressions: Sequence[str]) -> str:
    """The greatest or the least of them."""
    distinct = [one for one in dict.fromkeys(expressions) if name == "max" or one != "FOREVER"]
    if len(distinct) == 2:
        first, second = distinct
        depth = first.count(":=") + second.count(":=")
        one, other = f"x{depth}", f"y{depth}"
        sign = ">" if name == "max" else "<"
        return f"({one} if ({one} := {first}) {sign} ({other} := {second}) else {other})"
    return f"{name}({', '.join(distinct)})" if len(distinct) > 2 else [*distinct, "FOREVER"][0]


def write_all(condition: All, writer: Writer) -> Stretch:
    return _every([written(part, writer) for part in condition.all])


def write_any(condition: Any_, writer: Writer) -> Stretch:
    return _some([written(part, writer) for part in condition.any])


def write_none(condition: None_, writer: Writer) -> Stretch:
    return _none([written(part, writer) for part in condition.none])


def write_not(condition: Not, writer: Writer) -> Stretch:
    return _none([written(condition.not_, writer)])


def write_at_least(condition: AtLeast, writer: Writer) -> Stretch:
    parts = [written(part, writer) for part in condition.at_least.of]
    if condition.at_least.count == 1:
        return _some(parts)
    if condition.at_least.count == len(parts):
        return _every(parts)
    raise Unsaid


def write_segment(condition: InSegment, writer: Writer) -> Stretch:
    if condition.segment not in writer.conditions:
        raise Unsaid
    return written(writer.conditions[condition.segment], writer)


WRITERS: Final[Mapping[type, Callable[[Any, Writer], Stretch]]] = {
    All: write_all,
    Any_: write_any,
    None_: write_none,
    Not: write_not,
    AtLeast: write_at_least,
    InSegment: write_segment,
    Did: write_did,
    Aggregate: write_leaf,
    Together: write_together,
    Absent: write_absent,
    FirstTime: write_first_time,
    TraitIs: write_trait,
    ScoreIs: write_score,
}
"""The conditions that can be said as one stretch; every other kind is the readable engine's."""


def written(condition: Any, writer: Writer) -> Stretch:
    """When the condition is true. Raises `Unsaid` if that is not one stretch."""
    write = WRITERS.get(type(condition))
    if write is None:
        raise Unsaid
    return write(condition, writer)
