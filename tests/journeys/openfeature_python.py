"""Evaluations by OpenFeature's SDK for Python through OFREP, as they are released."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

WAIT_S = 10.0


def evaluated(address: str, key: str, questions: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """What the SDK tells of each question, by the names that its siblings have for it."""
    provider = OFREPProvider(address, headers_factory=lambda: {"Authorization": f"Bearer {key}"}, timeout=WAIT_S)
    api.set_provider_and_wait(provider)
    client = api.get_client()
    told = []
    for question in questions:
        context = dict(question["context"])
        evaluate = getattr(client, f"get_{question['type'].lower()}_details")
        about = EvaluationContext(context.pop("targetingKey", None), context)
        details = asdict(evaluate(question["flag"], question["otherwise"], about))
        told.append({
            "flagKey": details["flag_key"],
            "value": details["value"],
            "variant": details["variant"],
            "reason": details["reason"],
            "errorCode": details["error_code"],
            "flagMetadata": details["flag_metadata"],
        })  # fmt: skip
    api.shutdown()
    return told
