"""The batch twin at work in DuckDB: every membership that a set of definitions gives a set of events.

Import this only where it is needed: DuckDB takes its time.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb
import msgspec

from segue.domain import batch, rules
from segue.domain.batch import InSql
from segue.domain.event import Event
from segue.domain.rules.intervals import FOREVER

EVENTS = """
CREATE TABLE IF NOT EXISTS events (
    profile VARCHAR, message_id VARCHAR, name VARCHAR, occurred_at BIGINT, received_at BIGINT,
    anonymous_id VARCHAR, user_id VARCHAR, properties JSON, traits JSON, context JSON
)
"""
"""What is given: the events as they were received, copies included."""

HISTORY = """
CREATE OR REPLACE VIEW history AS
SELECT * FROM events
WHERE name IS NOT NULL AND received_at <= {until} AND received_at - occurred_at <= {max_age}
"""
"""Copies included: the one that was received first is the last of them to be too old."""

ONCE = "QUALIFY row_number() OVER (PARTITION BY profile, message_id ORDER BY received_at) = 1"

PEOPLE = """
CREATE OR REPLACE TABLE people AS SELECT profile, {number} AS person FROM (SELECT DISTINCT profile FROM history)
"""
"""Numbers are sorted in half of the time that keys take."""

NAMESAKES = "SELECT count(*) - count(DISTINCT person) FROM people"

COPIED = "SELECT 1 FROM (SELECT 1 FROM measured GROUP BY profile, message_id HAVING count(*) > 1) AS copied LIMIT 1"

MEMBERSHIPS = "CREATE OR REPLACE TABLE memberships (segment VARCHAR, profile VARCHAR, since BIGINT, until BIGINT)"

CHUNK = 10_000

Row = tuple[Any, ...]


class Batch:
    """A DuckDB with the relation `events`, and from `run` on `memberships (segment profile since until)`.

    `until` is `FOREVER` where a membership never ends. What is received after the instant `run` is asked for does not
    count; intervals after it are what is going to be with no further event.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def take(self, events: Sequence[tuple[str, Event]]) -> None:
        """Add events, each with its profile, to a relation `events` of this database's own."""
        self.connection.execute(EVENTS)
        for start in range(0, len(events), CHUNK):
            self._insert("events", [_row(profile, event) for profile, event in events[start : start + CHUNK]])

    def run(
        self, segments: Mapping[str, Any], program: rules.Program, until: int, wanted: Sequence[str] | None = None
    ) -> Mapping[str, batch.Plan]:
        """Compute the memberships of these segments, which `program` was compiled from; what was done of each."""
        twin = batch.twin(segments, program)
        for statement in (*batch.macros(), HISTORY.format(until=until, max_age=program.max_age)):
            self.connection.execute(statement)
        number = self._number_people()
        self.connection.execute(f"CREATE OR REPLACE TABLE measured AS {_numbered(twin.measured, number)}")
        if self.connection.execute(COPIED).fetchone():
            self.connection.execute(f"CREATE OR REPLACE TABLE measured AS SELECT * FROM measured {ONCE}")
        self.connection.execute(f"CREATE OR REPLACE VIEW known AS {_numbered(twin.known, number)}")
        self.connection.execute(MEMBERSHIPS)
        self.connection.execute("CREATE OR REPLACE TABLE odd (segment VARCHAR, profile VARCHAR)")
        names = segments.keys() if wanted is None else wanted
        for name in names:
            plan = twin.plans[name]
            if isinstance(plan, InSql):
                self._compute(name, plan)
            else:
                self.connection.execute("INSERT INTO odd SELECT ?, profile FROM people", [name])
        if self.connection.execute("SELECT 1 FROM odd LIMIT 1").fetchone():
            self.connection.execute(f"CREATE OR REPLACE VIEW known AS {twin.known}")
            self._fold(program, until)
        return {name: twin.plans[name] for name in names}

    def events(self, profile: str) -> list[Event]:
        """The events of a profile that count, in the order in which they were received."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM history WHERE profile = ? {ONCE} ORDER BY received_at", [profile]
        )
        return [_event(row) for row in _fetched(rows)]

    def _number_people(self) -> str:
        """What gives each profile a number of its own: a hash, and another one should two of them have the same."""
        for salt in itertools.count():
            number = f"hash(profile, {salt})"
            self.connection.execute(PEOPLE.format(number=number))
            if self.connection.execute(NAMESAKES).fetchone() == (0,):
                break
        return number

    def _compute(self, name: str, plan: InSql) -> None:
        if plan.odd is not None:
            self.connection.execute(
                f"INSERT INTO odd SELECT DISTINCT ?, people.profile FROM ({plan.odd}) AS found "
                "JOIN people ON found.profile = person",
                [name],
            )
        self.connection.execute(
            "INSERT INTO memberships SELECT $segment, people.profile, since, until "
            f"FROM ({plan.spans}) AS spans JOIN people ON spans.profile = person "
            "ANTI JOIN (SELECT profile FROM odd WHERE segment = $segment) AS odd ON odd.profile = people.profile",
            {"segment": name},
        )

    def _fold(self, program: rules.Program, until: int) -> None:
        """Fold, for each segment, the profiles that SQL leaves to the engine."""
        (left_over,) = self.connection.execute("SELECT list(DISTINCT segment) FROM odd").fetchall()
        program = program.limited_to(left_over[0])
        memberships_of = batch.folding(program, until)
        found: list[Row] = []
        for profile, left, events in self._left(program):
            intervals = memberships_of(events)
            found += (
                (segment, profile, since, FOREVER if ends is None else ends)
                for segment in left
                for since, ends in intervals.get(segment, ())
            )
            if len(found) >= CHUNK:
                self._insert("memberships", found)
                found = []
        self._insert("memberships", found)

    def _left(self, program: rules.Program) -> Iterator[tuple[str, Sequence[str], list[Event]]]:
        """The profiles that are to be folded, with the segments they are folded for, and their events."""
        rows = self.connection.cursor().execute(
            f"SELECT profile, segments, {COLUMNS} FROM (SELECT * FROM ({batch.rows_for(program)}) {ONCE}) AS needed "
            "JOIN (SELECT profile, list(DISTINCT segment) AS segments FROM odd GROUP BY profile) AS left_over "
            "USING (profile) ORDER BY profile, received_at"
        )
        for profile, group in groupby(_fetched(rows), itemgetter(0)):
            together = list(group)
            yield profile, together[0][1], [_event(row[2:]) for row in together]

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            unnested = ", ".join("unnest(?)" for _ in columns)
            self.connection.execute(f"INSERT INTO {table} SELECT {unnested}", columns)


def _numbered(query: str, number: str) -> str:
    """A query with the profile's number in place of its key."""
    return f"SELECT {number} AS profile, rows.* EXCLUDE (profile) FROM ({query}) AS rows"


COLUMNS = "message_id, name, occurred_at, received_at, anonymous_id, user_id, properties, traits, context"


def _fetched(rows: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    while chunk := rows.fetchmany(CHUNK):
        yield from chunk


def _row(profile: str, event: Event) -> Row:
    """An event as a row of `events`; what is empty is NULL."""
    return (
        profile,
        event.message_id,
        event.name,
        event.occurred_at,
        event.received_at,
        event.anonymous_id,
        event.user_id,
        *(msgspec.json.encode(part).decode() for part in (event.properties, event.traits, event.context)),
    )


def _event(row: Row) -> Event:
    message_id, name, occurred_at, received_at, anonymous_id, user_id, *parts = row
    properties, traits, context = (msgspec.json.decode(part) if part else {} for part in parts)
    return Event(
        message_id=message_id,
        name=name,
        occurred_at=occurred_at,
        received_at=received_at,
        anonymous_id=anonymous_id,
        user_id=user_id,
        properties=properties,
        traits=traits,
        context=context,
    )
