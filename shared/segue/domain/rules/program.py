"""Compiling definitions: a program holds each distinct measurement once, indexed by event name."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from segue.domain.errors import Invalid
from segue.domain.membership import is_named
from segue.domain.rules import definition as language
from segue.domain.rules import traits
from segue.domain.rules.evidence import Evidence, content_key
from segue.domain.rules.kinds import logic, score
from segue.domain.rules.kinds.cluster import ClusterModel
from segue.domain.rules.kinds.logic import InSegment
from segue.domain.rules.kinds.person import consent
from segue.domain.rules.local_time import RELEASE
from segue.domain.rules.measurements import Measurements, Node, Reading
from segue.domain.time import DAY, HOUR, MINUTE

SESSION_GAP: Final = 30 * MINUTE
LATENESS: Final = HOUR
MAX_AGE: Final = 30 * DAY

MOST_REFERRED: Final = 256
"""The segments that one may refer to, directly and through others: what an event may make us look at."""

MOST_SHOWN: Final = 10
"""The names of a circle that a message shows."""


@dataclass(frozen=True)
class CompiledSegment:
    """A segment as the engine evaluates it.

    `definition` is the version (content hash) of its definition. `consented`: when the purposes it needs are granted.
    `memory` names what is remembered of it, None if it has no memory of its own. `looked_back`: some memory, its own or
    another segment's, looks at it at earlier instants. `recurs`: its truth changes for ever. `closure` are the segments
    it refers to, directly or not. `used` are the keys of the scores and computed traits it asks for. `condition` is
    `when` as it was defined.
    """

    id: str
    definition: str
    condition: BaseModel
    when: Node
    until: Node | None
    stays: int
    enter_after: int
    consented: Node | None
    memory: str | None
    recurs: bool
    looked_back: bool
    closure: frozenset[str]
    reads: frozenset[tuple[str, int | None]]
    used: frozenset[str]


@dataclass(frozen=True)
class Program:
    """Compiled definitions. `segments` maps ids to definition versions; `order` lists them, those referred to first."""

    version: str
    segments: Mapping[str, str]
    order: tuple[CompiledSegment, ...]
    evidence: Mapping[str, Evidence]
    by_event: Mapping[str, tuple[Evidence, ...]]
    by_trait: Mapping[str, tuple[Evidence, ...]]
    dependents: Mapping[str, frozenset[str]]
    lateness: int
    max_age: int
    scores: Mapping[str, Reading] = field(default_factory=dict)
    score_definitions: Mapping[str, score.Score] = field(default_factory=dict)
    computed: Mapping[str, Reading] = field(default_factory=dict)
    told: Mapping[str, Reading] = field(default_factory=dict)

    def with_references(self, names: set[str]) -> list[CompiledSegment]:
        """These segments and those they refer to, directly or not, those referred to first."""
        needed = names.union(*(segment.closure for segment in self.order if segment.closure and segment.id in names))
        return [segment for segment in self.order if segment.id in needed]

    def limited_to(self, names: Collection[str]) -> "Program":
        """The program of these segments alone, and of those they refer to."""
        order = tuple(self.with_references(set(names)))
        keys = {key for segment in order for key, _far in segment.reads}
        evidence = {key: one for key, one in self.evidence.items() if key in keys}
        kept = {segment.id for segment in order}
        return replace(
            self,
            segments={name: definition for name, definition in self.segments.items() if name in kept},
            order=order,
            evidence=evidence,
            by_event=_by_event(evidence),
            by_trait=_grouped(evidence, lambda one: one.trait),
            dependents={key: found & kept for key, found in self.dependents.items() if key in keys},
        )

    def named(self) -> "Program":
        """The program of the segments that somebody may be told of."""
        names = [name for name in self.segments if is_named(name)]
        return self if len(names) == len(self.segments) else self.limited_to(names)

    def concerned(self, name: str) -> tuple[Evidence, ...]:
        """The measurements that take events of this name."""
        return self.by_event.get(name) or self.by_event["*"]


def compile(
    segments: Mapping[str, Any],
    *,
    scores: Mapping[str, Any] = MappingProxyType({}),
    computed: Mapping[str, Any] = MappingProxyType({}),
    models: Mapping[str, Any] = MappingProxyType({}),
    lists: Mapping[str, Collection[str]] = MappingProxyType({}),
    told: Collection[str] = (),
    granted_unsaid: Collection[str] = (),
    session_gap: int = SESSION_GAP,
    lateness: int = LATENESS,
    max_age: int = MAX_AGE,
) -> Program:
    """The program of a catalogue's `segments`, and of the `scores`, `computed` traits and `models` they ask for.

    Raises `Invalid` with the path of the part that is wrong. `lists` are the identifiers on each static list, as
    `user_id:42`; `told` are the traits that calls tell and whose values are asked for; `granted_unsaid` are the
    purposes that count as granted until something is said of them; `session_gap` is how long nothing happens once a
    session is over.
    """
    parsed = _parsed("segments", language.Segment, segments)
    score_definitions = _parsed("scores", score.Score, scores)
    measurements = Measurements(
        language.compile_condition,
        {name: frozenset(members) for name, members in lists.items()},
        frozenset(granted_unsaid),
        {name: partial(score.reading, one) for name, one in score_definitions.items()},
        {name: partial(traits.reading, one) for name, one in _parsed("computed", traits.Computed, computed).items()},
        _parsed("models", ClusterModel, models),
        session_gap,
        lateness,
        max_age,
    )
    for name in computed.keys() & scores.keys():
        raise Invalid("expected a name that no score has", f"computed.{name}")
    # What is asked of every profile is measured first, then what segments ask for.
    scores_read = {name: of(measurements) for name, of in measurements.scores.items()}
    computed_read = {name: of(measurements) for name, of in measurements.computed.items()}
    told_read = {name: measurements.trait_course(name) for name in sorted(told)}
    compiled = _compiled_in_order(parsed, segments, measurements)
    evidence = measurements.book
    definitions = {name: compiled[name].definition for name in segments}
    return Program(
        version=_version(definitions, {**scores_read, **computed_read}, told_read, measurements),
        segments=definitions,
        order=tuple(compiled.values()),
        evidence=evidence,
        by_event=_by_event(evidence),
        by_trait=_grouped(evidence, lambda one: one.trait),
        dependents=_dependents(compiled, evidence),
        lateness=lateness,
        max_age=max_age,
        scores=scores_read,
        score_definitions=score_definitions,
        computed=computed_read,
        told=told_read,
    )


def _compiled_in_order(
    parsed: Mapping[str, Any], definitions: Mapping[str, Any], measurements: Measurements
) -> Mapping[str, CompiledSegment]:
    """Every segment, after those that it refers to. What some memory looks back at is measured at earlier instants."""
    refers = {name: _references(segment) for name, segment in parsed.items()}
    order = _ordered(refers)
    closures = _closures(order, refers)
    remembering = {name for name, segment in parsed.items() if _remembers(segment)}
    looked_back = remembering.union(*(closures[name] for name in remembering))
    compiled: dict[str, CompiledSegment] = {}
    for name in order:
        measurements.looked_back, measurements.used = name in looked_back, set()
        try:
            compiled[name] = _compiled(name, parsed[name], definitions[name], measurements, closures[name], compiled)
        except Invalid as error:
            raise error.under(f"segments.{name}") from error
    return compiled


def _version(
    segments: Mapping[str, str], read: Mapping[str, Reading], told: Collection[str], measurements: Measurements
) -> str:
    """The hash of all that an answer depends on besides the profile."""
    return content_key(
        [
            segments,
            {name: one.key for name, one in read.items()},
            *([sorted(told)] if told else []),
            measurements.lists,
            measurements.granted_unsaid,
            measurements.lateness,
            measurements.max_age,
            RELEASE,
        ]
    )


def _remembers(segment: language.Segment) -> bool:
    return bool(segment.stays or segment.until or segment.enter_after)


def _consented(purposes: Sequence[str], measurements: Measurements) -> Node | None:
    granted = [replace(consent(purpose, measurements), kind="consent") for purpose in purposes]
    return logic.every(granted, "all of") if granted else None


def _parsed(section: str, model: type[language.Part], definitions: Mapping[str, Any]) -> dict[str, language.Part]:
    found = {}
    for name, definition in definitions.items():
        try:
            found[name] = language.parse_as(model, definition)
        except Invalid as error:
            raise error.under(f"{section}.{name}") from error
    return found


def _compiled(
    name: str,
    segment: language.Segment,
    source: Mapping[str, Any],
    measurements: Measurements,
    closure: frozenset[str],
    others: Mapping[str, CompiledSegment],
) -> CompiledSegment:
    when = measurements.node(segment.when, "when")
    until = measurements.node(segment.until, "until") if segment.until else None
    consented = _consented(segment.purposes, measurements)
    content = {part: source.get(part) for part in ("when", "stays", "until", "enter_after", "purposes")}
    if measurements.used:
        content["used"] = sorted(measurements.used)
    parts = [part for part in (when, until, consented) if part is not None]
    return CompiledSegment(
        id=name,
        definition=content_key(content),
        condition=segment.when,
        when=when,
        until=until,
        stays=segment.stays or 0,
        enter_after=segment.enter_after or 0,
        consented=consented,
        memory=content_key(content) if _remembers(segment) else None,
        recurs=any(part.recurs for part in parts) or any(others[other].recurs for other in closure),
        looked_back=measurements.looked_back,
        closure=closure,
        used=frozenset(measurements.used),
        reads=frozenset().union(*(part.reads for part in parts), *(others[other].reads for other in closure)),
    )


def _references(segment: language.Segment) -> dict[str, str]:
    """The segments that a definition names, each with the path of the part that does."""
    found: dict[str, str] = {}

    def visit(part: object, path: str) -> None:
        if isinstance(part, InSegment):
            found.setdefault(part.segment, f"{path}.segment")
        elif isinstance(part, BaseModel):
            for name, field in type(part).model_fields.items():
                visit(getattr(part, name), f"{path}.{field.alias or name}")
        elif isinstance(part, list):
            for number, value in enumerate(part):
                visit(value, f"{path}[{number}]")

    visit(segment.when, "when")
    visit(segment.until, "until")
    return found


def _ordered(refers: Mapping[str, Mapping[str, str]]) -> list[str]:
    for name, others in refers.items():
        for other, path in others.items():
            if other not in refers:
                raise Invalid(f"expected a segment of this catalogue, found {other!r:.60}", f"segments.{name}.{path}")
    try:
        return list(TopologicalSorter({name: sorted(others) for name, others in refers.items()}).static_order())
    except CycleError as error:
        circle = error.args[1][::-1]
        path = refers[circle[0]][circle[1]]
        shown = circle if len(circle) <= MOST_SHOWN else [*circle[: MOST_SHOWN - 2], "…", circle[-1]]
        raise Invalid(
            f"expected no segment that refers to itself, found {' → '.join(shown)}", f"segments.{circle[0]}.{path}"
        ) from error


def _closures(order: Sequence[str], refers: Mapping[str, Mapping[str, str]]) -> dict[str, frozenset[str]]:
    """Of each segment, those it refers to, directly and through others; `order` has those referred to first."""
    closures: dict[str, frozenset[str]] = {}
    for name in order:
        closures[name] = frozenset(refers[name]).union(*(closures[other] for other in refers[name]))
        if len(closures[name]) > MOST_REFERRED:
            raise Invalid(
                f"expected at most {MOST_REFERRED} segments that it refers to, directly and through others, "
                f"found {len(closures[name])}",
                f"segments.{name}",
            )
    return closures


def _by_event(evidence: Mapping[str, Evidence]) -> dict[str, tuple[Evidence, ...]]:
    by_name = _grouped(evidence, lambda one: one.event)
    always = by_name.pop("*", ())
    return {"*": always, **{name: found + always for name, found in by_name.items()}}


def _grouped(
    evidence: Mapping[str, Evidence], name_of: Callable[[Evidence], str | None]
) -> dict[str, tuple[Evidence, ...]]:
    found: dict[str, list[Evidence]] = {}
    for one in evidence.values():
        name = name_of(one)
        if name is not None:
            found.setdefault(name, []).append(one)
    return {name: tuple(ones) for name, ones in found.items()}


def _dependents(compiled: Mapping[str, CompiledSegment], evidence: Mapping[str, Evidence]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {key: set() for key in evidence}
    for segment in compiled.values():
        for key, _far in segment.reads:
            found[key].add(segment.id)
    return {key: frozenset(names) for key, names in found.items()}
