"""What a webhook destination receives, and what its answers mean."""

import hashlib
import hmac
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from segue.domain.errors import Rejected, Unavailable
from segue.domain.message import DeliveryDue

TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that are worth another attempt, as every status from 500 on is; the rest are final, redirects too."""


def idempotency_key(delivery: DeliveryDue) -> str:
    """The same for every attempt at this transition, and for nothing else: what the receiver tells copies by."""
    return f"{delivery.key}:{delivery.transition.seq}:{delivery.destination}"


def body(delivery: DeliveryDue) -> bytes:
    """JSON: the profile as `{kind: value}`, and the transition's own fields. `seq` orders a profile's transitions."""
    profile = {delivery.profile.kind: delivery.profile.value}
    return msgspec.json.encode({"profile": profile, **msgspec.structs.asdict(delivery.transition)})


def headers(delivery: DeliveryDue, content: bytes, secret: str, now: int) -> Mapping[str, str]:
    """The signature covers the timestamp (seconds) and the body: `hmac_sha256(secret, timestamp + "." + body)`."""
    timestamp = str(now // 1_000)
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + content, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key(delivery),
        "Segue-Timestamp": timestamp,
        "Segue-Signature": f"v1={signature}",
    }


def expect_success(status: int) -> None:
    """Raises Unavailable for an answer that is worth another attempt, Rejected for one that is final."""
    if 200 <= status < 300:
        return
    if status >= 500 or status in TRANSIENT:
        raise Unavailable(f"the destination answered {status}")
    raise Rejected(f"the destination answered {status}")
