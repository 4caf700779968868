"""The plan of a catalogue: which segments SQL computes, with which queries, and which the engine folds, and why.

The queries read one relation, `history`: the events that count, with the columns `profile name message_id occurred_at
received_at properties traits` (the last two JSON). Copies may be among them: of `measured` and of the rows for the
engine, whoever runs the queries keeps the one that was received first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlglot import exp

from segue.domain.batch.conditions import Writer
from segue.domain.batch.dialects import call, literal
from segue.domain.batch.matching import Beyond, json_path
from segue.domain.batch.script import KNOWN
from segue.domain.event import TRAIT_EVENTS
from segue.domain.rules import definition as language
from segue.domain.rules.program import Program


@dataclass(frozen=True)
class InSql:
    """`spans` gives `(profile, since, until)`, the memberships of every profile but those that `odd` names (a profile
    may be named several times): of these SQL is not certain, and the engine folds them. Both read `measured` and
    `known`."""

    spans: str
    odd: str | None


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
    measured: str
    known: str


def twin(segments: Mapping[str, Any], program: Program) -> Twin:
    """The twin of these definitions, which `program` was compiled from, and perhaps unnamed segments besides."""
    writer = Writer(program.computed.keys())
    plans = {
        segment.id: _plan(writer, segment.id, segments[segment.id])
        for segment in program.order
        if segment.id in segments
    }
    return Twin(
        plans={name: plans[name] for name in segments},
        measured=_measured(writer),
        known="SELECT profile, min(received_at) AS since FROM history GROUP BY profile",
    )


def rows_for(program: Program) -> str:
    """The rows of `history` that the engine needs to fold this program: those that some measurement takes, and those
    that say since when a profile exists: its first, and what came later but happened before."""
    rows = f"SELECT history.* FROM history JOIN {KNOWN} USING (profile)"
    if program.by_event["*"]:
        return rows
    names = sorted({*program.by_event, *(TRAIT_EVENTS if program.by_trait else ())} - {"*"})
    first = f"history.received_at = {KNOWN}.since OR history.occurred_at < {KNOWN}.since"
    return f"{rows} WHERE {first} OR {_named(names)}"


def _plan(writer: Writer, name: str, source: object) -> Plan:
    segment = language.parse(source)
    writer.odd, writer.within = {}, None
    try:
        for part in ("stays", "until", "enter_after", "purposes"):
            if getattr(segment, part):
                raise Beyond(part)
        spans = writer.spans(segment.when)
    except Beyond as beyond:
        return OnEngine(str(beyond))
    writer.segments[name], writer.odd_of[name] = spans, writer.odd
    return InSql(writer.script.query(writer.script.joined(spans)), " UNION ".join(writer.odd) or None)


def _measured(writer: Writer) -> str:
    columns = "".join(f", {_value(*place)} AS {column}" for place, column in writer.columns.items())
    rows = f"SELECT profile, name, occurred_at, received_at, message_id{columns} FROM history"
    return rows if "*" in writer.names else f"{rows} WHERE {_named(sorted(writer.names))}"


def _value(root: str, path: str, name: str) -> str:
    value = call("at", exp.column(root), literal(json_path(path)))
    if name != "*":
        value = exp.Case().when(exp.column("name").eq(name), value)
    return value.sql("duckdb")


def _named(names: Sequence[str]) -> str:
    return exp.column("name", "history").isin(*names).sql("duckdb") if names else "false"
