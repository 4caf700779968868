"""Law L7, two engines, one meaning: the same definitions over a whole archive give the same members at every t."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import recording
from emulator.fold import histories as recorded
from segue.adapters.embedded.batch import Batch
from segue.adapters.embedded.parquet import connected
from segue.domain import batch, rules
from segue.domain.batch import InSql, OnEngine
from segue.domain.batch.dialects import FUNCTIONS
from segue.domain.event import Event
from segue.domain.rules.intervals import FOREVER, Spans, contains
from segue.domain.time import HOUR
from tests.domain.test_laws import FIRST_CATALOG, edges
from tests.domain.test_laws_more import engine_of, visitor_of
from tests.oracle import Oracle
from tests.shared_data import REES46, needs
from tests.strategies import (
    DURATIONS,
    SELECTED,
    Catalog,
    Choices,
    Condition,
    aggregate,
    condition,
    definitions,
    definitions_of_one_event,
    did,
    events,
    first_time,
    histories,
    together,
    trait,
    visits,
    where,
)
from tests.strategies import absent as any_absent
from tests.strategies_more import Scene, scenes

HALF = settings(max_examples=max(1, settings().max_examples // 2))
A_TENTH = settings(max_examples=max(1, settings().max_examples // 10))
"""Of the profile's examples: each takes a database a tenth of a second."""

Memberships = Mapping[tuple[str, str], Spans]
"""The spans of a segment and a profile."""


@pytest.fixture(scope="module")
def twin() -> Iterator[Batch]:
    with closing(connected()) as connection:
        yield Batch(connection)


def computed(
    twin: Batch,
    catalog: Catalog,
    people: Mapping[str, Sequence[Event]],
    until: int,
    program: rules.Program | None = None,
) -> Memberships:
    """What the batch twin says of these people; `program` is the catalogue's, with whatever else belongs to it."""
    twin.take([])
    twin.connection.execute("DELETE FROM events")
    twin.take([(person, event) for person, log in people.items() for event in log])
    twin.run(catalog, program or rules.compile(catalog), until)
    found: dict[tuple[str, str], Spans] = {}
    rows = twin.connection.execute("SELECT segment, profile, since, until FROM memberships ORDER BY since").fetchall()
    for segment, profile, since, ends in rows:
        found.setdefault((segment, profile), []).append((since, ends))
    return found


def check(twin: Batch, catalog: Catalog, people: Mapping[str, Sequence[Event]]) -> None:
    """The twin's spans hold exactly the instants at which the oracle says that the person is a member."""
    oracle = Oracle(catalog)
    visitors = {person: oracle.visitor(log) for person, log in people.items()}
    instants = {
        (segment, person): visitor.breakpoints(segment) for segment in catalog for person, visitor in visitors.items()
    }
    found = computed(twin, catalog, people, max((at for each in instants.values() for at in each), default=0) + 1)
    for (segment, person), breakpoints in instants.items():
        spans = found.get((segment, person), [])
        assert all(since < ends for since, ends in spans)
        assert all(before[1] < after[0] for before, after in pairwise(spans))
        for at in edges(breakpoints, min(breakpoints, default=0) - 1):
            assert contains(spans, at) is visitors[person].member(segment, at), (segment, person, at)


def absent(choices: Choices) -> Condition:
    """Something left undone, whatever its values."""
    leaf: Condition = any_absent(choices)["absent"]
    return {"absent": {part: leaf[part] for part in leaf if part != "same"}}


def stopped(choices: Choices) -> Condition:
    """Done before, and not lately."""
    ends = choices.number(1, len(DURATIONS) - 1)
    recent = DURATIONS[choices.number(0, ends - 1)]
    return {"stopped": choices.one(SELECTED), **where(choices), "earlier": DURATIONS[ends], "recent": recent}


@st.composite
def definitions_in_sql(draw: st.DrawFn) -> Catalog:
    """Segments of the kinds that SQL says, without memory."""
    choices = Choices(draw)
    leaves = choices.one(((did,), (aggregate,), (together,), (trait, did), (absent, stopped, first_time, did)))
    catalog: Catalog = {}
    for number in range(choices.many(5)):
        catalog[f"segment-{number}"] = {"name": "It", "when": condition(choices, leaves, tuple(catalog))}
    return catalog


@HALF
@given(definitions_in_sql(), histories(), histories(most=5))
def test_sql_says_what_the_oracle_says_at_every_edge(
    twin: Batch, catalog: Catalog, history: list[Event], other: list[Event]
) -> None:
    check(twin, catalog, {"one": history, "other": other})


@A_TENTH
@given(definitions(), histories())
def test_any_catalogue_has_the_same_members_whoever_computes_them(
    twin: Batch, catalog: Catalog, history: list[Event]
) -> None:
    check(twin, catalog, {"one": history})


@A_TENTH
@given(definitions_of_one_event(), events())
def test_any_operator_on_any_value_says_the_same_in_sql(twin: Batch, catalog: Catalog, event: Event) -> None:
    check(twin, catalog, {"one": [event]})


@A_TENTH
@given(visits())
def test_the_first_catalogue_has_the_same_members_in_sql(twin: Batch, history: list[Event]) -> None:
    check(twin, FIRST_CATALOG, {"one": history})


@A_TENTH
@given(scenes())
def test_the_whole_language_has_the_same_members_up_to_the_last_message(twin: Batch, scene: Scene) -> None:
    end = max(event.received_at for event in scene.history)
    visitor = visitor_of(scene)
    found = computed(twin, scene.catalog, {"one": scene.history}, end, engine_of(scene).program)
    for segment in scene.catalog:
        for at in edges(visitor.breakpoints(segment, end), 0):
            if at <= end:
                assert contains(found.get((segment, "one"), []), at) is visitor.member(segment, at), (segment, at)


def test_a_profile_exists_in_sql_too_since_what_happened_first_though_it_was_received_later(twin: Batch) -> None:
    """
    happened   b a
    received     a ──────────── b
    weekend    [───────────────────  (asked for one hour, from b on)
    """
    noon = 1_774_764_000_000  # a Sunday
    a = Event(message_id="a", name="A", occurred_at=noon, received_at=noon)
    b = Event(message_id="b", name="B", occurred_at=noon - 5, received_at=noon + HOUR - 6)
    sundays = {"name": "Sunday", "when": {"time": {"days": ["sun"], "tz": "Europe/Paris"}}, "enter_after": "1h"}
    found = computed(twin, {"sundays": sundays}, {"one": [a, b]}, noon + 2 * HOUR)
    visitor = Oracle({"sundays": sundays}).visitor([a, b])
    assert [since for since, _ in found["sundays", "one"]][:1] == [noon - 5 + HOUR]
    for at in (noon + HOUR - 6, noon + HOUR - 5):
        assert contains(found["sundays", "one"], at) is visitor.member("sundays", at)


@needs(REES46)
def test_the_first_catalogue_has_the_same_members_over_a_real_log(twin: Batch) -> None:
    with REES46.open("rb") as file:
        log = recorded(
            recording.calls(file, REES46, "rees46", Counter()), 1 << 50, rules.compile({}).max_age, Counter()
        )
    people = {str(profile): events for profile, events in [*log.items()][::3]}
    until = max(event.received_at for events in people.values() for event in events)
    program = rules.compile(FIRST_CATALOG)
    engine = {
        (segment, person): [(since, FOREVER if ends is None else ends) for since, ends in intervals]
        for person, events in people.items()
        for segment, intervals in batch.folded(program, events, until).items()
    }
    assert len(engine) > 3_000
    assert computed(twin, FIRST_CATALOG, people, until) == engine


def test_of_the_first_catalogue_the_engine_folds_what_remembers_and_compares() -> None:
    plans = batch.twin(FIRST_CATALOG, rules.compile(FIRST_CATALOG)).plans
    left = {name: plan.reason for name, plan in plans.items() if isinstance(plan, OnEngine)}
    assert left == {"high-purchase-intent": "stays", "bargain-hunter": "compare", "engaged-reader": "session"}


@A_TENTH
@given(definitions_in_sql())
def test_every_query_is_good_bigquery(catalog: Catalog) -> None:
    twin = batch.twin(catalog, rules.compile(catalog))
    plans = [plan for plan in twin.plans.values() if isinstance(plan, InSql)]
    for query in (twin.measured, twin.known, *(query for plan in plans for query in (plan.spans, plan.odd) if query)):
        parsed = sqlglot.parse_one(batch.in_bigquery(query), dialect="bigquery")
        called = {call.name.lower() for call in parsed.find_all(sqlglot.exp.Anonymous)}
        assert not called & FUNCTIONS["duckdb"].keys()
