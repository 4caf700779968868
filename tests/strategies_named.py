"""Hypothesis strategies for what conditions refer to by name: scores, and catalogues and histories around them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from segue.domain.event import Event
from tests.strategies import (
    DURATIONS,
    FITTING_TESTS,
    GROUPS,
    HOUR,
    IDENTIFIED,
    SELECTED,
    Choices,
    Condition,
    amount,
    count,
    did,
    histories,
    presence,
    reference,
    trait,
    where,
    window,
)
from tests.strategies_more import Scene, catalog_of

# Scores

POINTS: Final = (1, 2, 10, -1, 0.5, -10, 3, 0.1, 100, 0.0000025, -0.5)
HALF_LIVES: Final = ("1ms", "2ms", "3ms", "4ms", "6ms", "20ms", "1h", "1d", "33d")
LEVELS: Final = (0, 1, 2, 0.5, 5, 0.25, 10, -1, 1.5, 0.0000025, 100, -0.5)


def score(choices: Choices) -> Condition:
    """Points for a few events, that fade or leave."""
    events = choices.some(lambda one: {"did": one.one(SELECTED), "points": one.one(POINTS), **where(one)}, 1, 3)
    fades = {"within": choices.one(DURATIONS)} if choices.seldom(3) else {"half_life": choices.one(HALF_LIVES)}
    bounds = {"bounds": choices.one(([0, 10], [-1, 1], [0, 1.5], [0.5, 2]))} if choices.seldom(3) else {}
    return {"events": events, **fades, **bounds}


def level_test(choices: Choices) -> Any:
    """A test of a number that moves."""
    name = choices.one(("ge", "gt", "lt", "le", "ge", "eq", "ne", "between", "in", "exists"))
    if name == "between":
        return {name: sorted([choices.one(LEVELS), choices.one(LEVELS)])}
    if name in ("in", "exists"):
        return (
            {"in": list(dict.fromkeys(choices.some(lambda one: one.one(LEVELS), 1, 3)))}
            if name == "in"
            else {name: True}
        )
    return {name: choices.one(LEVELS)}


def score_is(names: tuple[str, ...], choices: Choices) -> Condition:
    """A score that compares."""
    return {"score": choices.one(names), "is": level_test(choices)}


# Computed traits


def counted_trait(choices: Choices) -> Condition:
    """How many events, how often, or for how many days in a row."""
    made = choices.one(("count", "rate", "streak"))
    if made == "streak":
        return {made: choices.one(SELECTED), **where(choices), "period": choices.one(PERIODS), "tz": choices.one(ZONES)}
    if made == "rate":
        spans = {"per": choices.one(DURATIONS), "within": choices.one(DURATIONS)}
        return {made: choices.one(SELECTED), **where(choices), **spans}
    return {made: choices.one(SELECTED), **where(choices), **window(choices)}


def since_trait(choices: Choices) -> Condition:
    """How long ago the last event was."""
    return {"time_since_last": choices.one(SELECTED), **where(choices), **window(choices)}


def value_trait(choices: Choices) -> Condition:
    """What values events have, and how many have each."""
    kind = choices.one(("most_frequent", "unique_list", "tally", "most_frequent"))
    last = {"last": choices.number(1, 3)} if kind == "unique_list" else {}
    path = choices.one(("k", "k", "tags", *VALUES))
    return {kind: path, "of": choices.one(SELECTED), **where(choices), **window(choices), **last}


def figure_trait(choices: Choices) -> Condition:
    """A figure over events."""
    kind = choices.one(("latest", "first", "sum", "avg", "min", "max", "distinct"))
    return {kind: choices.one(VALUES), "of": choices.one(SELECTED), **where(choices), **window(choices)}


PERIODS: Final = ("day", "day", "week", "month")
ZONES: Final = ("UTC", "Europe/Paris", "America/Havana", "Pacific/Auckland")
VALUES: Final = ("k", "k", "n", "tags", "date", "deep.k", "items")
TRAITS: Final = (counted_trait, since_trait, value_trait, figure_trait)
SPANS: Final = (*DURATIONS[:8], 0, 1, 3, 2.5, -1)


def computed_is(traits: dict[str, Condition], choices: Choices) -> Condition:
    """A computed trait that compares, seldom with one that the visitor said."""
    name = choices.one(tuple(traits))
    path, trait = name, traits[name]
    if choices.seldom(6):
        test: Any = reference(choices) if choices.seldom(2) else {"gt": {"ref": choices.one(tuple(traits))}}
        return {"trait": choices.one((path, path, "n", "k")), "is": test}
    if "time_since_last" in trait:
        return {"trait": path, "is": time_test(choices)}
    if "tally" in trait:
        return {"trait": f"{path}.{choices.one(('x', 'y', '1', '2.5', 'true'))}", "is": amount(choices)}
    if choices.seldom(6):
        return {"trait": path, "is": presence(choices)}
    if trait.keys() & {"count", "rate", "streak", "distinct", "sum", "avg", "min", "max"}:
        return {"trait": path, "is": choices.made((amount, count))}
    if choices.seldom(6):
        return {
            "date": path,
            "is": {choices.one(("within_last", "within_next", "more_than_ago")): choices.one(DURATIONS)},
        }
    kind = next(iter(trait.keys() & {"most_frequent", "unique_list", "latest", "first"}))
    return {
        "trait": path,
        "is": choices.made(FITTING_TESTS[trait[kind] if trait[kind] in ("n", "tags", "date") else "k"]),
    }


def time_test(choices: Choices) -> Condition:
    """A test of milliseconds, which may be written as durations."""
    name = choices.one(("gt", "ge", "lt", "le", "eq", "ne", "between", "exists", "in"))
    if name == "exists":
        return {name: True}
    if name == "between":
        return {name: choices.one(([0, 3], ["2ms", "6ms"], ["9ms", "20ms"], [1, 3_600_000]))}
    return {name: [choices.one(SPANS), "4ms"] if name == "in" else choices.one(SPANS)}


@st.composite
def computed_scenes(draw: st.DrawFn) -> Scene:
    """Computed traits, and segments that ask for them, in a month or at the end of one."""
    choices = Choices(draw)
    makers = choices.one((TRAITS, *((maker,) for maker in TRAITS)))
    traits = {f"t{number}": choices.made(makers) for number in range(choices.number(1, 4))}
    leaf = partial(computed_is, traits)
    catalog = catalog_of(choices, (leaf, leaf, leaf, leaf, trait))
    return Scene(catalog, draw(histories()), {"computed": traits})


# Sessions

GAPS: Final = (3, 2, 4, 5, 1, 6, HOUR, 2 * HOUR)
PLACES: Final = (
    *("campaign.source", "campaign", "entry_page", "referrer", "referral.type", "device.type", "browser.name"),
    *("country", "locale"),
)
SAYINGS: Final[Sequence[dict[str, Any]]] = (
    {},
    {"campaign": {"source": "x"}},
    {"campaign": {"source": "y"}, "locale": "y"},
    {"page": {"path": "x", "referrer": ""}},
    {"page": {"path": "y", "referrer": "x"}, "device": {"type": "x"}},
    {"location": {"country": "x"}, "campaign": {}},
    {"location": {"country": "y"}, "device": None},
    {"referrer": {"type": "x", "domain": "y"}, "browser": {"name": "y"}},
    {"referrer": {"type": "y"}, "browser": "x"},
)


def session_is(choices: Choices) -> Condition:
    """Something of a session that compares."""
    which = choices.one(("this", "this", "last"))
    field = choices.one(("duration", "events", "duration", "pages", "distinct", "said", "said"))
    if field == "duration":
        return {"session": f"{which}.duration", "is": time_test(choices)}
    narrowed = {"of": choices.one(SELECTED), **where(choices)} if choices.seldom(2) and field != "pages" else {}
    if field == "distinct":
        return {"session": f"{which}.distinct.{choices.one(GROUPS)}", **narrowed, "is": count(choices)}
    if field != "said":
        return {"session": f"{which}.{field}", **narrowed, "is": choices.made((count, presence))}
    test = choices.made((lambda one: one.one(("x", "y", "")), presence, lambda one: {"ne": one.one(("x", "y"))}))
    return {"session": f"{which}.{choices.one(PLACES)}", "is": test}


@st.composite
def visiting(draw: st.DrawFn) -> list[Event]:
    """A visitor's events that say where they come from."""
    choices = Choices(draw)
    said: dict[str, dict[str, Any]] = {}
    events: list[Event] = []
    for event in draw(histories()):
        if event.message_id not in said:
            name = "Page Viewed" if event.name != IDENTIFIED and choices.seldom(3) else event.name
            path = {"path": choices.one(("x", "y"))} if choices.seldom() else {}
            properties = {**event.properties, **path} if name != IDENTIFIED else {}
            said[event.message_id] = {"name": name, "properties": properties, "context": choices.one(SAYINGS)}
        events.append(replace(event, **said[event.message_id]))
    return events


@st.composite
def session_scenes(draw: st.DrawFn) -> Scene:
    """Segments that ask for sessions."""
    choices = Choices(draw)
    catalog = catalog_of(choices, (session_is, session_is, session_is, did))
    return Scene(catalog, draw(visiting()), {"session_gap": choices.one(GAPS)})


# Clusters

MEANS: Final = (0, 1, 2, 0.5, -1)
SCALES: Final = (1, 2, 0.5, 3)
FEATURES: Final = ("n", "deep.k", "said")
"""Traits that an identify may say, and one that none does."""


def model(choices: Choices, names: Sequence[str]) -> Condition:
    """A few points in one or two features."""
    features = {
        choices.one(names): {"mean": choices.one(MEANS), "scale": choices.one(SCALES)}
        for _ in range(choices.number(1, 2))
    }
    points = {
        name: {feature: choices.one((0, 1, -1, 2, 0.5, 3)) for feature in features}
        for name in ("b", "a", "c")[: choices.number(1, 3)]
    }
    return {"features": features, "centroids": points}


def cluster_is(models: dict[str, Condition], choices: Choices) -> Condition:
    """The nearest point of a model."""
    name = choices.one(tuple(models))
    limit = {"max_distance": choices.one((1, 0, 2.5, 0.5))} if choices.seldom(3) else {}
    return {"cluster": {"model": name, "is": choices.one(tuple(models[name]["centroids"])), **limit}}


@st.composite
def cluster_scenes(draw: st.DrawFn) -> Scene:
    """Models over scores, computed traits and traits, and segments that ask for them."""
    choices = Choices(draw)
    scores = {f"s{number}": score(choices) for number in range(choices.number(0, 2))}
    makers = (counted_trait, since_trait, figure_trait)
    traits = {f"t{number}": choices.made(makers) for number in range(choices.number(0, 2))}
    names = (*scores, *traits, *scores, *traits, choices.one(FEATURES))
    models = {f"m{number}": model(choices, names) for number in range(choices.number(1, 2))}
    leaf = partial(cluster_is, models)
    catalog = catalog_of(choices, (leaf, leaf, leaf, did))
    return Scene(catalog, draw(histories()), {"scores": scores, "computed": traits, "models": models})


@st.composite
def scored_scenes(draw: st.DrawFn) -> Scene:
    """Scores, and segments that ask for them."""
    choices = Choices(draw)
    scores = {f"score-{number}": score(choices) for number in range(choices.number(1, 3))}
    leaf = partial(score_is, tuple(scores))
    return Scene(catalog_of(choices, (leaf, leaf, leaf, did)), draw(histories()), {"scores": scores})
