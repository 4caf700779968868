"""What fills a slot for a visitor, and why: from what is known of them, and the instant."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from segue.domain import content as contents
from segue.domain import rules
from segue.domain.bucket import BUCKETS, bucket
from segue.domain.event import Json
from segue.domain.experiment import Assignment, Experiment, Holdout, assigned
from segue.domain.part import Content
from segue.domain.rules.kinds.clock import shows
from segue.domain.rules.local_time import local, zone
from segue.domain.rules.operators import MISSING, split, value_at
from segue.domain.slot import DEFAULT_VARIANT, Schedule, Slot, Source, Variant, capped_of, consented_of, when_of

Reason: TypeAlias = Literal[
    "targeting_match", "experiment", "default", "control_group", "no_consent", "capped", "off_schedule",
    "unknown_visitor", "unknown_slot", "deadline", "store_unavailable",
]  # fmt: skip
"""Why a slot gets its content.

| reason | content |
| --- | --- |
| targeting_match | that of the first variant which is for the visitor, by its segment, its condition or its schedule |
| experiment | that of the visitor's arm of an experiment; the default if no variant is for that arm |
| default | the default: no variant is for the visitor |
| control_group | the default: the visitor is in the slot's control group |
| no_consent | the default: the visitor has not consented to what the slot is for |
| capped | the default: a variant is for the visitor, who has seen it as often as its cap allows |
| off_schedule | the default: a variant is for the visitor, but not at this time |
| unknown_visitor | the default: no event of the visitor has been evaluated |
| deadline | the default: nothing was known in time |
| store_unavailable | the default: what is known cannot be read |
| unknown_slot | none: the catalogue has no such slot |
"""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What fills a slot, and why; `segment` is the one that was decisive.

    `experiment` is what the visitor takes part in here, and so is owed an exposure, whatever fills the slot.
    `includes_after` is said where `after` was asked: whether its message is included.
    """

    content: Content | None
    variant: str | None
    reason: Reason
    segment: str | None = None
    experiment: Assignment | None = None
    includes_after: bool | None = None


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a visitor at the instant `at` (epoch ms).

    `known`: some event of theirs has been evaluated. `segments` are those that hold them, unnamed ones included.
    `bucketing_id` is what they are drawn by. `values` are those that content is bound to, where they have one.
    """

    at: int
    known: bool
    segments: Collection[str]
    bucketing_id: str
    values: Mapping[Source, Json] = {}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What of the catalogue decisions need beside the slot."""

    experiments: Mapping[str, Experiment] = {}
    holdouts: Mapping[str, Holdout] = {}
    granted_unsaid: Collection[str] = ()


Holds: TypeAlias = Callable[[Visitor], bool]


class Filling(msgspec.Struct, frozen=True, kw_only=True):
    """A variant made ready. `targets` say of a visitor whether each holds, by its name; `fields` are those that are
    bound, each with where its value comes from and whether a value fits."""

    variant: Variant
    targets: Mapping[str, Holds]
    fields: Mapping[str, tuple[Source, Callable[[Json], bool]]]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A slot made ready. `binds`: some of its content is bound to values of visitors."""

    id: str
    slot: Slot
    fillings: tuple[Filling, ...]
    binds: bool
    terms: Terms


def place(id_: str, slot: Slot, terms: Terms) -> Place:
    """The slot made ready; it has no mistakes."""
    return Place(
        id=id_,
        slot=slot,
        fillings=tuple(_filling(id_, slot, variant) for variant in slot.variants),
        binds=any(variant.bind for variant in slot.variants),
        terms=terms,
    )


def decision(place: Place, visitor: Visitor) -> Decision:
    """What fills the slot for the visitor."""
    if _is_in_control(place, visitor):
        return fallback(place.slot, "control_group")
    if not _has_consented(place, visitor):
        return fallback(place.slot, "no_consent")
    filling, taking_part, missed = _filled(place, visitor)
    if filling is None:
        reason = "experiment" if taking_part else missed or ("default" if visitor.known else "unknown_visitor")
        return msgspec.structs.replace(fallback(place.slot, reason), experiment=taking_part)
    variant = filling.variant
    return Decision(
        content=_content(filling, visitor),
        variant=variant.name,
        reason="targeting_match" if variant.experiment is None else "experiment",
        segment=variant.segment,
        experiment=taking_part,
    )


def asked_for(place: Place, decision: Decision) -> frozenset[Source]:
    """The visitor's values that the content decided on is bound to."""
    chosen = [filling for filling in place.fillings if filling.variant.name == decision.variant]
    return frozenset(source for filling in chosen for source, _ in filling.fields.values())


def values(program: rules.Program, state: rules.State, sources: Collection[Source], t: int) -> Mapping[Source, Json]:
    """Those of these values that the visitor has at t, with no further event."""
    told = {
        "computed": rules.computed(program, state, t),
        "score": rules.scores(program, state, t),
        "trait": rules.told(program, state, t),
    }
    found = {(origin, name): value_at(told[origin], _path(origin, name)) for origin, name in sources}
    return {source: value for source, value in found.items() if value is not MISSING}


def _path(origin: str, name: str) -> tuple[str, ...]:
    return split(name) if origin == "trait" else (name,)


def fallback(slot: Slot | None, reason: Reason) -> Decision:
    """The default content, the same for everybody; of a slot that does not exist, none."""
    if slot is None:
        return Decision(content=None, variant=None, reason="unknown_slot")
    return Decision(content=slot.default, variant=DEFAULT_VARIANT, reason=reason)


MISSED: Mapping[str, Reason] = {"cap": "capped", "schedule": "off_schedule"}
"""The reason for the default where only this target of a variant does not hold; a cap comes before a schedule."""


def _filling(slot_id: str, slot: Slot, variant: Variant) -> Filling:
    declared = contents.fields(slot.schema_)
    return Filling(
        variant=variant,
        targets=dict(_targets(slot_id, variant)),
        fields={field: (each.source, contents.fits(declared[field])) for field, each in variant.bind.items()},
    )


def _targets(slot_id: str, variant: Variant) -> Iterator[tuple[str, Holds]]:
    if variant.segment is not None:
        yield "segment", _inside(variant.segment)
    if variant.when is not None:
        yield "when", _inside(when_of(slot_id, variant.name))
    if variant.schedule is not None:
        yield "schedule", _scheduled(variant.schedule)
    if variant.cap is not None:
        capped = _inside(capped_of(slot_id, variant.name))
        yield "cap", lambda visitor: not capped(visitor)


def _inside(segment: str) -> Holds:
    return lambda visitor: segment in visitor.segments


def _scheduled(schedule: Schedule) -> Holds:
    time = schedule.time
    tz, shown = (zone(time.tz), shows(time)) if time else (None, None)

    def holds(visitor: Visitor) -> bool:
        if schedule.from_ is not None and visitor.at < schedule.from_:
            return False
        if schedule.until is not None and visitor.at >= schedule.until:
            return False
        return tz is None or shown is None or shown(local(visitor.at, tz))

    return holds


def _filled(place: Place, visitor: Visitor) -> tuple[Filling | None, Assignment | None, Reason | None]:
    """The first variant that is for the visitor, the experiment in which they take part, and what kept one from them.

    Who takes part in one experiment of the slot is in no other one of it: each could not be judged without the other.
    """
    taking_part: Assignment | None = None
    missed: Reason | None = None
    for filling in place.fillings:
        misses = [name for name, holds in filling.targets.items() if not holds(visitor)]
        if misses:
            only = MISSED.get(misses[0]) if len(misses) == 1 else None
            missed = "capped" if "capped" in (only, missed) else missed or only
            continue
        variant = filling.variant
        if variant.experiment is None:
            return filling, taking_part, None
        taking_part = taking_part or _assignment(place.terms, variant.experiment, visitor)
        if taking_part and (taking_part.experiment, taking_part.arm) == (variant.experiment, variant.arm):
            return filling, taking_part, None
    return None, taking_part, missed


def _is_in_control(place: Place, visitor: Visitor) -> bool:
    control = place.slot.control
    if control is None:
        return False
    return bucket(control.seed or f"control:{place.id}", visitor.bucketing_id) < control.percent * BUCKETS / 100


def _has_consented(place: Place, visitor: Visitor) -> bool:
    """Of who is unknown nothing was said of any purpose."""
    purposes = place.slot.purposes or ()
    if not visitor.known:
        return all(purpose in place.terms.granted_unsaid for purpose in purposes)
    return not purposes or consented_of(place.id) in visitor.segments


def _assignment(terms: Terms, experiment: str, visitor: Visitor) -> Assignment | None:
    return assigned(experiment, terms.experiments[experiment], visitor.bucketing_id, visitor.segments, terms.holdouts)


def _content(filling: Filling, visitor: Visitor) -> Content:
    """The variant's content, with the visitor's own values in the fields that are bound, where they fit."""
    own: dict[str, Any] = {}
    for field, (source, fits) in filling.fields.items():
        value = visitor.values.get(source)
        if value is not None and fits(value):
            own[field] = value
    return {**filling.variant.content, **own} if own else filling.variant.content
