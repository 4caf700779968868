"""Generated code: one function that folds a profile's whole history, for segments whose truth is one stretch at a time.

What events change are a few local variables, and of each segment it is kept where its stretch begins and ends. Those
that differ only in how long or how much they ask for share one comparison, however many they are: `Rungs` of a window,
`Levels` of a score. Where a history is not in order, holds what is seldom seen, or comes near a cap, the function
raises `Unfit` and the readable engine folds it; both give the same transitions.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from segue.domain.event import Event
from segue.domain.rules.intervals import FOREVER
from segue.domain.rules.operators import MISSING, text, value_at
from segue.domain.rules.program import Program
from segue.domain.rules.ring import KEPT_FOR, MOST_IDS
from segue.domain.rules.state import Counts
from segue.domain.rules.stretches import (
    EQUAL,
    NEVER,
    TRAITS,
    Fading,
    Stretch,
    Unfit,
    Unsaid,
    Writer,
    fewer,
    key_of,
    written,
)

Flip: TypeAlias = tuple[int, str, bool]
"""At an instant, a segment was entered (or else left)."""


class Run(Protocol):
    """Folds events in the order in which they were received, and lets time come to `end` afterwards.

    What is entered and left is appended to `flips`, in no particular order; what was entered and left at the same
    instant is in it twice. Raises `Unfit`, whatever `flips` then holds.
    """

    def __call__(self, events: Sequence[Event], end: int, flips: list[Flip]) -> Counts: ...


def generate(program: Program, names: Iterable[str]) -> Run:
    """The function for these segments, all of them among `sayable`."""
    writer = _writer(program)
    stretches = {name: written(writer.conditions[name], writer) for name in names}
    source = "\n".join(_function(writer, stretches, program.max_age))
    bound = {
        "FOREVER": FOREVER, "NEVER": NEVER, "MISSING": MISSING, "Unfit": Unfit, "Counts": Counts, "deque": deque,
        "fewer": fewer, "key_of": key_of, "text": text, "value_at": value_at, **writer.bound,
    }  # fmt: skip
    exec(compile(source, "<generated>", "exec"), bound)  # noqa: S102  # every name in it was chosen here or quoted
    run: Run = bound["run"]
    return run


def sayable(program: Program) -> list[str]:
    """The segments that the generated code can say: those without a memory or purposes, and of the right conditions."""
    trial = _writer(program)
    found = []
    for name, condition in trial.conditions.items():
        try:
            written(condition, trial)
        except Unsaid:
            continue
        found.append(name)
    return found


def _writer(program: Program) -> Writer:
    plain = [segment for segment in program.order if segment.memory is None and segment.consented is None]
    conditions = {one.id: one.condition for one in plain}
    return Writer(conditions, program.score_definitions, program.max_age, program.computed.keys())


class Part(NamedTuple):
    """What keeps some segments up to date: the names of the events after which its lines run, the same lines without
    the question whether anything has changed (if it may be true before any event), and what time alone brings."""

    after: frozenset[str]
    lines: list[str]
    first: list[str]
    ending: list[str]


def _function(writer: Writer, stretches: Mapping[str, Stretch], max_age: int) -> list[str]:
    parts = _parts(writer, stretches)

    def updates(names: set[str]) -> list[str]:
        return [line for part in parts if part.after & names for line in part.lines]

    def taken(names: set[str]) -> list[str]:
        takes = [line for name in sorted(names) for line in writer.taking.get(name, ())]
        sums = [line for after, lines in writer.summing if after & names for line in lines]
        return [*takes, *sums, *updates(names)]

    body = _PREAMBLE.format(max_age=max_age, kept=KEPT_FOR, most=MOST_IDS).split("\n")
    if writer.learning:
        body += ["if e.traits:", "    traits.update(e.traits)", *_indented(writer.learning)]
    names = sorted(frozenset(writer.taking).union(*(part.after for part in parts)) - {"*", TRAITS})
    for number, name in enumerate(names):
        body += [f"{'elif' if number else 'if'} name == {name!r}:", *_indented(taken({"*", name}))]
    if rest := taken({"*"}):
        body += ["else:", *_indented(rest)] if names else rest
    if writer.learning:
        body += ["if e.traits:", *_indented(updates({TRAITS}))]
    if first := [line for part in parts for line in part.first]:
        body += ["if folded == 1:", *_indented(first)]
    return [
        "def run(events, end, flips):",
        *_indented([
            "last = now = NEVER",
            "folded = duplicate = late = 0",
            "seen = {}",
            "traits = {}",
            *(f"{name} = {initial}" for name, initial in writer.variables.items()),
            "for e in events:",
            *_indented(body),
            "end = max(end, now)",
            *(line for part in parts for line in part.ending),
            "return Counts(folded, duplicate, late)",
        ]),
    ]  # fmt: skip


_PREAMBLE: Final = """\
now = e.received_at
message_id = e.message_id
if message_id in seen:
    if now - seen[message_id] > {kept} or len(seen) > {most}: raise Unfit
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


MANY: Final = 3
"""From so many on, segments that differ only in how long they ask for share a comparison."""


def _parts(writer: Writer, stretches: Mapping[str, Stretch]) -> list[Part]:
    rungs: dict[str, dict[str, Stretch]] = {}
    levels: dict[str, dict[str, Stretch]] = {}
    single: dict[str, Stretch] = {}
    for name, stretch in stretches.items():
        if stretch.level is not None:
            levels.setdefault(stretch.level[0], {})[name] = stretch
        elif stretch.rung is not None:
            rungs.setdefault(stretch.rung[0], {})[name] = stretch
        else:
            single[name] = stretch
    parts = [_levels(writer, score, found) for score, found in levels.items()]
    for base, found in rungs.items():
        if len(found) >= MANY:
            parts.append(_rungs(writer, base, found))
        else:
            single |= found
    return [*parts, *(_one(writer, name, stretch) for name, stretch in single.items())]


def _one(writer: Writer, name: str, stretch: Stretch) -> Part:
    number = len(writer.variables)
    until = writer.variable(f"until{number}", "NEVER")
    if stretch.since is None:
        return Part(stretch.after, _from_now(name, stretch, until), [], [
            f"if NEVER < {until} <= end: flips.append(({until}, {name!r}, False))"
        ])  # fmt: skip
    since = writer.variable(f"since{number}", "NEVER")
    inside = writer.variable(f"inside{number}", "False")
    before = [writer.variable(f"before{number}_{k}", "None") for k in range(len(stretch.inputs))]
    lines = _from_then(name, stretch, since, until, inside)
    differs = " or ".join(f"{old} != {new}" for old, new in zip(before, stretch.inputs, strict=True))
    keeps = [f"{old} = {new}" for old, new in zip(before, stretch.inputs, strict=True)]
    ending = [
        f"if {until} != NEVER and ({inside} or {since} <= end):",
        f"    if not {inside}: flips.append(({since}, {name!r}, True))",
        f"    if {until} <= end: flips.append(({until}, {name!r}, False))",
    ]
    first = lines if stretch.denies else []
    return Part(stretch.after, [f"if {differs}:", *_indented([*lines, *keeps])], first, ending)


def _from_now(name: str, stretch: Stretch, until: str) -> list[str]:
    """A segment that, if it is true, is true now: its exit, if it came due before, and what this event changes."""
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


def _from_then(name: str, stretch: Stretch, since: str, until: str, inside: str) -> list[str]:
    """A segment that may come to be true by time alone."""
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


def _rungs(writer: Writer, base: str, stretches: Mapping[str, Stretch]) -> Part:
    number = len(writer.variables)
    rungs = writer.constant(
        f"rungs{number}", Rungs([(one.rung[1], name) for name, one in stretches.items() if one.rung])
    )
    kept, when = writer.variable(f"base{number}", "NEVER"), writer.variable(f"when{number}", "0")
    lines = [
        f"b = {base}",
        f"if b != {kept}:",
        f"    {rungs}.moved(flips, {kept}, {when}, b, now)",
        f"    {kept} = b",
        f"    {when} = now",
    ]
    return Part(_after(stretches), lines, [], [f"{rungs}.ended(flips, {kept}, {when}, end)"])


def _levels(writer: Writer, score: str, stretches: Mapping[str, Stretch]) -> Part:
    found = [(one.level[1], name) for name, one in stretches.items() if one.level]
    levels = writer.constant(f"levels{score}", Levels(found, writer.scores[score]))
    passed = writer.variable(f"passed{score}", "0")
    below = writer.variable(f"below{score}", repr(NEVER))
    above = writer.variable(f"above{score}", repr(levels_above(found)))
    lines = [
        f"if faded{score} < {below} or score{score} >= {above}:",
        f"    {passed}, {below}, {above} = {levels}.moved(events, flips, {passed}, faded{score}, score{score}, now)",
    ]
    ended = f"{levels}.ended(events, flips, {passed}, score{score}, scored{score}, end)"
    return Part(_after(stretches), lines, [], [ended])


def levels_above(levels: Sequence[tuple[float, str]]) -> float:
    """Up to where a score is below all levels."""
    return min(level for level, _ in levels) * (1 - EQUAL)


def _after(stretches: Mapping[str, Stretch]) -> frozenset[str]:
    return frozenset().union(*(stretch.after for stretch in stretches.values()))


class Rungs:
    """Segments that are true as long as one instant is not as far back as each of them asks for."""

    def __init__(self, rungs: Sequence[tuple[int, str]]) -> None:
        self._far = [far for far, _ in sorted(rungs)]
        self._names = [name for _, name in sorted(rungs)]

    def moved(self, flips: list[Flip], base: int, when: int, to: int, now: int) -> None:
        """The instant was `base`, last looked at at `when`; now it is `to`."""
        far, names = self._far, self._names
        inside = bisect_right(far, when - base)
        lapsed = bisect_left(far, now - base, inside)
        flips += [(base + far[k], names[k], False) for k in range(inside, lapsed)]
        held = max(inside, bisect_left(far, now - base))
        true = bisect_right(far, now - to)
        flips += [(now, name, True) for name in names[true:held]]
        flips += [(now, name, False) for name in names[held:true]]

    def ended(self, flips: list[Flip], base: int, when: int, end: int) -> None:
        """Time comes to the end."""
        far, names = self._far, self._names
        still = range(bisect_right(far, when - base), bisect_right(far, end - base))
        flips += [(base + far[k], names[k], False) for k in still]


class Levels:
    """Segments that are true as long as one fading score is not below the level of each of them."""

    def __init__(self, levels: Sequence[tuple[float, str]], fading: Fading) -> None:
        self._levels = [level for level, _ in sorted(levels)]
        self._names = [name for _, name in sorted(levels)]
        self._fading = fading

    def moved(
        self, events: Sequence[Event], flips: list[Flip], passed: int, faded: float, value: float, now: int
    ) -> tuple[int, float, float]:
        """`passed` levels were reached; the score has faded to this and then risen to that value.

        The number that are reached now, and between what bounds a score reaches just as many.
        """
        levels, names = self._levels, self._names
        left = min(passed, bisect_right(levels, faded * (1 + EQUAL)))
        reached = bisect_right(levels, value * (1 + EQUAL))
        if left < passed:
            lapses = self._fading.lapses(faded, levels[left:passed], now, events, now)
            at_once = min(lapses.count(now), max(0, reached - left))
            left += at_once  # what is left and entered at once never was left
            flips += [(at, name, False) for at, name in zip(lapses[at_once:], names[left:passed], strict=True)]
        flips += [(now, name, True) for name in names[left:reached]]
        below = levels[reached - 1] * (1 - EQUAL) if reached else NEVER
        above = levels[reached] * (1 - EQUAL) if reached < len(levels) else FOREVER
        return reached, below, above

    def ended(self, events: Sequence[Event], flips: list[Flip], passed: int, value: float, now: int, end: int) -> None:
        """Time comes to the end."""
        if passed:
            lapses = self._fading.lapses(value, self._levels[:passed], now, events)
            flips += [(at, name, False) for at, name in zip(lapses, self._names[:passed], strict=True) if at <= end]
