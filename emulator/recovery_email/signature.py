"""Whether a webhook is Segue's own, and fresh."""

import hashlib
import hmac

OLDEST_S = 300
MOST_DIGITS = 15


def is_genuine(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Whether `Segue-Signature` signs `Segue-Timestamp` (seconds) and the body, at most five minutes ago."""
    is_instant = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MOST_DIGITS
    if not is_instant or abs(now - int(timestamp)) > OLDEST_S:
        return False
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v1={signed}".encode(), signature.encode())
