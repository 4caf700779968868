"""Slots and segments as feature flags: every slot is an object flag, every segment `segment.<id>` a boolean one."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec

from functions.lookup.decide import DEFAULT_DEADLINE_MS, LONGEST_DEADLINE_MS, Known, decided
from functions.lookup.names import Names, names
from segue.catalogs import Compiled
from segue.domain import untrusted
from segue.domain.decision import Decision, Reason
from segue.domain.errors import Invalid
from segue.domain.event import Json
from segue.domain.experiment import Assignment
from segue.domain.identity import identifier, is_number
from segue.domain.profile import KINDS, ProfileRef
from segue.domain.untrusted import kind_of

SEGMENT = "segment."
"""What the key of a segment's flag begins with; no slot's id can."""

REMEMBERED_FLAGS = 10_000
"""Flags of segments, of which there are a few each: for a member, for others, for when nothing is known."""

Refusal: TypeAlias = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"]

REASONS: Mapping[Reason, str] = {
    "targeting_match": "TARGETING_MATCH",
    "experiment": "SPLIT",
    "control_group": "SPLIT",
    "no_consent": "DISABLED",
    "capped": "DISABLED",
    "off_schedule": "STATIC",
    "default": "STATIC",
    "unknown_visitor": "STATIC",
    "deadline": "UNKNOWN",
    "store_unavailable": "UNKNOWN",
}
"""The names that OpenFeature has for reasons. STATIC: no rule is about this visitor. UNKNOWN: nothing was known in
time."""


class Refused(Invalid):
    """A request that cannot be evaluated; `code` is what OpenFeature calls it."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code = code


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluated flag. `metadata` has flat values only; Segue's own reason is its `segue_reason`."""

    key: str
    value: Any
    reason: str
    variant: str
    metadata: Mapping[str, str | int | float | bool]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's context asks of Segue. Whatever else is in it speaks to others."""

    said: Mapping[str, Json]
    after: str | None
    deadline_ms: int

    def names(self, own: ProfileRef | None) -> Names:
        """The visitor: `user_id`, `anonymous_id` or both, else `targetingKey`, which is an anonymous id unless it
        begins with `user_id:` or `anonymous_id:`; of a browser its `own`. Raises Refused."""
        user = None if own else _identifier(self.said, "user_id")
        anonymous = _identifier(self.said, "anonymous_id")
        return names(user, anonymous, own) or Names((self._targeted(),))

    def _targeted(self) -> ProfileRef:
        targeting_key = _identifier(self.said, "targetingKey") or ""
        kind, _, value = targeting_key.partition(":")
        named = ProfileRef(KINDS[kind], value) if kind in KINDS else ProfileRef("anonymous_id", targeting_key)
        if not named.value or named.value.isspace():
            raise Refused("TARGETING_KEY_MISSING", "expected a targetingKey, a user_id or an anonymous_id, found none")
        return named


def context_of(body: bytes) -> Context:
    """The context of a request's body. Raises Refused."""
    try:
        decoded = untrusted.decode(body)
    except Invalid as error:
        raise Refused("PARSE_ERROR", str(error)) from None
    said = decoded.get("context")
    if said is None:
        said = {}
    if not isinstance(said, dict):
        raise Refused("INVALID_CONTEXT", f"context: expected an object, found {kind_of(said)}")
    return Context(said=said, after=_identifier(said, "segue_after"), deadline_ms=_deadline_ms(said))


def flags(compiled: Compiled, known: Known, *, public: bool) -> Iterator[Flag]:
    """Every flag there is, from what is known of the visitor; `public`: as a browser may read them."""
    for id_, decision in decided(compiled.catalog.slots, compiled, known).items():
        yield _slot(id_, decision, public, compiled)
    for id_ in compiled.catalog.segments:
        if not public or compiled.catalog.is_public(id_):
            yield _segment(id_, known)


def flag(key: str, compiled: Compiled, known: Known, *, public: bool) -> Flag | None:
    """One flag; None if there is no such flag, or none that a browser may read."""
    if key in compiled.catalog.slots:
        return _slot(key, decided([key], compiled, known)[key], public, compiled)
    segment = key.removeprefix(SEGMENT)
    if segment == key or segment not in compiled.catalog.segments:
        return None
    return _segment(segment, known) if not public or compiled.catalog.is_public(segment) else None


def _slot(id_: str, decision: Decision, public: bool, compiled: Compiled) -> Flag:
    """A browser is not told whether its visitor is known, nor of segments that are not public."""
    reason = "default" if public and decision.reason == "unknown_visitor" else decision.reason
    metadata: dict[str, str | int | float | bool] = {"segue_reason": reason}
    if decision.segment and (not public or compiled.catalog.is_public(decision.segment)):
        metadata["segment"] = decision.segment
    if decision.experiment:
        metadata |= _experiment(decision.experiment)
    return Flag(
        key=id_,
        value=decision.content,
        reason=REASONS[decision.reason],
        variant=str(decision.variant),
        metadata=metadata,
    )


def _experiment(assignment: Assignment) -> Mapping[str, str]:
    """What an exposure is made of, in flat values: its `exposure_id` is the message id, and says that one is owed."""
    owed = {}
    if assignment.exposure:
        said = assignment.exposure.properties
        owed = {
            "exposure_id": assignment.exposure.message_id,
            "experiment_name": said["experiment_name"],
            "arm_name": said["variation_name"],
        }
    return {"experiment": assignment.experiment, "arm": assignment.arm, **owed}


def _segment(id_: str, known: Known) -> Flag:
    member = known.answer is not None and id_ in known.answer.segments
    unknown: Reason | None = known.failure if known.answer is None else None
    return _segment_flag(id_, unknown or ("targeting_match" if member else "default"))


@lru_cache(maxsize=REMEMBERED_FLAGS)
def _segment_flag(id_: str, reason: Reason) -> Flag:
    member = reason == "targeting_match"
    return Flag(
        key=f"{SEGMENT}{id_}",
        value=member,
        reason=REASONS[reason],
        variant="member" if member else "none",
        metadata={"segue_reason": reason},
    )


def _identifier(said: Mapping[str, Json], field: str) -> str | None:
    try:
        return identifier(said.get(field), field)
    except Invalid as error:
        raise Refused("INVALID_CONTEXT", str(error)) from None


def _deadline_ms(said: Mapping[str, Json]) -> int:
    asked = said.get("segue_deadline_ms", DEFAULT_DEADLINE_MS)
    if not is_number(asked) or not 1 <= asked <= LONGEST_DEADLINE_MS:
        expected = f"expected 1 to {LONGEST_DEADLINE_MS} ms, found {asked!r:.40}"
        raise Refused("INVALID_CONTEXT", f"segue_deadline_ms: {expected}")
    return int(asked)
