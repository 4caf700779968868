"""Hypothesis strategies for the rule language: catalogues, histories, and the orders they may be processed in.

Everything is drawn from a few names, a few values, and instants a few milliseconds or exactly a limit apart, so that
collisions and boundaries are the rule. Of each list of options the first is the simplest: counterexamples shrink to it.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain.event import Event

Condition = dict[str, Any]
Catalog = dict[str, dict[str, Any]]
Option = TypeVar("Option")

START: Final = 1_767_225_600_000
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
LATENESS: Final = HOUR
MAX_AGE: Final = 30 * DAY

NAMES: Final = ("A", "B", "C")
IDENTIFIED: Final = "Identified"
SELECTED: Final = (*NAMES[:2], *NAMES[:2], *NAMES[:2], *NAMES, IDENTIFIED, "*")
"""Event names as conditions say them."""

DURATIONS: Final = ("1ms", "2ms", "3ms", "4ms", "6ms", "9ms", "20ms", "1h", "3600002ms", "2h", "1d", "33d")

REACHING: Final = ("3600002ms", "3600006ms", "2h", "2h")
"""Durations that look back beyond the lateness at which the past freezes."""

TEXTS: Final = ("x", "y", "X", "caf\u00e9", "cafe\u0301", "")
VERSIONS: Final = ("1.9.0", "1.10.0", "1.10.0-rc.1", "1.10.0+later")
DATES: Final = ("2026-01-01", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00", 1_767_225_600_000)
NUMBERS: Final = (0, 1, 1.0, 2, 3, -1, 0.1, 0.2, 0.3, 2.5, 0.0000015, 0.000002, 2.0000005)
SCALARS: Final = (*TEXTS, *NUMBERS, True, False)
PATHS: Final = ("k", "n", "tags", "version", "date", "deep.k", "items", "items.k")
GROUPS: Final = ("k", "k", "tags", "n", "deep.k", "items.k")


@cache
def _index(options: int) -> st.SearchStrategy[int]:
    return st.integers(0, options - 1)


class Choices:
    """What a test case is made of: one small choice after the other."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one(self, options: Sequence[Option]) -> Option:
        """One of the options."""
        return options[self._draw(_index(len(options)))]

    def number(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return least + self._draw(_index(most - least + 1))

    def many(self, most: int) -> int:
        """A whole number from one to `most`, large rather than small."""
        return max(self.number(1, most), self.number(1, most))

    def seldom(self, times: int = 4) -> bool:
        """True about once in so many times."""
        return self._draw(_index(times)) == times - 1

    def some(self, make: Callable[["Choices"], Option], least: int, most: int) -> list[Option]:
        """So many of what `make` makes."""
        return [make(self) for _ in range(self.number(least, most))]

    def made(self, makers: Sequence[Callable[["Choices"], Option]]) -> Option:
        """What one of the makers makes."""
        return self.one(makers)(self)


def length(duration: str) -> int:
    """The milliseconds of a duration drawn here."""
    units = {"ms": 1, "h": HOUR, "d": DAY}
    unit = duration.lstrip("0123456789")
    return int(duration.removesuffix(unit)) * units[unit]


def scalar(choices: Choices) -> Any:
    """A text, a number or a truth value."""
    return choices.one(SCALARS)


def anything(choices: Choices) -> Any:
    """A value where its name promises something else."""
    if choices.seldom():
        return [choices.one((None, *SCALARS)) for _ in range(choices.number(0, 3))]
    return choices.one((None, *SCALARS))


def item(choices: Choices) -> Any:
    """An object as it stands in an array."""
    found = {"k": choices.one(("x", "y", 1)), "n": choices.one(NUMBERS)}
    return {name: found[name] for name in found if not choices.seldom()}


PROPERTIES: Final[dict[str, Callable[[Choices], Any]]] = {
    "k": lambda choices: choices.one(("x", "y", "x", "y", "x", "X", "caf\u00e9", "cafe\u0301")),
    "n": lambda choices: choices.one(NUMBERS),
    "tags": lambda choices: choices.some(lambda inner: inner.one(("x", "y", "X", 1, 2.5, None)), 0, 3),
    "version": lambda choices: choices.one(VERSIONS),
    "date": lambda choices: choices.one(DATES),
    "deep": lambda choices: {"k": choices.one(("x", "y", None, 1))},
    "items": lambda choices: choices.some(item, 0, 3),
}
"""What usually lies at a property, or at a trait."""


def attributes(choices: Choices) -> dict[str, Any]:
    """Properties or traits: a few, mostly of the kind that their names promise."""
    names = [name for name in ("k", "n", "tags") if not choices.seldom()]
    names += [name for name in PROPERTIES if name not in ("k", "n", "tags") and choices.seldom()]
    return {name: (anything if choices.seldom(12) else PROPERTIES[name])(choices) for name in names}


def comparison(choices: Choices) -> Condition:
    """Order or equality against a literal."""
    name = choices.one(("eq", "ne", "gt", "ge", "lt", "le"))
    return {name: choices.one(SCALARS if name in ("eq", "ne") else (*TEXTS, *NUMBERS))}


def amount(choices: Choices) -> Condition:
    """A test of a number."""
    if choices.seldom():
        return {"between": sorted([choices.one(NUMBERS), choices.one(NUMBERS)])}
    return {choices.one(("ge", "eq", "ne", "gt", "lt", "le")): choices.one(NUMBERS)}


def text_test(choices: Choices) -> Condition:
    """A test of text, with or without regard to case."""
    name = choices.one(("eq", "ne", "contains", "not_contains", "starts_with", "ends_with", "matches"))
    literals = ("x", "^caf.$", "[xy]", "^$") if name == "matches" else ("x", "X", "caf\u00e9", "CAFE\u0301", "af")
    case = {"ignore_case": True} if choices.seldom() else {}
    return {name: choices.one(literals), **case}


def list_test(choices: Choices) -> Condition:
    """A test against a list of different values."""
    literals = {(type(value), value): value for value in choices.some(scalar, 1, 3)}
    return {choices.one(("in", "not_in", "any_of", "all_of", "none_of")): list(literals.values())}


def version_test(choices: Choices) -> Condition:
    """A comparison of versions."""
    return {f"semver_{choices.one(('eq', 'ne', 'gt', 'ge', 'lt', 'le'))}": choices.one(VERSIONS)}


def date_test(choices: Choices) -> Condition:
    """A comparison of dates."""
    return {choices.one(("before", "after")): choices.one(DATES)}


def presence(choices: Choices) -> Condition:
    """A test of being there at all."""
    return {choices.one(("exists", "missing")): True}


def reference(choices: Choices) -> Condition:
    """A comparison with another path from the same root."""
    return {choices.one(("eq", "ne", "gt", "ge", "lt", "le")): {"ref": choices.one(PATHS)}}


def element_test(choices: Choices) -> Condition:
    """A test of the objects in an array, each as a whole."""
    return {"any": {path: choices.made(VALUE_TESTS) for path in choices.one((("k",), ("n",), ("k", "n")))}}


LITERAL_TESTS: Final = (scalar, comparison, amount, text_test, list_test, version_test, date_test, presence)
VALUE_TESTS: Final = (*LITERAL_TESTS, reference, reference)

FITTING_TESTS: Final[dict[str, Sequence[Callable[[Choices], Any]]]] = {
    "k": (lambda choices: choices.one(("x", "y")), lambda _: "x", text_test, list_test),
    "n": (amount,),
    "tags": (lambda choices: choices.one(("x", "y")), list_test, text_test),
    "version": (version_test,),
    "date": (date_test,),
    "items": (element_test,),
}
"""Tests that have to do with what usually lies at a path."""


def literal_test(choices: Choices) -> tuple[str, Any]:
    """A path, and a test of it that refers to nothing else."""
    if choices.seldom():
        return choices.one(PATHS), choices.made(LITERAL_TESTS)
    path = choices.one(("k", "k", "k", "n", "tags", "version", "date"))
    return path, choices.made(FITTING_TESTS[path])


def where_test(choices: Choices) -> tuple[str, Any]:
    """A path and a test of it."""
    if choices.seldom():
        return choices.one(PATHS), choices.made((*VALUE_TESTS, element_test))
    path = choices.one(("k", "k", "n", "n", *FITTING_TESTS))
    return path, choices.made(FITTING_TESTS[path])


def where(choices: Choices) -> Condition:
    """A `where` of one or two paths as a field, or none."""
    return {"where": dict(choices.some(where_test, 1, 2))} if choices.seldom(3) else {}


def window(choices: Choices) -> Condition:
    """A window as the fields of a leaf; no field is the window of all time."""
    kind = choices.one(("within", "ever", "within", "within", "ago", "since"))
    if kind == "within":
        return {"within": choices.one(DURATIONS)}
    if kind == "ago":
        ends = choices.number(1, len(DURATIONS) - 1)
        return {"ago": [DURATIONS[ends], DURATIONS[choices.number(0, ends - 1)]]}
    if kind == "since":
        begins = datetime.fromtimestamp((START + choices.number(-2, 12)) / 1_000, UTC)
        return {"since": begins.isoformat(timespec="milliseconds")}
    return {}


def no_window(_: Choices) -> Condition:
    """No window of its own, as inside `together`."""
    return {}


COUNTS: Final = {"ge": (1, 3), "eq": (0, 3), "le": (0, 2), "ne": (0, 2), "gt": (0, 2), "lt": (1, 3)}


def count(choices: Choices) -> Condition:
    """A threshold that some counts pass and others do not."""
    name = choices.one(("ge", "ge", "eq", "le", "ne", "gt", "lt", "between"))
    if name == "between":
        least = choices.number(1, 2)
        return {name: [least, least + choices.number(0, 1)]}
    return {name: choices.number(*COUNTS[name])}


def group_count(choices: Choices) -> Condition:
    """A threshold that a group, which has at least one event, may pass."""
    return {choices.one(("ge", "eq", "le")): choices.number(1, 3)}


def did(choices: Choices, window: Callable[[Choices], Condition] = window) -> Condition:
    """A count of events, per group now and then."""
    leaf = {"did": choices.one(SELECTED), **where(choices), **window(choices)}
    if choices.seldom():
        return {**leaf, "count": group_count(choices), "per": choices.one(GROUPS)}
    return {**leaf, "count": count(choices)} if choices.seldom(2) else leaf


def figure(choices: Choices) -> Condition:
    """An aggregate's figure and a test that suits it."""
    name = choices.one(("distinct", "sum", "avg", "min", "max", "latest", "first", "latest", "first"))
    if name in ("latest", "first"):
        path, test = literal_test(choices)
        return {name: path, "is": test}
    if name == "distinct":
        return {name: choices.one(("k", "n", "tags")), "is": choices.made((group_count, count))}
    test = presence(choices) if choices.seldom(8) else amount(choices)
    return {name: choices.one(("n", "n", "tags", "k")), "is": test}


def aggregate(choices: Choices, window: Callable[[Choices], Condition] = window) -> Condition:
    """A figure over events that compares."""
    per = {"per": choices.one(GROUPS)} if choices.seldom() else {}
    return {"aggregate": {"of": choices.one(SELECTED), **where(choices), **window(choices), **per, **figure(choices)}}


def together(choices: Choices) -> Condition:
    """Two or three leaves in one window."""
    of = [choices.one((did, did, aggregate))(choices, no_window) for _ in range(choices.number(2, 3))]
    return {"together": {"within": choices.one(DURATIONS), "of": of}}


def sequence(choices: Choices) -> Condition:
    """A few steps, one after the other."""
    steps: list[Condition] = []
    for _ in range(choices.number(2, 3)):
        step = {"did": choices.one(SELECTED), **where(choices)}
        if steps and choices.seldom(2):
            step["gap"] = choices.one(DURATIONS[:7])
        if steps and choices.seldom():
            step["without"] = choices.one(SELECTED)
        steps.append(step)
    spec: Condition = {"steps": steps}
    if not choices.seldom(3):
        spec["within"] = choices.one(DURATIONS)
    if choices.seldom():
        spec["without"] = choices.one(SELECTED)
    if choices.seldom(2):
        spec["same"] = choices.one((["k"], ["tags"], ["n"], ["items.k"], ["k", "n"]))
    return {"sequence": spec}


def absent(choices: Choices) -> Condition:
    """Something that was left undone, or (without `for`) not yet done."""
    spec: Condition = {"after": choices.one(SELECTED), "without": choices.one(SELECTED)}
    ends = choices.number(1, len(DURATIONS) - 1)
    spec |= choices.one(({"for": DURATIONS[ends - 1]}, {}))
    spec |= choices.one(({}, {"within": DURATIONS[ends]}))
    if choices.seldom(2):
        spec["same"] = choices.one((["k"], ["tags"], {"k": "items.k"}, {"tags": "tags"}, {"n": "n", "k": "k"}))
    return {"absent": spec}


def first_time(choices: Choices) -> Condition:
    """The first event ever."""
    return {"first_time": choices.one(SELECTED), **where(choices), "within": choices.one(DURATIONS)}


def side(choices: Choices) -> Condition:
    """A figure without a test."""
    events = {**where(choices), **window(choices)}
    if choices.seldom(2):
        name = choices.one(("sum", "distinct", "avg", "min", "max"))
        return {"aggregate": {"of": choices.one(SELECTED), name: choices.one(("n", "tags")), **events}}
    return {"did": choices.one(SELECTED), **events}


def compare(choices: Choices) -> Condition:
    """One figure against so many times another."""
    factor = {"factor": choices.one((2, 0.5, 0.6, 0.1, 1.5))} if choices.seldom(2) else {}
    op = choices.one(("ge", "gt", "lt", "le", "eq", "ne"))
    return {"compare": {"left": side(choices), "right": side(choices), "op": op, **factor}}


def trait(choices: Choices) -> Condition:
    """A condition on a trait."""
    path, test = (choices.one(PATHS), reference(choices)) if choices.seldom() else literal_test(choices)
    return {"trait": path, "is": test}


Leaves = Sequence[Callable[[Choices], Condition]]

FAMILIES: Final[Sequence[Leaves]] = (
    (did,),
    (aggregate, aggregate, compare),
    (sequence,),
    (absent,),
    (trait, trait, did),
    (together, first_time),
)
"""Kinds that are worth a catalogue's whole attention."""

LEAVES: Final = tuple(make for leaves in FAMILIES for make in leaves)


def condition(choices: Choices, leaves: Leaves, others: Sequence[str], depth: int = 2) -> Condition:
    """A tree of modest depth; `others` are the segments it may ask for."""
    if others and choices.seldom(6):
        return {"segment": choices.one(others)}
    if depth == 0 or not choices.seldom(4):
        return choices.made(leaves)
    kind = choices.one(("all", "any", "not", "none", "at_least"))
    if kind == "not":
        return {"not": condition(choices, leaves, others, depth - 1)}
    parts = [condition(choices, leaves, others, depth - 1) for _ in range(choices.number(1, 3))]
    return {kind: {"count": choices.number(1, len(parts)), "of": parts} if kind == "at_least" else parts}


@st.composite
def definitions(draw: st.DrawFn) -> Catalog:
    """A catalogue of a few segments of any kind or of one family, later ones asking for earlier ones now and then."""
    choices = Choices(draw)
    leaves = choices.one((LEAVES, *FAMILIES))
    catalog: Catalog = {}
    for number in range(choices.many(10)):
        definition: Condition = {"name": f"Segment {number}", "when": condition(choices, leaves, tuple(catalog))}
        if choices.seldom(2):
            definition["stays"] = choices.one((*DURATIONS, *REACHING))
        if choices.seldom(3):
            definition["until"] = condition(choices, leaves, tuple(catalog), depth=1)
        catalog[f"segment-{number}"] = definition
    return catalog


@st.composite
def definitions_of_one_event(draw: st.DrawFn) -> Catalog:
    """A catalogue of many tests of one event's properties, and of traits."""
    choices = Choices(draw)
    conditions: list[Condition] = []
    for _ in range(choices.number(1, 12)):
        path, test = where_test(choices) if choices.seldom(2) else (choices.one(PATHS), choices.made(VALUE_TESTS))
        conditions.append(trait(choices) if choices.seldom(6) else {"did": "*", "where": {path: test}})
    return {f"segment-{number}": {"name": "It", "when": when} for number, when in enumerate(conditions)}


@dataclass(frozen=True)
class Limits:
    """What the distances in a history are drawn around, in milliseconds."""

    lateness: int = LATENESS
    max_age: int = MAX_AGE
    apart: int = HOUR
    copied_within: int = DAY


ENGINE_LIMITS: Final = Limits()


@st.composite
def histories(draw: st.DrawFn, limits: Limits = ENGINE_LIMITS, most: int = 20) -> list[Event]:
    """A visitor's events in no particular order, with copies of messages and late arrivals."""
    choices = Choices(draw)
    lateness, max_age = limits.lateness, limits.max_age
    clusters = (0, choices.one((0, 0, limits.apart, 2 * limits.apart, limits.copied_within)))
    late = [lateness + more for more in (-1, 0, 1, 2, 4, 7, 20, lateness)]
    usual = choices.one(((0,), (0, 1, 2, 5), late, late, (max_age, max_age + 1)))
    delays = (0, choices.one(usual), choices.one(usual))
    events: list[Event] = []
    for number in range(choices.many(most)):
        name = choices.one((*NAMES[:2], *NAMES[:2], *NAMES, IDENTIFIED))
        occurred_at = START + choices.one(clusters) + choices.number(0, 12)
        carried = attributes(choices)
        event = Event(
            message_id=f"{choices.one('abcd')}{number}",
            name=name,
            occurred_at=occurred_at,
            received_at=occurred_at + choices.one(delays),
            properties={} if name == IDENTIFIED else carried,
            traits=carried if name == IDENTIFIED else {},
        )
        events.append(event)
        if choices.seldom(8):
            later = choices.one((0, 1, 5, lateness, limits.copied_within))
            events.append(replace(event, received_at=event.received_at + later))
    return events


@st.composite
def events(draw: st.DrawFn) -> Event:
    """One event, full of properties, or of traits."""
    choices = Choices(draw)
    carried = {name: value for _ in range(3) for name, value in attributes(choices).items()}
    if choices.seldom():
        return Event(message_id="a", name=IDENTIFIED, occurred_at=START, received_at=START, traits=carried)
    return Event(message_id="a", name="A", occurred_at=START, received_at=START, properties=carried)


@dataclass(frozen=True)
class Step:
    """One call of the engine: a message's events, or none and the instant of a tick."""

    events: tuple[Event, ...]
    at: int | None = None


MINUTE: Final = 60_000
SHOP: Final[dict[str, Sequence[dict[str, Any]]]] = {
    "Product Viewed": [
        {"product_id": 1, "category": "x", "on_sale": True},
        {"product_id": 2, "category": "x", "on_sale": False},
        {"product_id": 3, "category": "x", "on_sale": True},
        {"product_id": 4, "category": "x", "on_sale": True},
        {"product_id": 5, "category": "y"},
    ],
    "Product Added": [{"product_id": 1}],
    "Video Content Playing": [{"progress": 0.76}, {"progress": 0.75}],
    "Order Completed": [{"revenue": 200}, {"revenue": 300}, {"revenue": 100}, {"revenue": 199.99}, {}],
    "Coupon Applied": [{}],
    "Page Viewed": [{"name": "Home"}],
    IDENTIFIED: [{}],
}
"""What happens in a shop, with the properties it happens with."""


@st.composite
def visits(draw: st.DrawFn) -> list[Event]:
    """A shop visitor's events, apart by a moment or by what the shop's segments ask for, to the millisecond."""
    choices = Choices(draw)
    apart = (0, MINUTE, 0, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, DAY, 7 * DAY, 30 * DAY)
    happened: list[Event] = []
    occurred_at = START
    for number in range(choices.many(24)):
        name = choices.one(("Product Viewed", "Product Viewed", *SHOP))
        occurred_at += max(0, choices.one(apart) + choices.number(-1, 1))
        event = Event(
            message_id=str(number),
            name=name,
            occurred_at=occurred_at,
            received_at=occurred_at + choices.one((0, 0, 0, 1, MINUTE, LATENESS, LATENESS + MINUTE)),
            properties=choices.one(SHOP[name]),
        )
        happened.append(event)
    return happened


@st.composite
def floods(draw: st.DrawFn, messages: int) -> list[Step]:
    """Messages of a hundred events each, of random shapes: bulky or small, alike or all different, dense or spread."""
    source = random.Random(draw(st.integers(0, 2**32)))  # a drawn seed makes a flood that can be replayed
    spacing, bulk = draw(st.sampled_from((1, 0, 1_000, HOUR))), draw(st.sampled_from((1, 30, 2_000)))
    kinds = draw(st.sampled_from((2, 50, 10**6)))

    def text() -> str:
        return str(source.randrange(kinds)).zfill(bulk)

    def carried() -> dict[str, Any]:
        return {
            "k": text(),
            "n": source.choice((source.random(), source.randrange(kinds))),
            "tags": [text() for _ in range(source.randrange(8))],
            "deep": {"k": text()},
            "items": [{"k": text(), "n": source.randrange(kinds)} for _ in range(source.randrange(4))],
        }

    steps: list[Step] = []
    for number in range(messages):
        received_at = START + number * 100 * spacing
        happened: list[Event] = []
        for part in range(100):
            name = source.choice((*NAMES, IDENTIFIED))
            attributes = carried()
            event = Event(
                message_id=f"{number}-{part}",
                name=name,
                occurred_at=received_at - source.choice((0, part * spacing, 2 * HOUR, source.randrange(MAX_AGE))),
                received_at=received_at,
                properties={} if name == IDENTIFIED else attributes,
                traits=attributes if name == IDENTIFIED else {},
            )
            happened.append(event)
        steps.append(Step(tuple(happened)))
    return steps


@st.composite
def orders(draw: st.DrawFn, history: Sequence[Event]) -> list[Step]:
    """An order of processing in which nothing comes more than `LATENESS` after something received later; ticks between.

    Events received at the same instant may come as one message.
    """
    choices = Choices(draw)
    waiting = sorted(history, key=lambda event: event.received_at)
    steps: list[Step] = []
    while waiting:
        latest = waiting[0].received_at + LATENESS
        allowed = sum(event.received_at <= latest for event in waiting)
        message = [waiting.pop(choices.number(0, allowed - 1))]
        at_once = [event for event in waiting if event.received_at == message[0].received_at]
        message += at_once[: choices.number(0, len(at_once))]
        waiting = [event for event in waiting if all(event is not taken for taken in message)]
        steps.append(Step(tuple(message)))
        if waiting and choices.seldom():
            latest = waiting[0].received_at + LATENESS
            steps.append(Step((), choices.one((waiting[0].received_at, waiting[0].received_at - 1, latest))))
    return steps


def in_order(history: Iterable[Event]) -> list[Step]:
    """The messages as they were received, one for each instant."""
    received: dict[int, list[Event]] = {}
    for event in sorted(history, key=lambda event: event.received_at):
        received.setdefault(event.received_at, []).append(event)
    return [Step(tuple(events)) for events in received.values()]
