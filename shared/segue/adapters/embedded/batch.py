"""The batch twin at work in DuckDB: every membership that a set of definitions gives a set of events.

Import this only where it is needed: DuckDB takes its time.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any

import duckdb
import msgspec
from sqlglot import exp

from segue.domain import batch, rules
from segue.domain.batch.twin import InSql, rows_for
from segue.domain.event import Event
from segue.domain.rules.intervals import FOREVER

EVENTS = """
CREATE TABLE events (
    profile VARCHAR, message_id VARCHAR, name VARCHAR, occurred_at BIGINT, received_at BIGINT,
    anonymous_id VARCHAR, user_id VARCHAR, properties JSON, traits JSON, context JSON
)
"""
"""What is given: the events as they were received, copies included."""

HISTORY = """
CREATE OR REPLACE VIEW history AS
SELECT * FROM (
    SELECT * FROM events WHERE received_at <= {until}
    QUALIFY row_number() OVER (PARTITION BY profile, message_id ORDER BY received_at) = 1
) WHERE received_at - occurred_at <= {max_age}
"""

MEMBERSHIPS = "CREATE OR REPLACE TABLE memberships (segment VARCHAR, profile VARCHAR, since BIGINT, until BIGINT)"

CHUNK = 10_000

Row = tuple[Any, ...]


class Batch:
    """A DuckDB of its own with the relation `events`, and from `run` on `memberships (segment profile since until)`.

    `until` is `FOREVER` where a membership never ends. What is received after the instant `run` is asked for does not
    count; intervals after it are what is going to be with no further event.
    """

    def __init__(self, threads: int | None = None, memory: str = "2GB") -> None:
        self.connection = duckdb.connect(config={"memory_limit": memory, **({"threads": threads} if threads else {})})

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.connection.close()

    def take(self, events: Sequence[tuple[str, Event]]) -> None:
        """Add events, each with its profile, to a relation `events` of this database's own."""
        self.connection.execute(EVENTS.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        for start in range(0, len(events), CHUNK):
            self._insert("events", [_row(profile, event) for profile, event in events[start : start + CHUNK]])

    def run(
        self, segments: Mapping[str, Any], program: rules.Program, until: int, wanted: Sequence[str] | None = None
    ) -> Mapping[str, batch.Plan]:
        """Compute the memberships of these segments, which `program` was compiled from; what was done of each."""
        twin = batch.twin(segments, program)
        self.connection.execute(HISTORY.format(until=until, max_age=program.max_age))
        self._keep("measured", twin.measured)
        self._keep("known", twin.known)
        self.connection.execute(MEMBERSHIPS)
        self.connection.execute("CREATE OR REPLACE TABLE odd (segment VARCHAR, profile VARCHAR)")
        names = program.segments.keys() if wanted is None else wanted
        for name in names:
            plan = twin.plans[name]
            if isinstance(plan, InSql):
                self._compute(name, plan)
            else:
                self.connection.execute("INSERT INTO odd SELECT ?, profile FROM known", [name])
        self._fold(program, until)
        return {name: twin.plans[name] for name in names}

    def _keep(self, name: str, query: exp.Expr) -> None:
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {batch.written(query, 'duckdb')}")

    def _compute(self, name: str, plan: InSql) -> None:
        if plan.odd is not None:
            odd = batch.written(plan.odd, "duckdb")
            self.connection.execute(f"INSERT INTO odd SELECT DISTINCT ?, profile FROM ({odd}) AS found", [name])
        spans = batch.written(plan.spans, "duckdb")
        self.connection.execute(
            f"INSERT INTO memberships SELECT $segment, spans.* FROM ({spans}) AS spans "
            "ANTI JOIN (SELECT profile FROM odd WHERE segment = $segment) USING (profile)",
            {"segment": name},
        )

    def _fold(self, program: rules.Program, until: int) -> None:
        """Fold, for each segment, the profiles that SQL leaves to the engine."""
        found: list[Row] = []
        for profile, left, events in self._left(program):
            intervals = batch.folded(program, events, until)
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
            f"SELECT profile, segments, {COLUMNS} FROM ({batch.written(rows_for(program), 'duckdb')}) AS rows_ "
            "JOIN (SELECT profile, list(DISTINCT segment) AS segments FROM odd GROUP BY profile) AS left_ "
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
