"""The plan of a catalogue: which segments SQL computes, with which queries, and which the engine folds, and why.

The queries read one relation, `history`: the events that count, each once as it was received first, with the columns
`profile name message_id occurred_at received_at properties traits` (the last two JSON).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlglot import exp, select

from segue.domain.batch.conditions import Writer
from segue.domain.batch.dialects import call, literal
from segue.domain.batch.matching import Beyond, json_path
from segue.domain.batch.script import HISTORY, KNOWN
from segue.domain.rules import definition as language
from segue.domain.rules.program import Program


@dataclass(frozen=True)
class InSql:
    """`spans` gives `(profile, since, until)`, the memberships of every profile but those that `odd` names (a profile
    may be named several times): of these SQL is not certain, and the engine folds them. Both read `measured` and
    `known`."""

    spans: exp.Expr
    odd: exp.Expr | None


@dataclass(frozen=True)
class OnEngine:
    """The engine folds the rows; `reason` is what SQL does not say."""

    reason: str


Plan: TypeAlias = InSql | OnEngine


@dataclass(frozen=True)
class Twin:
    """The plans of all segments, and the relations that their queries begin with, made from `history`.

    `measured` are the events that some condition in SQL asks for, with the values it reads; `known` is since when each
    profile exists.
    """

    plans: Mapping[str, Plan]
    measured: exp.Expr
    known: exp.Expr


def twin(segments: Mapping[str, Any], program: Program) -> Twin:
    """The twin of these definitions, which `program` was compiled from."""
    writer = Writer(program.computed.keys())
    plans = {segment.id: _plan(writer, segment.id, segments[segment.id]) for segment in program.order}
    return Twin(
        plans={name: plans[name] for name in segments},
        measured=_measured(writer),
        known=select("profile", "MIN(received_at) AS since").from_("history").group_by("profile"),
    )


def rows_for(program: Program) -> exp.Expr:
    """The rows of `history` that the engine needs to fold this program, each profile's by `received_at`: those that
    some measurement takes, and each profile's first."""
    names = program.by_event.keys() - {"*"}
    needed: list[exp.Expr] = [exp.EQ(this=exp.column("received_at", "history"), expression=exp.column("since"))]
    if names:
        needed.append(exp.column("name", "history").isin(*sorted(names)))
    if program.by_trait:
        needed.append(exp.column("name", "history").eq("Identified"))
    rows = select("history.*").from_("history").join(KNOWN, using="profile")
    if not program.by_event["*"]:
        rows = rows.where(exp.or_(*needed))
    return rows.order_by("profile", "received_at")


def _plan(writer: Writer, name: str, source: object) -> Plan:
    segment = language.parse(source)
    writer.odd = {}
    try:
        for part in ("stays", "until", "enter_after", "purposes"):
            if getattr(segment, part):
                raise Beyond(part)
        spans = writer.spans(segment.when)
    except Beyond as beyond:
        return OnEngine(str(beyond))
    writer.segments[name], writer.odd_of[name] = spans, writer.odd
    return InSql(writer.script.query(spans, (HISTORY, KNOWN)), _any_of(writer.odd))


def _any_of(queries: Iterable[str]) -> exp.Expr | None:
    parts: list[exp.Expr] = [exp.maybe_parse(query, dialect="duckdb") for query in queries]
    if len(parts) < 2:
        return parts[0] if parts else None
    return exp.union(*parts, distinct=True)


def _measured(writer: Writer) -> exp.Expr:
    columns = [
        exp.alias_(call("at", exp.column(root), literal(json_path(path))), name)
        for (root, path), name in writer.columns.items()
    ]
    rows = select("profile", "name", "occurred_at", "received_at", "message_id", *columns).from_("history")
    return rows if "*" in writer.names else rows.where(exp.column("name").isin(*sorted(writer.names)))
