"""The ids of a profile's messages of the last 24 h, as bytes: 8 of hash, 6 of when the message was received."""

import hashlib
from typing import Final

from segue.domain.time import DAY

KEPT_FOR: Final = DAY
MOST_IDS: Final = 4_096

HASH_BYTES, RECEIVED_BYTES = 8, 6
ID_BYTES: Final = HASH_BYTES + RECEIVED_BYTES


def name_of(message_id: str) -> bytes:
    """A message's id as the ring knows it."""
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def received(ids: bytes | bytearray, name: bytes) -> int | None:
    """When the message of this name was received, or None if the ring does not hold it."""
    position = _position(ids, name)
    return None if position is None else _received_at(ids, position)


def entry(name: bytes, received_at: int) -> bytes:
    """What is appended to the ring for one more message."""
    return name + received_at.to_bytes(RECEIVED_BYTES, "big")


def receive_earlier(ids: bytearray, name: bytes, received_at: int) -> None:
    """Give a message that the ring holds another instant."""
    position = _position(ids, name)
    if position is not None:
        ids[position : position + ID_BYTES] = entry(name, received_at)


def names(ids: bytes | bytearray) -> set[bytes]:
    """The names of all messages that the ring holds."""
    return set(_entries(ids))


def copies(ids: bytes | bytearray, others: bytes | bytearray) -> list[tuple[int, int]]:
    """When each message that both rings hold was received: as this ring has it, and as the other one has it."""
    there = _entries(others)
    return [(received_at, there[name]) for name, received_at in _entries(ids).items() if name in there]


def joined(ids: bytes | bytearray, others: bytes | bytearray) -> bytearray:
    """The messages of both rings, each as it was received first, the oldest first."""
    both = _entries(ids)
    for name, received_at in _entries(others).items():
        both[name] = min(received_at, both.get(name, received_at))
    in_order = sorted(both.items(), key=lambda each: (each[1], each[0]))
    return bytearray(b"".join(entry(name, received_at) for name, received_at in in_order))


def shortened(ids: bytes | bytearray, keep_from: int) -> tuple[bytes, int]:
    """The ring without the oldest that were received before `keep_from` or are too many.

    Also how many were too many: copies of those can no longer be told.
    """
    drop, oldest = 0, max(0, keep_from).to_bytes(RECEIVED_BYTES, "big")
    while drop < len(ids) - ID_BYTES and ids[drop + HASH_BYTES : drop + ID_BYTES] < oldest:
        drop += ID_BYTES
    over = max(0, (len(ids) - drop) // ID_BYTES - MOST_IDS)
    return bytes(ids[drop + over * ID_BYTES :]), over


def _entries(ids: bytes | bytearray) -> dict[bytes, int]:
    positions = range(0, len(ids), ID_BYTES)
    return {bytes(ids[start : start + HASH_BYTES]): _received_at(ids, start) for start in positions}


def _position(ids: bytes | bytearray, name: bytes) -> int | None:
    position = ids.find(name)
    while position >= 0 and position % ID_BYTES:
        position = ids.find(name, position + 1)
    return None if position < 0 else position


def _received_at(ids: bytes | bytearray, position: int) -> int:
    return int.from_bytes(ids[position + HASH_BYTES : position + ID_BYTES], "big")
