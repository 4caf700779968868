"""What a page asks of Segue about its visitor: flags, by OpenFeature and OFREP, answered in time or not at all."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

PATIENCE_S = 0.3
"""So long a page waits for all it asks, together."""

DEADLINE_MS = 200
"""So long Segue may look for an answer; what else there is before the patience ends is for the way."""

AT_ONCE = 16
DOMAIN = "segue"
DEFAULT_VARIANT = "default"
"""What a slot calls content that is not about this visitor."""

_asking = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="segue")


class Filling(NamedTuple):
    """What a slot of Segue has for a visitor; without `content` what anybody gets.

    `tells` are the events that the page owes to Segue once it has shown that.
    """

    variant: str
    content: Mapping[str, Any]
    tells: Sequence[tuple[str, Mapping[str, str]]] = ()


class Told(NamedTuple):
    """What Segue said in time: of a segment that is missing it is not known, and without `filling` there is nothing."""

    segments: Mapping[str, bool]
    filling: Filling | None


NOTHING = Told({}, None)


def connect(segue: str, secret_key: str) -> None:
    """Let OpenFeature ask this address. Nothing is sent yet."""
    headers = {"Authorization": f"Bearer {secret_key}"}
    api.set_provider(OFREPProvider(segue, headers_factory=lambda: headers, timeout=PATIENCE_S), DOMAIN)


def told(visitor: str, after: str | None, segments: Sequence[str], slot: str) -> Told:
    """Which of the segments the visitor is in, and what the slot has for it (`""`: no slot), asked all at once.

    `after`: a message that the answers should include, if that is soon. Never raises, and never takes longer than the
    patience: an answer that fails, or comes later, is missing.
    """
    client, context = api.get_client(domain=DOMAIN), EvaluationContext(attributes=_attributes(visitor, after))
    inside = {id_: _asking.submit(client.get_boolean_details, f"segment.{id_}", False, context) for id_ in segments}
    filling = [_asking.submit(client.get_object_details, slot, {}, context)] if slot else []
    asked: list[Future[Any]] = [*inside.values(), *filling]
    wait(asked, PATIENCE_S)
    for each in asked:
        each.cancel()
    found = {id_: _is_member(each.result()) for id_, each in inside.items() if _in_time(each)}
    return Told(
        segments={id_: inside for id_, inside in found.items() if inside is not None},
        filling=_filling(slot, filling[0].result()) if filling and _in_time(filling[0]) else None,
    )


def _attributes(visitor: str, after: str | None) -> dict[str, Any]:
    """A cookie says what its browser likes: as `anonymous_id` it names an anonymous visitor and no user, whatever."""
    return {"anonymous_id": visitor, "segue_deadline_ms": DEADLINE_MS} | ({"segue_after": after} if after else {})


def _in_time(asked: Future[Any]) -> bool:
    return asked.done() and not asked.cancelled()


def _is_member(details: FlagEvaluationDetails[bool]) -> bool | None:
    """None if that is not known. Of a segment that there is no more, nobody is a member."""
    is_known = details.error_code in (None, ErrorCode.FLAG_NOT_FOUND) and details.reason != Reason.UNKNOWN
    return details.value if is_known else None


def _filling(slot: str, details: FlagEvaluationDetails[Any]) -> Filling | None:
    """None if there is no answer. Whoever takes part in an experiment does so by seeing the default, too."""
    if details.error_code or not isinstance(details.value, dict):
        return None
    variant, experiment = details.variant or DEFAULT_VARIANT, details.flag_metadata
    is_special = variant != DEFAULT_VARIANT
    seen = [("Content Viewed", {"slot": slot, "variant": variant})] if is_special else []
    if "exposure_id" in experiment:
        exposure = {"experiment_id": str(experiment["experiment"]), "variation_id": str(experiment["arm"])}
        seen.append(("Experiment Viewed", exposure))
    return Filling(variant, details.value if is_special else {}, seen)
