"""Slots as the catalogue has them: the places on a page, what may fill them, for whom, when and how often.

What has to be known of a visitor for a variant's `when` and `cap`, and for a slot's `purposes`, is known ahead like
membership in a segment: each becomes an unnamed segment of the same program, which nobody is told of but decisions.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from pydantic import Field, WithJsonSchema, model_validator

from segue.domain import content as contents
from segue.domain.content import Flaw, Schema
from segue.domain.event import Json
from segue.domain.membership import unnamed
from segue.domain.part import Content, Id, Name, Part, Problem, Text, written
from segue.domain.rules import definition
from segue.domain.rules.evidence import content_key
from segue.domain.rules.kinds.clock import TimeOf
from segue.domain.rules.model import MAX_COUNT, NAME, Duration, Instant, Path

DEFAULT_VARIANT = "default"
"""The variant's name in a decision for a slot's default content; no variant of a slot may take it."""

CONTENT_VIEWED = "Content Viewed"
"""What a page tells once a visitor has seen a slot: with the `slot` and the `variant`."""

LARGEST_CONTENT: Final = 64 * 1_024
"""Bytes, as JSON."""

VALUES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "count": ("integer",),
    "rate": ("number",),
    "time_since_last": ("integer",),
    "streak": ("integer",),
    "most_frequent": ("string", "number", "boolean"),
    "unique_list": ("array",),
    "tally": ("object",),
    "sum": ("number",),
    "avg": ("number",),
    "min": ("number",),
    "max": ("number",),
    "distinct": ("integer",),
}
"""What values the kinds of computed traits have, in JSON Schema's words; of any other kind they may be anything."""


class Schedule(Part):
    """When a variant may be shown: all that is named has to hold."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    """From this instant on."""
    until: Instant | None = None
    """Until before this instant."""
    time: TimeOf | None = None
    """While the clocks of a place show this, as the condition `time` has it."""

    @model_validator(mode="after")
    def _says_something(self) -> "Schedule":
        if self.from_ is None and self.until is None and self.time is None:
            raise ValueError("expected from, until or time, found none of them")
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise ValueError("expected from to be before until, found it is not")
        return self


class Cap(Part):
    """How often a variant is shown to a visitor: by the `Content Viewed` events which pages send of it."""

    times: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    """So many times at most,"""
    within: Duration
    """in the last so long."""


class Control(Part):
    """A stable share of the visitors that always gets the default content, to compare the others with."""

    percent: Annotated[float, Field(gt=0, le=100)]
    """The share of all visitors."""
    seed: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Another one chooses others; `control:` and the slot's id if left out."""


Origin: TypeAlias = Literal["computed", "score", "trait"]
"""Where a bound value comes from."""

Source: TypeAlias = tuple[Origin, str]
"""A value of the visitor: of a computed trait or a score by name, or of a trait by its path."""


class Binding(Part):
    """The value of the visitor that a field of the content takes: exactly one of these."""

    computed: Name | None = None
    """That of a computed trait of this catalogue."""
    score: Name | None = None
    """That of a score of this catalogue."""
    trait: Path | None = None
    """That of a trait which the site's calls tell of the visitor, by its path."""

    @model_validator(mode="after")
    def _one_source(self) -> "Binding":
        if sum(value is not None for value in (self.computed, self.score, self.trait)) != 1:
            raise ValueError("expected exactly one of computed, score and trait")
        return self

    @property
    def source(self) -> Source:
        """Where the value comes from."""
        if self.computed is not None:
            return "computed", self.computed
        return ("score", self.score) if self.score is not None else ("trait", self.trait or "")


class Variant(Part):
    """Content of a slot for those for whom all that is named holds; for everybody if nothing is."""

    name: Id
    """What it goes by in decisions."""
    segment: Id | None = None
    """For the members of this segment."""
    when: Annotated[dict[str, Any], WithJsonSchema({NAME: "Condition"})] | None = None
    """For those of whom this condition holds."""
    experiment: Id | None = None
    """For those in an arm of this experiment."""
    arm: Id | None = None
    """The arm."""
    schedule: Schedule | None = None
    """At these times."""
    cap: Cap | None = None
    """For those who have not seen it too often."""
    content: Content
    """Data that the CMS knows how to show."""
    bind: dict[str, Binding] = Field(default={})
    """Fields of the content that are the visitor's own; the content has what stands there for those who have none."""

    @model_validator(mode="after")
    def _arm_of_experiment(self) -> "Variant":
        if (self.experiment is None) != (self.arm is None):
            raise ValueError("expected experiment and arm together, found one of them")
        return self


class Slot(Part):
    """A place on a page: the first variant that is for the visitor fills it, else the default content."""

    name: Text
    """What people call it."""
    description: Text | None = None
    """For people, too."""
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    """What all of its content has to be like: a JSON Schema (draft 2020-12) of an object."""
    variants: Annotated[tuple[Variant, ...], Field(strict=False)] = ()
    """In this order: the first one that is for the visitor."""
    default: Content
    """For everybody else, and whenever nothing is known in time."""
    control: Control | None = None
    """Those who always get the default content."""
    purposes: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=20)] | None = None
    """Whoever has not consented to all of these gets the default content."""


def when_of(slot: str, variant: str) -> str:
    """The unnamed segment of those for whom a variant's condition holds."""
    return unnamed(slot, variant, "when")


def capped_of(slot: str, variant: str) -> str:
    """The unnamed segment of those who have seen a variant as often as its cap allows."""
    return unnamed(slot, variant, "capped")


def is_cap(segment: str) -> bool:
    """Whether it is the unnamed segment of a variant's cap."""
    return segment.endswith("/capped")


def consented_of(slot: str) -> str:
    """The unnamed segment of those who consented to a slot's purposes."""
    return unnamed(slot, "consented")


def conditions(slots: Mapping[str, Slot]) -> Mapping[str, Json]:
    """The unnamed segments, as definitions."""
    return {
        id_: {"name": id_, **segment} for slot_id, slot in slots.items() for id_, segment in _unnamed(slot_id, slot)
    }


def _unnamed(slot_id: str, slot: Slot) -> Iterator[tuple[str, Json]]:
    if slot.purposes:
        yield consented_of(slot_id), {"when": {"all": [{"consent": purpose} for purpose in slot.purposes]}}
    for variant in slot.variants:
        if variant.when is not None:
            yield when_of(slot_id, variant.name), {"when": variant.when}
        if variant.cap is not None:
            seen = {
                "did": CONTENT_VIEWED,
                "where": {"slot": slot_id, "variant": variant.name},
                "count": {"ge": variant.cap.times},
                "within": f"{variant.cap.within}ms",
            }
            yield capped_of(slot_id, variant.name), {"when": seen}


def as_written(path: str, slots: Mapping[str, Slot]) -> str:
    """The path of a part of an unnamed segment's definition as it stands in the slot; that of any other as it is."""
    for slot_id, slot in slots.items():
        for index, variant in enumerate(slot.variants):
            compiled = f"segments.{when_of(slot_id, variant.name)}."
            if path.startswith(compiled):
                return f"{written(('slots', slot_id, 'variants', index))}.{path.removeprefix(compiled)}"
    return path


def bound(slots: Mapping[str, Slot]) -> frozenset[Source]:
    """All values of visitors that content is bound to."""
    variants = [variant for slot in slots.values() for variant in slot.variants]
    return frozenset(binding.source for variant in variants for binding in variant.bind.values())


class Known(NamedTuple):
    """What slots may refer to: names of the catalogue, computed traits with their definitions, and each experiment with
    its arms."""

    segments: Collection[str]
    scores: Collection[str]
    computed: Mapping[str, Json]
    experiments: Mapping[str, Collection[str]]


def problems(slots: Mapping[str, Slot], known: Known) -> Iterator[Problem]:
    """What is wrong with these slots beyond their form."""
    for slot_id, slot in slots.items():
        for steps, message in _flaws(slot, known):
            yield Problem(written(("slots", slot_id, *steps)), message)


def _flaws(slot: Slot, known: Known) -> Iterator[Flaw]:
    flaws = [] if slot.schema_ is None else contents.flaws(slot.schema_)
    yield from (flaw.within("schema") for flaw in flaws)
    schema = None if flaws else slot.schema_
    yield from (flaw.within("default") for flaw in _misfits(schema, slot.default))
    yield from _repeated_names(slot)
    for index, variant in enumerate(slot.variants):
        found = [
            *_unknown(variant, known),
            *_mistaken_condition(variant),
            *(flaw.within("content") for flaw in _misfits(schema, variant.content)),
            *(flaw.within("bind") for flaw in _misbound(slot.schema_, variant, known)),
            *_unreachable(slot.variants[:index], variant),
        ]
        yield from (flaw.within("variants", index) for flaw in found)


def _misfits(schema: Schema | None, content: Content) -> Sequence[Flaw]:
    size = len(msgspec.json.encode(content))
    if size > LARGEST_CONTENT:
        return [Flaw((), f"expected content of at most {LARGEST_CONTENT} bytes, found {size}")]
    return [] if schema is None else contents.misfits(schema, content)


def _repeated_names(slot: Slot) -> Iterator[Flaw]:
    taken = {DEFAULT_VARIANT}
    for index, variant in enumerate(slot.variants):
        if variant.name in taken:
            message = f"expected a name no other variant of the slot has, found {variant.name!r}"
            yield Flaw(("variants", index, "name"), message)
        taken.add(variant.name)


def _unknown(variant: Variant, known: Known) -> Iterator[Flaw]:
    if variant.segment is not None and variant.segment not in known.segments:
        yield Flaw(("segment",), f"expected a segment of this catalogue, found {variant.segment!r}")
    if variant.experiment is not None and variant.experiment not in known.experiments:
        yield Flaw(("experiment",), f"expected an experiment of this catalogue, found {variant.experiment!r}")
    elif variant.experiment is not None and variant.arm not in known.experiments[variant.experiment]:
        arms = " ".join(known.experiments[variant.experiment])
        yield Flaw(("arm",), f"expected an arm of the experiment, one of {arms}, found {variant.arm!r}")


def _mistaken_condition(variant: Variant) -> Iterator[Flaw]:
    if variant.when is not None:
        for error in definition.problems({"name": variant.name, "when": variant.when}):
            yield Flaw((error.path,), error.message)


def _misbound(schema: Schema | None, variant: Variant, known: Known) -> Iterator[Flaw]:
    declared = contents.fields(schema)
    for field, binding in variant.bind.items():
        origin, name = binding.source
        if field not in declared:
            yield Flaw((field,), "expected a field that the slot's schema declares among its properties, found another")
        elif field not in variant.content:
            yield Flaw((field,), "expected the content to have the field, for visitors without a value, found nothing")
        elif origin == "computed" and name not in known.computed:
            yield Flaw((field, origin), f"expected a computed trait of this catalogue, found {name!r}")
        elif origin == "score" and name not in known.scores:
            yield Flaw((field, origin), f"expected a score of this catalogue, found {name!r}")
        elif origin == "trait" and name.split(".")[0] in known.computed:
            yield Flaw((field, origin), f"expected a trait that calls tell, found {name!r}, which is computed")
        else:
            types = _values_of(origin, known.computed.get(name))
            if not contents.may_be(declared[field], types):
                message = f"expected a value that the schema allows there, found one that is {' or '.join(types)}"
                yield Flaw((field,), message)


def _values_of(origin: Origin, computed: Json) -> Sequence[str]:
    if origin == "score":
        return ("number",)
    kinds = [kind for kind in VALUES_OF if kind in computed] if isinstance(computed, dict) else []
    return VALUES_OF[kinds[0]] if kinds else ()


def _unreachable(before: Sequence[Variant], variant: Variant) -> Iterator[Flaw]:
    """Whoever a variant is for was taken by one before it that asks for nothing else."""
    targets = _targets(variant)
    for other in before:
        if other.cap is None and _targets(other) <= targets:
            message = f"expected somebody whom the variants before leave over, found all taken by {other.name!r}"
            yield Flaw((), message)
            return


def _targets(variant: Variant) -> frozenset[str]:
    """What has to hold for the variant, but for its cap."""
    said = variant.model_dump(include={"segment", "when", "experiment", "arm", "schedule"}, exclude_none=True)
    return frozenset(content_key([name, value]) for name, value in said.items())
