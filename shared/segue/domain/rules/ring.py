"""The ids of a profile's messages of the last 24 h, as bytes: 8 of hash, 6 of when the message was received."""

import hashlib
from typing import Final

from segue.domain.time import DAY

KEPT_FOR: Final = DAY
MOST_IDS: Final = 4_096

HASH_BYTES, RECEIVED_BYTES = 8, 6
ID_BYTES: Final = HASH_BYTES + RECEIVED_BYTES


def received(ids: bytes, message_id: str) -> int | None:
    """When the message with this id was received, or None if the ring does not hold it."""
    position = _position(ids, message_id)
    return None if position is None else _received_at(ids, position)


def with_id(ids: bytes, message_id: str, received_at: int, keep_from: int) -> tuple[bytes, int]:
    """The ring with one more id, without the oldest that were received before `keep_from` or are too many.

    Also how many were too many: copies of those can no longer be told.
    """
    ids += _hash(message_id) + received_at.to_bytes(RECEIVED_BYTES, "big")
    drop = 0
    while drop < len(ids) - ID_BYTES and _received_at(ids, drop) < keep_from:
        drop += ID_BYTES
    over = max(0, (len(ids) - drop) // ID_BYTES - MOST_IDS)
    return ids[drop + over * ID_BYTES :], over


def received_earlier(ids: bytes, message_id: str, received_at: int) -> bytes:
    """The ring with another instant for an id that it holds."""
    position = _position(ids, message_id)
    if position is None:
        return ids
    end = position + ID_BYTES
    return ids[: position + HASH_BYTES] + received_at.to_bytes(RECEIVED_BYTES, "big") + ids[end:]


def _position(ids: bytes, message_id: str) -> int | None:
    name = _hash(message_id)
    position = ids.find(name)
    while position >= 0 and position % ID_BYTES:
        position = ids.find(name, position + 1)
    return None if position < 0 else position


def _received_at(ids: bytes, position: int) -> int:
    return int.from_bytes(ids[position + HASH_BYTES : position + ID_BYTES], "big")


def _hash(message_id: str) -> bytes:
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()
