"""Who a visitor is to Segue: an identifier, and the key its documents are stored under."""

import hmac
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec

IdentifierKind: TypeAlias = Literal["user_id", "anonymous_id"]

KINDS: Mapping[str, IdentifierKind] = {"user_id": "user_id", "anonymous_id": "anonymous_id"}
"""The kinds by their names."""

Key: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
"""What `profile_key` makes; checked wherever a message is decoded."""

SHARDS = 64


class ProfileRef(msgspec.Struct, frozen=True):
    """An identifier of a visitor, as `user_id:42` in addresses and logs of the customer's own."""

    kind: IdentifierKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


NOBODY = ProfileRef("anonymous_id", "")
"""Whose a profile is that was erased: no visitor has a blank id."""


def profile_key(secret: bytes, profile: ProfileRef) -> str:
    """The document id of a profile: HMAC-SHA256 of `kind:value`, 32 hex characters. Holds no personal data."""
    return hmac.digest(secret, str(profile).encode(), "sha256").hex()[:32]


def shard_of(key: str, imported: bool = False) -> int:
    """The due index's shard of a profile: 0 to 63 on the wall's clock, 64 to 127 while it is under import."""
    return int(key[:8], 16) % SHARDS + (SHARDS if imported else 0)
