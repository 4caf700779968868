"""Conditions in SQL: each kind that one window expression says, as the name of the step that gives its spans."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel
from sqlglot import exp

from segue.domain.batch.dialects import call, literal
from segue.domain.batch.matching import LARGEST_EXACT, Beyond, figure_test, json_path, test
from segue.domain.batch.script import HISTORY, KNOWN, Script
from segue.domain.event import TRAIT_EVENTS
from segue.domain.rules.definition import KINDS
from segue.domain.rules.evidence import CalendarWindow, Window
from segue.domain.rules.intervals import FOREVER
from segue.domain.rules.kinds.absent import Absent
from segue.domain.rules.kinds.aggregate import Aggregate, AggregateOf
from segue.domain.rules.kinds.did import Did, needed
from segue.domain.rules.kinds.first_time import FirstTime
from segue.domain.rules.kinds.logic import All, Any_, AtLeast, InSegment, None_, Not
from segue.domain.rules.kinds.recency import Stopped
from segue.domain.rules.kinds.together import Together
from segue.domain.rules.kinds.trait import TraitIs
from segue.domain.rules.measurements import window_of
from segue.domain.rules.operators import COUNTING, matcher, operation, split

COSTS: Final[Mapping[type[BaseModel], int]] = {Did: 1, FirstTime: 2, Absent: 3, Stopped: 3, Aggregate: 4}
"""What the spans of kinds that choose events cost, roughly; other kinds hold for people who did nothing."""

MOST_COSTLY: Final = 5

KIND_OF: Final[Mapping[type[BaseModel], str]] = {model: kind for kind, (model, _) in KINDS.items()}

TOTAL: Final = [exp.column(f"t{number}") for number in range(4)]


@dataclass
class Writer:
    """What conditions are written into: one script for a whole catalogue.

    `computed` are the names of the computed traits; `columns` the values that must be taken out of the events, as
    (`properties` or `traits`, path, the events' name); `names` the events; `odd`, of the segment at hand, the profiles
    of whom SQL is not certain; `segments` the spans of those done so far, and `odd_of` the profiles of whom it was not
    certain there. `within` is a step with the only profiles that matter to the condition at hand, if not all do.
    """

    computed: Collection[str] = ()
    script: Script = field(default_factory=Script)
    columns: dict[tuple[str, str, str], str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    odd: dict[str, None] = field(default_factory=dict)
    segments: dict[str, str] = field(default_factory=dict)
    odd_of: dict[str, dict[str, None]] = field(default_factory=dict)
    within: str | None = None

    def column(self, root: str, path: str, name: str) -> exp.Expr:
        """The column that holds the value at a path of the events of a name."""
        json_path(path)
        return exp.column(self.columns.setdefault((root, path, name), f"{root[0]}{len(self.columns)}"))

    def rows(self, name: str, where: Mapping[str, Any] | None) -> exp.Expr:
        """Which rows are events of a name that pass a `where`."""
        self.names.add(name)
        named = exp.true() if name == "*" else exp.EQ(this=exp.column("name"), expression=literal(name))
        tests = [(self.column("properties", path, name), one) for path, one in (where or {}).items()]
        for value, _ in tests:
            self.note_odd(named, value, exp.or_(call("is_array", value), _vast(value)))
        return exp.and_(named, *(test(one, value) for value, one in tests))

    def note_odd(self, rows: exp.Expr, value: exp.Expr, odd: exp.Expr) -> None:
        """The engine folds whoever has such a row with a value that is odd; a text never is."""
        self.odd[
            f"SELECT profile FROM {HISTORY} WHERE {exp.and_(rows, exp.not_(call('is_text', value)), odd).sql('duckdb')}"
        ] = None

    def selected(self, name: str, where: Mapping[str, Any] | None, **columns: exp.Expr) -> str:
        """The events of a name that pass a `where`, with further columns."""
        more = "".join(f", {value.sql('duckdb')} AS {column}" for column, value in columns.items())
        rows = self.rows(name, where).sql("duckdb")
        some = f" AND profile IN (SELECT profile FROM {self.within})" if self.within else ""
        return self.script.add(f"SELECT profile, occurred_at, received_at{more} FROM {HISTORY} WHERE {rows}{some}")

    def key_of(self, name: str, where: Mapping[str, Any] | None, path: str) -> exp.Expr:
        """A text that equal values at a path of these events share; NULL where there is none."""
        rows, value = self.rows(name, where), self.column("properties", path, name)
        compound = exp.or_(call("is_array", value), call("is_object", value))
        self.note_odd(rows, value, exp.or_(compound, _vast(value)))
        number = exp.cast(exp.Add(this=call("number", value), expression=literal(0.0)), "text")
        return (
            exp.Case()
            .when(call("is_text", value), exp.DPipe(this=literal("s"), expression=call("text", value)))
            .when(call("is_number", value), exp.DPipe(this=literal("n"), expression=number))
            .when(call("is_literal", value, literal("true")), literal("true"))
            .when(call("is_literal", value, literal("false")), literal("false"))
        )

    def spans(self, condition: BaseModel) -> str:
        """The step with the spans of a condition. Raises `Beyond` where SQL does not say it for certain."""
        if type(condition) not in WRITERS:
            raise Beyond(KIND_OF[type(condition)])
        return WRITERS[type(condition)](self, condition)


def _vast(value: exp.Expr) -> exp.Expr:
    """Whether a JSON value is a number that a double may not hold."""
    beyond = exp.GT(this=exp.Abs(this=call("number", value)), expression=literal(float(LARGEST_EXACT)))
    return exp.Case().when(call("is_number", value), beyond).else_(exp.false())


def _window(leaf: Any) -> Window:
    window = window_of(leaf)
    if isinstance(window, CalendarWindow):
        raise Beyond("calendar")
    return window


def _did(writer: Writer, leaf: Did, window: Window | None = None) -> str:
    window = window or _window(leaf)
    holds = figure_test(leaf.count, TOTAL[0])
    if leaf.per is None and leaf.count == {"ge": 1}:
        return writer.script.present(writer.selected(leaf.did, leaf.where), window, "profile")
    if leaf.per is None:
        events = _enough(writer, writer.selected(leaf.did, leaf.where), "profile", leaf.count)
        changes = writer.script.entering(events, window)
        return _held(writer, [changes], 1, holds, matcher(leaf.count)(0, {}))
    key = writer.key_of(leaf.did, leaf.where, leaf.per)
    events = _with(writer, writer.selected(leaf.did, leaf.where, key=key), "key")
    changes = writer.script.entering(_enough(writer, events, "profile, key", leaf.count), window, keys="profile, key")
    return _some_group(writer, [changes], 1, exp.and_(TOTAL[0].copy() > 0, holds))


def _enough(writer: Writer, events: str, keys: str, count: Mapping[str, Any]) -> str:
    """The events of those who have, in all, as many as a count asks for."""
    holds, most = matcher(count), needed(dict(count))
    least = next((number for number in range(most + 1) if holds(number, {})), most)
    if least < 2:
        return events
    return writer.script.add(
        f"SELECT {events}.* FROM {events} "
        f"JOIN (SELECT {keys} FROM {events} GROUP BY {keys} HAVING count(*) >= {least}) AS enough USING ({keys})"
    )


def _held(writer: Writer, changes: Sequence[str], totals: int, holds: exp.Expr, from_nothing: bool) -> str:
    """Where totals satisfy a test; from the beginning of the profile on, if they do over nothing."""
    existing = [writer.script.existing(totals)] if from_nothing else []
    return writer.script.holding([*existing, *changes], totals, holds.sql("duckdb"))


def _some_group(writer: Writer, changes: Sequence[str], totals: int, holds: exp.Expr) -> str:
    """Where the totals of some group satisfy a test."""
    groups = writer.script.holding(changes, totals, holds.sql("duckdb"), keys="profile, key")
    return writer.script.covering(groups, "profile")


def _with(writer: Writer, events: str, column: str) -> str:
    """The events that have a value."""
    return writer.script.add(f"SELECT * FROM {events} WHERE {column} IS NOT NULL")


def _aggregate(writer: Writer, leaf: Aggregate, window: Window | None = None) -> str:
    part = leaf.aggregate
    window = window or _window(part)
    figure, _ = part.function
    if figure not in FIGURES:
        raise Beyond(f"aggregate {figure}")
    changes, totals, holds, from_nothing = FIGURES[figure](writer, part, window)
    if part.per is None:
        return _held(writer, changes, totals, holds, from_nothing)
    return _some_group(writer, changes, totals, exp.and_(TOTAL[totals - 1].copy() > 0, holds))


Figured = tuple[Sequence[str], int, exp.Expr, bool]
"""Changes, how many totals, the test of them, whether it holds over nothing. With `per` the last total is events."""


def _figured(writer: Writer, part: AggregateOf, **columns: exp.Expr) -> tuple[str, str, list[str]]:
    """The events an aggregate reads, the keys of its groups, and one more total for the events where it has groups."""
    if part.per is None:
        return writer.selected(part.of, part.where, **columns), "profile", []
    key = writer.key_of(part.of, part.where, part.per)
    events = writer.selected(part.of, part.where, key=key, **columns)
    return _with(writer, events, "key"), "profile, key", ["1"]


def _distinct(writer: Writer, part: AggregateOf, window: Window) -> Figured:
    value = writer.key_of(part.of, part.where, part.function[1])
    events, keys, _ = _figured(writer, part, value=value)
    holds, from_nothing = figure_test(part.is_, TOTAL[0]), matcher(part.is_)(0, {})
    if operation(part.is_)[0] in COUNTING:
        events = _enough(writer, events, keys, part.is_)
    values = writer.script.present(_with(writer, events, "value"), window, f"{keys}, value")
    changes = [writer.script.edges(values, keys)]
    if part.per is None or not from_nothing:
        return changes, 1, holds, from_nothing
    return [*changes, writer.script.entering(events, window, ("0", "1"), keys)], 2, holds, from_nothing


def _number(writer: Writer, part: AggregateOf, plain: bool) -> exp.Expr:
    """The column of the number an aggregate reads; `plain`: it must be a short decimal, so that sums are exact."""
    value = writer.column("properties", part.function[1], part.of)
    rows = writer.rows(part.of, part.where)
    inexact = exp.Is(this=call("decimal", value), expression=exp.null()) if plain else _vast(value)
    writer.note_odd(rows, value, exp.or_(call("is_array", value), exp.and_(call("is_number", value), inexact)))
    if plain:
        numbers = exp.and_(rows, call("is_number", value)).sql("duckdb")
        total = exp.Sum(this=exp.Abs(this=call("decimal", value))).sql("duckdb")
        large = f"{total} > {LARGEST_EXACT}"
        writer.odd[f"SELECT profile FROM {HISTORY} WHERE {numbers} GROUP BY profile HAVING {large}"] = None
        return call("decimal", value)
    return exp.Case().when(call("is_number", value), call("number", value))


def _sum(writer: Writer, part: AggregateOf, window: Window) -> Figured:
    events, keys, more = _figured(writer, part, number=_number(writer, part, plain=True))
    changes = writer.script.entering(events, window, ("coalesce(number, 0)", *more), keys)
    figure = exp.Div(this=exp.cast(TOTAL[0].copy(), "double"), expression=literal(1e6))
    return [changes], 1 + len(more), figure_test(part.is_, figure), matcher(part.is_)(0, {})


def _avg(writer: Writer, part: AggregateOf, window: Window) -> Figured:
    events, keys, more = _figured(writer, part, number=_number(writer, part, plain=True))
    counted = "case when number is null then 0 else 1 end"
    changes = writer.script.entering(events, window, ("coalesce(number, 0)", counted, *more), keys)
    numbers = exp.Mul(this=exp.cast(TOTAL[1].copy(), "double"), expression=literal(1e6))
    share = exp.Div(this=exp.cast(TOTAL[0].copy(), "double"), expression=exp.paren(numbers))
    figure = exp.Case().when(TOTAL[1].copy() > 0, share)
    return [changes], 2 + len(more), figure_test(part.is_, figure), operation(part.is_)[0] == "missing"


EXTREMES: Final[Mapping[str, tuple[str, str]]] = {"max": (">", "<"), "min": ("<", ">")}
"""What lies beyond a threshold, and what falls short of it, on the side of the figure."""

EXTREME_TESTS: Final[Mapping[str, str]] = {
    "outside_or_at": "t0 + t1 > 0",
    "outside": "t0 > 0",
    "inside_or_at": "t0 = 0 AND t1 + t2 > 0",
    "inside": "t0 + t1 = 0 AND t2 > 0",
    "eq": "t0 = 0 AND t1 > 0",
    "ne": "NOT (t0 = 0 AND t1 > 0) AND t0 + t1 + t2 > 0",
}
"""The totals are the numbers beyond the threshold, those at it, and those short of it."""

EXTREME_OPERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "max": {"gt": "outside", "ge": "outside_or_at", "lt": "inside", "le": "inside_or_at", "eq": "eq", "ne": "ne"},
    "min": {"lt": "outside", "le": "outside_or_at", "gt": "inside", "ge": "inside_or_at", "eq": "eq", "ne": "ne"},
}


def _extreme(writer: Writer, part: AggregateOf, window: Window) -> Figured:
    """The greatest or the least, told by how many numbers lie on which side of the threshold."""
    figure, _ = part.function
    name, operand = operation(part.is_)
    if name not in EXTREME_OPERATORS[figure]:
        raise Beyond(f"the operator {name} on {figure}")
    figure_test(part.is_, TOTAL[0])
    events, keys, more = _figured(writer, part, number=_number(writer, part, plain=False))
    threshold = literal(float(operand)).sql("duckdb")
    beyond, short = EXTREMES[figure]
    totals = [f"case when number {sign} {threshold} then 1 else 0 end" for sign in (beyond, "=", short)]
    changes = writer.script.entering(events, window, (*totals, *more), keys)
    holds: exp.Expr = exp.maybe_parse(EXTREME_TESTS[EXTREME_OPERATORS[figure][name]], dialect="duckdb")
    return [changes], 3 + len(more), exp.paren(holds), False


FIGURES: Final[Mapping[str, Callable[[Writer, AggregateOf, Window], Figured]]] = {
    "distinct": _distinct,
    "sum": _sum,
    "avg": _avg,
    "max": _extreme,
    "min": _extreme,
}


def _together(writer: Writer, leaf: Together) -> str:
    window = Window(far=leaf.together.within)
    return _every(
        writer,
        leaf.together.of,
        lambda part: _did(writer, part, window) if isinstance(part, Did) else _aggregate(writer, part, window),
    )


def _first_time(writer: Writer, leaf: FirstTime) -> str:
    """The first of what was received so far, until an earlier one arrives late."""
    window = _window(leaf)
    events = writer.selected(leaf.first_time, leaf.where)
    since = "" if window.since is None else f" AND first >= {window.since}"
    ends = FOREVER if window.far is None else f"first + {window.far}"
    return writer.script.add(
        f"SELECT profile, greatest(received_at, first + {window.near}) AS since, least(ends, {ends}) AS until FROM ("
        f"SELECT profile, received_at, min(occurred_at) OVER (PARTITION BY profile ORDER BY received_at) AS first, "
        f"lead(received_at, 1, {FOREVER}) OVER (PARTITION BY profile ORDER BY received_at) AS ends "
        f"FROM {events}) AS firsts "
        f"WHERE greatest(received_at, first + {window.near}) < least(ends, {ends}){since}"
    )


def _absent(writer: Writer, leaf: Absent) -> str:
    """Between two receipts the newest A and the newest B stand; B ends the wait if it is strictly later."""
    part = leaf.absent
    if part.same:
        raise Beyond("absent with same")
    after = writer.selected(part.after.did, part.after.where)
    without = writer.selected(part.without.did, part.without.where)
    begins = f"greatest(received_at, latest + {part.for_ or 0})"
    ends = "ends" if part.within is None else f"least(ends, latest + {part.within})"
    return writer.script.add(
        f"SELECT profile, {begins} AS since, {ends} AS until FROM ("
        f"SELECT profile, received_at, max(done) OVER (PARTITION BY profile ORDER BY received_at) AS latest, "
        f"max(undone) OVER (PARTITION BY profile ORDER BY received_at) AS ended, "
        f"lead(received_at, 1, {FOREVER}) OVER (PARTITION BY profile ORDER BY received_at) AS ends FROM ("
        f"SELECT profile, received_at, occurred_at AS done, NULL AS undone FROM {after} "
        f"UNION ALL SELECT profile, received_at, NULL AS done, occurred_at AS undone FROM {without}"
        f") AS both_kinds) AS waits "
        f"WHERE latest IS NOT NULL AND (ended IS NULL OR ended <= latest) AND {begins} < {ends}"
    )


def _stopped(writer: Writer, leaf: Stopped) -> str:
    events = writer.selected(leaf.stopped, leaf.where)
    before = writer.script.entering(events, Window(far=leaf.earlier, near=leaf.recent), ("1", "0"))
    lately = writer.script.entering(events, Window(far=leaf.recent), ("0", "1"))
    return writer.script.holding([before, lately], 2, "t0 > 0 AND t1 = 0")


def _trait(writer: Writer, leaf: TraitIs) -> str:
    """The value of the newest identify that names the trait, of those received so far; none before the first."""
    name = split(leaf.trait)[0]
    if name in writer.computed:
        raise Beyond(f"the computed trait {name}")
    named, value = writer.column("traits", name, "*"), writer.column("traits", leaf.trait, "*")
    writer.names.update(TRAIT_EVENTS)
    there = exp.not_(exp.Is(this=named, expression=exp.null()))
    writer.note_odd(there, value, exp.or_(call("is_array", value), _vast(value)))
    holds = test(leaf.is_, exp.column("value")).sql("duckdb")
    changes = writer.script.add(
        f"SELECT profile, received_at, occurred_at, message_id, {value.sql('duckdb')} AS value "
        f"FROM {HISTORY} WHERE {there.sql('duckdb')} "
        f"UNION ALL SELECT profile, since AS received_at, {-FOREVER} AS occurred_at, '' AS message_id, NULL AS value "
        f"FROM {KNOWN}"
    )
    return writer.script.add(
        f"SELECT profile, received_at AS since, until FROM ("
        f"SELECT profile, received_at, value, lead(received_at, 1, {FOREVER}) OVER ("
        f"PARTITION BY profile ORDER BY received_at, occurred_at, message_id) AS until FROM ("
        f"SELECT profile, received_at, occurred_at, message_id, value, max(occurred_at) OVER ("
        f"PARTITION BY profile ORDER BY received_at, occurred_at, message_id) AS newest FROM {changes}"
        f") AS heard WHERE occurred_at = newest) AS told WHERE received_at < until AND {holds}"
    )


def _every(writer: Writer, parts: Sequence[Any], spans: Callable[[Any], str]) -> str:
    """Where all parts hold: the cheapest says whose events the others have to look at."""
    ordered = sorted(parts, key=lambda part: COSTS.get(type(part), MOST_COSTLY))
    outer = writer.within
    found = {(first := spans(ordered[0])): None}
    if COSTS.get(type(ordered[0]), MOST_COSTLY) < MOST_COSTLY:
        writer.within = first
    found |= {spans(part): None for part in ordered[1:]}
    writer.within = outer
    if len(found) == 1:
        return first
    *_, last = found
    some = writer.script.add(f"SELECT * FROM {first} WHERE profile IN (SELECT profile FROM {last})")
    return _at_least(writer, len(found), [some, *(part for part in found if part != first)])


def _at_least(writer: Writer, count: int, parts: Sequence[str]) -> str:
    """Where so many parts hold."""
    if count == len(parts) == 1:
        return parts[0]
    return writer.script.holding([writer.script.edges(part) for part in parts], 1, f"t0 >= {count}")


def _no(writer: Writer, parts: Sequence[str]) -> str:
    return writer.script.holding([writer.script.existing(1), *map(writer.script.edges, parts)], 1, "t0 = 0")


def _segment(writer: Writer, condition: InSegment) -> str:
    if condition.segment not in writer.segments:
        raise Beyond(f"the segment {condition.segment}, which the engine folds")
    writer.odd |= writer.odd_of[condition.segment]
    return writer.segments[condition.segment]


def _parts(writer: Writer, parts: Sequence[BaseModel]) -> list[str]:
    return [writer.spans(part) for part in parts]


WRITERS: Final[Mapping[type[BaseModel], Callable[[Writer, Any], str]]] = {
    All: lambda writer, one: _every(writer, one.all, writer.spans),
    Any_: lambda writer, one: _at_least(writer, 1, _parts(writer, one.any)),
    None_: lambda writer, one: _no(writer, _parts(writer, one.none)),
    Not: lambda writer, one: _no(writer, [writer.spans(one.not_)]),
    AtLeast: lambda writer, one: _at_least(writer, one.at_least.count, _parts(writer, one.at_least.of)),
    InSegment: _segment,
    Did: _did,
    Aggregate: _aggregate,
    Together: _together,
    FirstTime: _first_time,
    Absent: _absent,
    Stopped: _stopped,
    TraitIs: _trait,
}
"""The kinds that SQL says; every other is folded by the engine."""
