"""Generated code: one function that folds a profile's whole history, for the definitions whose truth is one stretch.

Seen from an instant, with no further event, most conditions are true on a single stretch `[since, until)`: a count
lapses as the oldest event that it needs leaves the window, an abandonment begins once and ends once. For these the
measurements are a few local variables, and a segment is two more: where its stretch begins and where it ends. What does
not fit is left to the readable engine, definition by definition (`written` says which) and profile by profile (the
function raises `Unfit` where a history is not in order or holds what is seldom seen). Both give the same transitions.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from segue.domain.event import Event, Json
from segue.domain.rules.evidence import MOST_ENTRIES, Window, content_key, value_key
from segue.domain.rules.intervals import FOREVER
from segue.domain.rules.kinds.absent import Absent
from segue.domain.rules.kinds.aggregate import Aggregate, AggregateOf
from segue.domain.rules.kinds.did import Did, needed
from segue.domain.rules.kinds.first_time import FirstTime
from segue.domain.rules.kinds.logic import All, Any_, AtLeast, InSegment, None_, Not
from segue.domain.rules.kinds.together import Together
from segue.domain.rules.kinds.trait import TraitIs
from segue.domain.rules.measurements import window_of
from segue.domain.rules.model import Windowed
from segue.domain.rules.operators import MISSING, is_number, matcher, operation, refs, split, text, value_at, where
from segue.domain.rules.ring import KEPT_FOR, MOST_IDS
from segue.domain.rules.state import Counts

NEVER: Final = -FOREVER

Flip: TypeAlias = tuple[int, str, bool]
"""At an instant, a segment was entered (or else left)."""


class Unfit(Exception):
    """A history that the generated code leaves to the readable engine."""


class Unsaid(Exception):
    """A definition that the generated code leaves to the readable engine."""


class Run(Protocol):
    """Folds events in the order in which they were received, and lets time come to `end` afterwards.

    What is entered and left is appended to `flips`: of each segment in order of time; what was entered and left at the
    same instant is in it twice. Raises `Unfit`, whatever `flips` then holds.
    """

    def __call__(self, events: Iterable[Event], end: int, flips: list[Flip]) -> Counts: ...


class Stretch(NamedTuple):
    """When a condition is true, as Python expressions: from `since` (None: it has begun) until `until`.

    `after` are the names of the events that may change it, `*` for all. `denies`: it may be true before any of these.
    """

    since: str | None
    until: str
    after: frozenset[str]
    denies: bool = False


@dataclass
class Writer:
    """The function while it is written: its variables, what each event changes, and what the code refers to."""

    conditions: Mapping[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    taking: dict[str, list[str]] = field(default_factory=dict)
    learning: list[str] = field(default_factory=list)
    bound: dict[str, object] = field(default_factory=dict)
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
        """Add lines to what events of a name change, if they pass."""
        tests = [] if since is None else [f"t >= {since}"]
        if selector:
            tests.append(
                self.once(["where", selector], lambda number: self.constant(f"passes{number}", where(selector))) + "(p)"
            )
        body = self.taking.setdefault(event, [])
        if tests:
            body.append(f"if {' and '.join(tests)}:")
            body.extend("    " + line for line in lines)
        else:
            body.extend(lines)

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


def write_did(leaf: Did, writer: Writer, window: Window | None = None) -> Stretch:
    """The window lets go of the k-th latest event last."""
    window = _rolling(leaf, window)
    most = _threshold(leaf.count)
    content = ["did", leaf.did, leaf.where, window.since, leaf.per, most, window.far if leaf.per else None]

    def write(number: str) -> str:
        latest = writer.variable(f"latest{number}", "NEVER")
        if leaf.per is not None:
            lines = _of_groups(writer, number, latest, leaf.per, most, window.far)
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

    return Stretch(None, _lapse(writer.once(content, write), window.far), frozenset({leaf.did}))


def _of_groups(writer: Writer, number: str, latest: str, path: str, most: int, far: int | None) -> list[str]:
    groups = writer.variable(f"groups{number}", "{}")
    return writer.value(
        path,
        f"g = {groups}.get(v)",
        "if g is None:",
        f"    if len({groups}) >= {MOST_ENTRIES // most}: {_pruned(groups, 'g[-1]', far)}",
        f"    g = {groups}[v] = deque(maxlen={most})",
        "g.append(t)",
        f"if len(g) == {most} and g[0] > {latest}: {latest} = g[0]",
    )


def _pruned(groups: str, newest: str, far: int | None) -> str:
    """A statement that forgets the groups that have left the window."""
    if far is None:
        return "raise Unfit"
    return f"{groups} = fewer({{v: g for v, g in {groups}.items() if {newest} > t - {far}}}, len({groups}))"


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
    content = ["distinct", leaf.of, leaf.where, window.since, leaf.per, path, most, window.far if leaf.per else None]

    def write(number: str) -> str:
        latest = writer.variable(f"latest{number}", "NEVER")
        if leaf.per is not None:
            lines = _of_values_in_groups(writer, number, latest, leaf, path, most, window.far)
        elif most == 2:
            value = writer.variable(f"value{number}", "MISSING")
            when = writer.variable(f"when{number}", "NEVER")
            lines = writer.value(path, f"if v != {value}: {value} = v; {latest} = {when}", f"{when} = t")
        else:
            values = writer.variable(f"values{number}", "{}")
            lines = writer.value(path, *_of_values(values, latest, most))
        writer.on(leaf.of, leaf.where, window.since, *lines)
        return latest

    return Stretch(None, _lapse(writer.once(content, write), window.far), frozenset({leaf.of}))


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
    writer: Writer, number: str, latest: str, leaf: AggregateOf, path: str, most: int, far: int | None
) -> list[str]:
    groups = writer.variable(f"groups{number}", "{}")
    newest = "next(reversed(g.values()))"
    return writer.value(
        leaf.per or "",
        f"g = {groups}.get(v)",
        "if g is None:",
        f"    if len({groups}) >= {MOST_ENTRIES // (most + 1)}: {_pruned(groups, newest, far)}",
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
    since = None if part.for_ is None else f"{waiting} + {part.for_}"
    return Stretch(since, _lapse(waiting, part.within), frozenset({part.after.did, part.without.did}))


def write_first_time(leaf: FirstTime, writer: Writer) -> Stretch:
    window = _rolling(leaf, None)

    def write(number: str) -> str:
        first = writer.variable(f"first{number}", "NEVER")
        writer.on(leaf.first_time, leaf.where, None, f"if {first} == NEVER: {first} = t")
        return first

    first: str = writer.once(["first", leaf.first_time, leaf.where], write)
    until = _lapse(first, window.far)
    if window.since is not None:
        until = f"(FOREVER if {first} >= {window.since} else NEVER)"
    return Stretch(None, until, frozenset({leaf.first_time}))


TRAITS: Final = "\x00traits"
"""Stands for an event's name in `Stretch.after`: any event that brings traits."""


def write_trait(leaf: TraitIs, writer: Writer) -> Stretch:
    """True for ever, as long as no event brings another value."""

    def write(number: str) -> str:
        names = dict.fromkeys([split(leaf.trait)[0], *(split(other)[0] for other in refs(leaf.is_))])
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
    return Stretch(None, known, frozenset({TRAITS}))


def _every(parts: Sequence[Stretch]) -> Stretch:
    begins = [part.since for part in parts if part.since is not None]
    return Stretch(
        _extreme("max", begins) if begins else None,
        _extreme("min", [part.until for part in parts]),
        frozenset().union(*(part.after for part in parts)),
        all(part.denies for part in parts),
    )


def _some(parts: Sequence[Stretch]) -> Stretch:
    if len(parts) == 1:
        return parts[0]
    if any(part.since is not None for part in parts):
        raise Unsaid
    return Stretch(
        None, _extreme("max", [part.until for part in parts]), frozenset().union(*(part.after for part in parts))
    )


def _none(parts: Sequence[Stretch]) -> Stretch:
    """What is true now until some instant is false until then, and true for ever from then on."""
    some = _some(parts)
    if some.since is not None:
        raise Unsaid
    return Stretch(some.until, "FOREVER", some.after, denies=True)


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
}
"""The conditions that can be said as one stretch; every other kind is the readable engine's."""


def written(condition: Any, writer: Writer) -> Stretch:
    """When the condition is true. Raises `Unsaid` if that is not one stretch."""
    write = WRITERS.get(type(condition))
    if write is None:
        raise Unsaid
    return write(condition, writer)


def sayable(conditions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the segments' conditions that can be written."""
    found = {}
    for name, condition in conditions.items():
        try:
            written(condition, Writer(conditions))
        except Unsaid:
            continue
        found[name] = condition
    return found


def generate(conditions: Mapping[str, Any], max_age: int) -> Run:
    """The function for these segments' conditions, all of them sayable."""
    writer = Writer(conditions)
    stretches = {name: written(condition, writer) for name, condition in conditions.items()}
    for number, stretch in enumerate(stretches.values()):
        writer.variable(f"until_{number}", "NEVER")
        if stretch.since is not None:
            writer.variable(f"since_{number}", "NEVER")
            writer.variable(f"inside_{number}", "False")
    bound = {
        "FOREVER": FOREVER, "NEVER": NEVER, "MISSING": MISSING, "Unfit": Unfit, "Counts": Counts,
        "deque": deque, "fewer": fewer, "key_of": key_of, "text": text, "value_at": value_at, **writer.bound,
    }  # fmt: skip
    exec(compile("\n".join(_lines(writer, stretches, max_age)), "<generated>", "exec"), bound)  # noqa: S102  # ours
    run: Run = bound["run"]  # type: ignore[assignment]  # it was just defined
    return run


def _lines(writer: Writer, stretches: Mapping[str, Stretch], max_age: int) -> list[str]:
    updates = [_update(number, name, stretch) for number, (name, stretch) in enumerate(stretches.items())]
    after = [stretch.after for stretch in stretches.values()]

    def updated(names: set[str]) -> list[str]:
        return [line for found, lines in zip(after, updates, strict=True) if found & names for line in lines]

    lines = ["last = now = NEVER", "folded = duplicate = late = 0", "seen = {}", "traits = {}"]
    lines += [f"{name} = {initial}" for name, initial in writer.variables.items()]
    lines += [
        "for e in events:",
        *_indented(_PREAMBLE.format(max_age=max_age, kept=KEPT_FOR, most=MOST_IDS).split("\n")),
    ]
    if writer.learning:
        lines += _indented(["if e.traits:", "    traits.update(e.traits)", *_indented(writer.learning)])
    names = sorted({*writer.taking, *frozenset().union(*after)} - {"*", TRAITS})
    keyword = "if"
    for name in names:
        body = [*writer.taking.get("*", ()), *writer.taking.get(name, ()), *updated({name, "*"})]
        lines += _indented([f"{keyword} name == {name!r}:", *_indented(body)])
        keyword = "elif"
    rest = [*writer.taking.get("*", ()), *updated({"*"})]
    if rest:
        lines += _indented(["else:", *_indented(rest)] if names else rest)
    if writer.learning:
        lines += _indented(["if e.traits:", *_indented(updated({TRAITS}))])
    denying = [
        line for stretch, found in zip(stretches.values(), updates, strict=True) if stretch.denies for line in found
    ]
    if denying:
        lines += _indented(["if folded == 1:", *_indented(denying)])
    lines.append("end = max(end, now)")
    for number, (name, stretch) in enumerate(stretches.items()):
        lines += _ending(number, name, stretch)
    lines.append("return Counts(folded, duplicate, late)")
    return ["def run(events, end, flips):", *_indented(lines)]


_PREAMBLE: Final = """\
now = e.received_at
message_id = e.message_id
before = seen.get(message_id)
if before is not None:
    if now - before > {kept} or len(seen) > {most}: raise Unfit
    duplicate += 1
    continue
t = e.occurred_at
if now - t > {max_age}:
    late += 1
    continue
if t < last: raise Unfit
last = t
seen[message_id] = now
folded += 1
name = e.name
p = e.properties"""
"""What every event begins with. `now`: it was received; `t`: it happened."""


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


def _update(number: int, name: str, stretch: Stretch) -> list[str]:
    """Say what came due before now, and what this event changes; of the stretch ahead keep both ends."""
    since, until, inside = f"since_{number}", f"until_{number}", f"inside_{number}"
    if stretch.since is None:
        return [
            f"u = {stretch.until}",
            "if u > now:",
            f"    if {until} < now:",
            f"        if {until} != NEVER: flips.append(({until}, {name!r}, False))",
            f"        flips.append((now, {name!r}, True))",
            f"    {until} = u",
            f"elif {until} != NEVER:",
            f"    flips.append(({until} if {until} < now else now, {name!r}, False))",
            f"    {until} = NEVER",
        ]
    return [
        f"if {until} != NEVER:",
        f"    if {since} < now and not {inside}:",
        f"        flips.append(({since}, {name!r}, True))",
        f"        {inside} = True",
        f"    if {until} < now:",
        f"        flips.append(({until}, {name!r}, False))",
        f"        {inside} = False",
        f"        {until} = NEVER",
        f"u = {stretch.until}",
        f"s = {stretch.since}",
        "if u > now and u > s:",
        "    if s <= now:",
        f"        if not {inside}:",
        f"            flips.append((now, {name!r}, True))",
        f"            {inside} = True",
        f"    elif {inside}:",
        f"        flips.append((now, {name!r}, False))",
        f"        {inside} = False",
        f"    {since} = s",
        f"    {until} = u",
        f"elif {until} != NEVER:",
        f"    if {inside}:",
        f"        flips.append((now, {name!r}, False))",
        f"        {inside} = False",
        f"    {until} = NEVER",
    ]


def _ending(number: int, name: str, stretch: Stretch) -> list[str]:
    """What time alone brings up to the end."""
    since, until, inside = f"since_{number}", f"until_{number}", f"inside_{number}"
    leaves = f"if {until} <= end: flips.append(({until}, {name!r}, False))"
    if stretch.since is None:
        return [f"if {until} != NEVER:", "    " + leaves]
    return [
        f"if {until} != NEVER and ({inside} or {since} <= end):",
        f"    if not {inside}: flips.append(({since}, {name!r}, True))",
        "    " + leaves,
    ]
