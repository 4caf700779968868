"""Hypothesis strategies for calendars, clocks, places and people: catalogues and histories around a turn of some zone.

A scene is drawn around an instant at which a zone's day, week or month turns or its clocks are put on or back; what
visitors do lies a few milliseconds to either side of it, or of where a day of 23, 24 or 25 hours would end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain.event import Event
from tests.oracle.calendar import local
from tests.strategies import (
    DAY,
    DURATIONS,
    HOUR,
    IDENTIFIED,
    REACHING,
    SELECTED,
    START,
    Catalog,
    Choices,
    Condition,
    aggregate,
    compare,
    condition,
    did,
    first_time,
    histories,
    trait,
    where,
    window,
)

CONSENT_UPDATED: Final = "Segment Consent Preference Updated"
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LISTS: Final[Mapping[str, frozenset[str]]] = {
    "vip": frozenset({"user_id:42", "anonymous_id:a1"}),
    "known": frozenset({"user_id:42", "user_id:43"}),
    "empty": frozenset(),
}
GRANTED_UNSAID: Final = frozenset({"stats"})
PURPOSES: Final = ("ads", "stats")


@dataclass(frozen=True)
class Turn:
    """A zone, and an instant at which its calendar turns or its clocks change."""

    zone: str
    at: int

    @property
    def shown(self) -> datetime:
        """What the zone's calendar and clocks show at the instant."""
        return local(self.at, self.zone)

    @property
    def puts_clocks(self) -> bool:
        """Whether the clocks are put on or back at the instant."""
        return local(self.at - 1, self.zone).utcoffset() != self.shown.utcoffset()


def turn(zone: str, written: str) -> Turn:
    """The turn at an instant written as ISO 8601 text."""
    return Turn(zone, round(datetime.fromisoformat(written).timestamp()) * 1_000)


TURNS: Final = (
    turn("UTC", "2026-01-01T00:00Z"),  # a month and a year
    turn("UTC", "2026-01-05T00:00Z"),  # a week
    turn("Europe/Paris", "2026-02-27T23:00Z"),  # 28 February
    turn("Europe/Paris", "2026-03-28T23:00Z"),  # a day of 23 hours
    turn("Europe/Paris", "2026-03-29T01:00Z"),  # the clocks put on
    turn("Europe/Paris", "2026-10-24T22:00Z"),  # a day of 25 hours
    turn("Europe/Paris", "2026-10-25T01:00Z"),  # the clocks put back
    turn("America/Havana", "2025-03-09T05:00Z"),  # a day without midnight
    turn("America/Havana", "2025-11-02T04:00Z"),  # a day with two midnights
    turn("America/Havana", "2025-11-02T05:00Z"),  # the second one
    turn("Asia/Kathmandu", "2026-01-31T18:15Z"),  # a month
    turn("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # the clocks put back by half an hour
    turn("Asia/Beirut", "2026-10-24T21:00Z"),  # the clocks put back from midnight to the day before
    turn("America/St_Johns", "2010-11-07T02:30Z"),  # a day that begins, goes back after a minute, and begins again
    turn("America/St_Johns", "2010-11-07T02:31Z"),  # where it goes back
    turn("Europe/Paris", "2024-02-28T23:00Z"),  # 29 February
)

CLOCKS: Final = [turn for turn in TURNS if turn.puts_clocks]
FEBRUARY: Final = 2
FEBRUARIES: Final = [turn for turn in TURNS if turn.shown.month == FEBRUARY and turn.zone == "Europe/Paris"]

JUMPS: Final = (0, 23 * HOUR, DAY, 25 * HOUR, HOUR, 2 * DAY, 7 * DAY, 7 * DAY - HOUR, 7 * DAY + HOUR, 31 * DAY)
"""How long after a turn the next one may be."""

GAPS: Final = ("1ms", "2ms", "3ms", "4ms", "6ms", "1h", "1d", "25h")
"""Distances that are to be met exactly."""

Maker = Callable[[Choices], Condition]


# Conditions


def zone(choices: Choices, turn: Turn) -> str:
    """The turn's zone, or another one now and then."""
    return choices.one(("UTC", "America/Havana", "Asia/Kathmandu")) if choices.seldom(8) else turn.zone


def calendar(choices: Choices, turn: Turn) -> Condition:
    """A calendar window as the field of a leaf, or another window now and then."""
    if choices.seldom():
        return window(choices)
    last = {"last": choices.number(1, 3)} if choices.seldom(2) else {}
    period = choices.one(("day", "day", "week", "month"))
    return {"calendar": {"period": period, **last, "tz": zone(choices, turn)}}


def did_lately(turn: Turn, choices: Choices) -> Condition:
    """A count of events in a calendar window."""
    return did(choices, partial(calendar, turn=turn))


def aggregate_lately(turn: Turn, choices: Choices) -> Condition:
    """A figure over the events in a calendar window."""
    return aggregate(choices, partial(calendar, turn=turn))


def first_lately(turn: Turn, choices: Choices) -> Condition:
    """The first event ever, in a calendar window."""
    return {"first_time": choices.one(SELECTED), **where(choices), **calendar(choices, turn)}


def compare_lately(turn: Turn, choices: Choices) -> Condition:
    """A comparison of counts, each in a window of its own."""
    made = compare(choices)
    sides = {side: {"did": choices.one(SELECTED), **calendar(choices, turn)} for side in ("left", "right")}
    return {"compare": {**made["compare"], **sides}}


def stopped(_: Turn, choices: Choices) -> Condition:
    """Done in the time before the recent one, and not since."""
    ends = choices.number(1, len(DURATIONS) - 1)
    spans = {"earlier": DURATIONS[ends], "recent": DURATIONS[choices.number(0, ends - 1)]}
    return {"stopped": choices.one(SELECTED), **where(choices), **spans}


def restarted(_: Turn, choices: Choices) -> Condition:
    """Back after a gap."""
    spans = {"gap": choices.one(GAPS), "recent": choices.one(DURATIONS)}
    return {"restarted": choices.one(SELECTED), **where(choices), **spans}


def regularly(turn: Turn, choices: Choices) -> Condition:
    """In some of the last periods."""
    last = choices.number(1, 4)
    spec: Condition = {"in": choices.number(1, last), "last": last, "tz": zone(choices, turn)}
    times = {"times": choices.number(1, 2)} if choices.seldom(2) else {}
    period = choices.one(("day", "day", "week", "month"))
    return {"regularly": choices.one(SELECTED), **where(choices), **times, "period": period, **spec}


def time(turn: Turn, choices: Choices) -> Condition:
    """Times of day at or near what the clocks show at the turn, on all or on some days."""
    near = [turn.shown + timedelta(minutes=minutes) for minutes in (0, -30, 30, -60, -30, 30, -1, 1, 15, 60, 90, 600)]
    start, end = (f"{choices.one(near):%H:%M}" for _ in range(2))
    spec: dict[str, Any] = choices.one(({"from": start, "until": end}, {"from": start}, {"until": end}, {}))
    begins, ends = spec.get("from", "00:00"), spec.get("until", "00:00")
    if begins == ends or choices.seldom(2):
        today = turn.shown.weekday()
        days = {WEEKDAYS[(today + ahead) % 7] for ahead in choices.one(((0,), (-1,), (-1, 0), (0, 1), (1, 2, 5)))}
        spec["days"] = sorted(days)
    return {"time": {**spec, "tz": zone(choices, turn)}}


def date(turn: Turn, choices: Choices) -> Condition:
    """A date among the traits against now."""
    if choices.seldom(2):
        test: Condition = {"anniversary": True, "tz": zone(choices, turn)}
    else:
        test = {choices.one(("within_last", "within_next", "more_than_ago")): choices.one(DURATIONS)}
    return {"date": choices.one(("due", "due", "due", "deep.due", "date")), "is": test}


def geo(_: Turn, choices: Choices) -> Condition:
    """A place, in one or more respects."""
    spec: Condition = {
        "country": choices.one(("FR", ["FR", "BE"], ["DE"])),
        "city": choices.one(("Paris", ["Paris", "Bruxelles"])),
        "region": "IDF",
        "near": {"lat": 48.85, "lon": 2.35, "km": choices.one((1, 5, 300, 20_015))},
    }
    respects = choices.one((("country",), ("near",), ("city",), ("country", "near"), ("region", "city")))
    return {"geo": {respect: spec[respect] for respect in respects}}


def sample(_: Turn, choices: Choices) -> Condition:
    """A share of the visitors."""
    return {"sample": {"percent": choices.one((50, 100, 20, 80.5)), "seed": choices.one(("seed", "x", "y"))}}


def listed(_: Turn, choices: Choices) -> Condition:
    """On a static list."""
    return {"list": choices.one(("vip", "known", "known", "empty"))}


def consent(_: Turn, choices: Choices) -> Condition:
    """A purpose that is granted."""
    return {"consent": choices.one((*PURPOSES, "other"))}


FAMILIES: Final[Sequence[Sequence[Callable[[Turn, Choices], Condition]]]] = (
    (did_lately, aggregate_lately, first_lately, compare_lately),
    (stopped, restarted, restarted),
    (regularly, regularly, did_lately),
    (time, time, did_lately),
    (date,),
    (geo, sample),
    (listed, consent, sample),
)
"""Kinds that are worth a catalogue's whole attention."""

ANY_KIND: Final = tuple(make for family in FAMILIES for make in family)
EARLIER_KINDS: Final[Sequence[Maker]] = (did, first_time, trait)


@st.composite
def definitions_around(draw: st.DrawFn, turn: Turn, family: Sequence[Callable[[Turn, Choices], Condition]]) -> Catalog:
    """A catalogue of a few segments of these kinds."""
    choices = Choices(draw)
    leaves: list[Maker] = [partial(make, turn) for make in family]
    if choices.seldom():
        leaves += EARLIER_KINDS
    return catalog_of(choices, leaves)


def catalog_of(choices: Choices, leaves: Sequence[Maker]) -> Catalog:
    """A few segments, often with everything that delays, prolongs or masks."""
    catalog: Catalog = {}
    remembers = choices.seldom(2)
    for number in range(choices.many(8)):
        definition: Condition = {"name": f"Segment {number}", "when": condition(choices, leaves, tuple(catalog))}
        if remembers and choices.seldom(2):
            definition["stays"] = choices.one((*DURATIONS[:-1], *REACHING))
        if remembers and choices.seldom(2):
            definition["enter_after"] = choices.one(("1ms", "2ms", "3ms", "6ms", "20ms", "1h", "25h", *REACHING))
        if remembers and choices.seldom(3):
            definition["until"] = condition(choices, leaves, tuple(catalog), depth=1)
        if choices.seldom():
            definition["purposes"] = choices.one((["ads"], ["stats"], ["ads", "stats"]))
        catalog[f"segment-{number}"] = definition
    return catalog


# Histories

PLACES: Final[Sequence[Any]] = (
    {"country": "FR", "city": "Paris", "region": "IDF", "latitude": 48.8738, "longitude": 2.295},
    {"country": "BE", "city": "Bruxelles", "latitude": 50.85, "longitude": 4.35},
    {"country": "US", "city": "Paris", "latitude": -48.85, "longitude": -177.65},
    {"country": None, "latitude": "48.85", "longitude": 2.35},
    {},
    "FR",
)

PREFERENCES: Final[Sequence[Any]] = (
    {"ads": True},
    {"ads": False},
    {"ads": True, "stats": True},
    {"stats": False},
    {"ads": "yes", "other": True},
    {"ads": None},
    {},
    [],
)


def due(choices: Choices, turn: Turn) -> Any:
    """A date near the turn, in some year, as text or as epoch milliseconds; seldom what is none."""
    moment = datetime.fromtimestamp((turn.at + choices.number(-6, 6)) / 1_000, UTC)
    day = turn.shown.date() + timedelta(days=choices.number(-1, 1))
    years = [f"{year}-{day:%m-%d}" for year in (day.year, day.year - 1, day.year - 3)]
    moments = [moment.isoformat(), moment.replace(year=moment.year - 1).isoformat(), round(moment.timestamp() * 1_000)]
    if turn.shown.month == FEBRUARY and not choices.seldom(4):
        return choices.one(("2020-02-29", "2020-02-29", "2024-02-29", "2020-02-29T12:00:00Z", "2020-02-28"))
    return choices.one((*years, *moments, turn.at + 0.5, "2024-02-29", "soon", [day.isoformat()]))


@dataclass(frozen=True)
class Extras:
    """What an event is given beside what it has."""

    jump: int
    fields: dict[str, Any]


def extras(choices: Choices, turn: Turn, jumps: Sequence[int], event: Event) -> Extras:
    """Who and where the visitor is, and what they consent to or say of themselves."""
    fields: dict[str, Any] = {
        "anonymous_id": choices.one((None, "a1", "a2")),
        "user_id": choices.one((None, None, "42", "43")),
    }
    context: dict[str, Any] = {}
    if choices.seldom(3):
        context["location"] = choices.one(PLACES)
    if event.name == IDENTIFIED:
        dates = {name: due(choices, turn) for name in ("due", "date") if not choices.seldom(3)}
        fields["traits"] = {**event.traits, **dates, "deep": {"due": due(choices, turn)}}
    elif choices.seldom(5):
        fields["name"] = CONSENT_UPDATED
        context["consent"] = {"categoryPreferences": choices.one(PREFERENCES)}
    return Extras(choices.one(jumps), {**fields, "context": context})


@st.composite
def histories_around(draw: st.DrawFn, turn: Turn) -> list[Event]:
    """A visitor's events around a turn, and around where the next ones may be."""
    choices = Choices(draw)
    jumps = (0, 0, choices.one(JUMPS), choices.one(JUMPS))
    given: dict[str, Extras] = {}
    events: list[Event] = []
    for event in draw(histories()):
        if event.message_id not in given:
            given[event.message_id] = extras(choices, turn, jumps, event)
        extra = given[event.message_id]
        shift = turn.at - 6 - START + extra.jump
        occurred_at, received_at = event.occurred_at + shift, event.received_at + shift
        events.append(replace(event, occurred_at=occurred_at, received_at=received_at, **extra.fields))
    return events


@dataclass(frozen=True)
class Scene:
    """A catalogue, with `LISTS`, `GRANTED_UNSAID` and the `terms` it refers to by name, and what a visitor does."""

    catalog: Catalog
    history: list[Event]
    terms: Mapping[str, Any] = field(default_factory=dict)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Any scene; now and then one of clocks that are put on or back, or of the end of February."""
    choices = Choices(draw)
    turn, family = choices.one(TURNS), choices.one((ANY_KIND, *FAMILIES))
    if choices.seldom(3):
        turns, family = choices.one(((CLOCKS, (time,)), (FEBRUARIES, (date,))))
        turn = choices.one(turns)
    return Scene(draw(definitions_around(turn, family)), draw(histories_around(turn)))
