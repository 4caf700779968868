"""What an open page is told: that something has changed, and up to where; never what has, nor whose it is.

A page then asks anew, as it asked before. So a hint that comes twice, late or for nothing costs a question, and says
nothing to somebody who should not know.
"""

import hmac

import msgspec

REFETCH = "refetchEvaluation"
"""The type of a message that OFREP's providers understand."""

CONNECTED = "connected"


def position(secret: bytes, key: str, seq: int) -> str:
    """How far a profile has come, as text in which nobody can read anything: 16 hex characters.

    Two are the same only of the same profile and the same snapshot (`seq`; 0: there is none yet).
    """
    return hmac.digest(secret, f"position:{key}:{seq}".encode(), "sha256").hex()[:16]


def message(kind: str, position: str) -> bytes:
    """A message to a page, as JSON."""
    return msgspec.json.encode({"type": kind, "etag": position})
