"""From one catalogue's program to the next: what answers while the past is looked through for what was not measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from segue.domain.rules.evidence import Evidence, content_key
from segue.domain.rules.intervals import FOREVER
from segue.domain.rules.measurements import Reading
from segue.domain.rules.program import CompiledSegment, Program


@dataclass(frozen=True)
class Bridge:
    """`program` answers in the meantime; `waiting` are those segments defined anew that it answers as before."""

    program: Program
    waiting: frozenset[str]


def bridge(before: Program, program: Program) -> Bridge | None:
    """What answers for `program` from states that `before` has folded; None: `program` itself can, at once.

    A segment waits if it reads what `before` did not measure, or not so far back, or remembers what `before` did not;
    then also if it asks for one that waits, or one that waits asked for it before. It goes on as it was defined before;
    one that is new has no members yet. The bridge measures all that `before` does, so that its states can be bridged
    again.
    """
    alike = (program.lateness, program.max_age) == (before.lateness, before.max_age)
    held = _measured_already(before, program) if alike else set[str]()
    waiting = _waiting(before, program, held)
    if alike and not waiting and held == program.evidence.keys():
        return None
    order = _order(before, program, waiting)
    scores = _readings(before.scores, program.scores, held)
    newer = {name for name, reading in scores.items() if reading is program.scores.get(name)}
    bridged = replace(
        before,
        version=content_key(["bridge", before.version, program.version]),
        segments={segment.id: segment.definition for segment in order},
        order=order,
        dependents={
            key: frozenset(one.id for one in order if any(key == read for read, _ in one.reads))
            for key in before.evidence
        },
        scores=scores,
        score_definitions={
            name: (program if name in newer else before).score_definitions[name]
            for name in scores
            if name in (program if name in newer else before).score_definitions
        },
        computed=_readings(before.computed, program.computed, held),
        told=_readings(before.told, program.told, held),
    )
    return Bridge(bridged, frozenset(name for name in waiting if _is_changed(before, program, name)))


def _measured_already(before: Program, program: Program) -> set[str]:
    """The measurements of `program` of which states that `before` has folded hold all that it asks for."""
    shared = program.evidence.keys() & before.evidence.keys()
    return {key for key in shared if not _asks_for_more(before.evidence[key], program.evidence[key])}


def _asks_for_more(old: Evidence, new: Evidence) -> bool:
    return any(asked > had for had, asked in zip(_reach(old), _reach(new), strict=True))


def _reach(evidence: Evidence) -> tuple[int, ...]:
    far, most = (FOREVER if limit is None else limit for limit in (evidence.far, evidence.most))
    return far, evidence.near, most, evidence.looked_back


def _is_changed(before: Program, program: Program, name: str) -> bool:
    """Whether what a segment says, or one that it asks for, is not what it was."""
    asked_for = program.with_references({name})
    return any(before.segments.get(segment.id) != segment.definition for segment in asked_for)


def _waiting(before: Program, program: Program, held: set[str]) -> set[str]:
    memories = {segment.memory for segment in before.order}
    unchanged = {name for name, definition in program.segments.items() if before.segments.get(name) == definition}
    waiting = {
        segment.id
        for segment in program.order
        if not all(key in held for key, _far in segment.reads)
        or not (segment.memory is None or (segment.memory in memories and segment.closure <= unchanged))
    }
    while True:
        asked_for = {segment.id for segment in before.with_references(waiting)}
        more = {one.id for one in program.order if one.id in asked_for or one.closure & waiting}
        if more <= waiting:
            return waiting
        waiting |= more


def _order(before: Program, program: Program, waiting: set[str]) -> tuple[CompiledSegment, ...]:
    """The new segments that need not wait, and of the old ones those that go on, with what they ask for."""
    ready = [segment for segment in program.order if segment.id not in waiting]
    names = {segment.id for segment in ready}
    return (*ready, *(one for one in before.with_references(waiting) if one.id not in names))


def _readings(old: Mapping[str, Reading], new: Mapping[str, Reading], held: set[str]) -> Mapping[str, Reading]:
    return {
        name: reading if reading.reads.keys() <= held else old[name]
        for name, reading in new.items()
        if reading.reads.keys() <= held or name in old
    }
