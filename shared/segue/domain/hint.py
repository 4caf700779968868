"""What an open page is told: that something has changed, and up to where; never what has, nor whose it is.

A page then asks anew, as it asked before. So a hint that comes twice, late or for nothing costs a question, and says
nothing to somebody who should not know.
"""

import hmac
from collections.abc import Iterable

import msgspec

REFETCH = "refetchEvaluation"
"""The type of a message that OFREP's providers understand."""

CONNECTED = "connected"


UNKNOWN = "-"
"""The position of who was told nothing for sure: no other is the same."""


def position(secret: bytes, key: str, segments: Iterable[str]) -> str:
    """In which segments a profile is, as text in which nobody can read anything: 16 hex characters.

    Two are the same only of the same profile in the same segments. Who is not known is in none.
    """
    said = "\0".join(["position", key, *sorted(segments)])
    return hmac.digest(secret, said.encode(), "sha256").hex()[:16]


def message(kind: str, position: str) -> bytes:
    """A message to a page, as JSON."""
    return msgspec.json.encode({"type": kind, "etag": position})
