"""Where a visitor falls in a draw: the same place as any GrowthBook SDK's with hash version 2, every time."""

BUCKETS = 10_000


def bucket(seed: str, value: str) -> int:
    """GrowthBook's hash, version 2, in ten thousandths: 0 to 9,999. Source: its SDK specification."""
    return fnv1a_32(str(fnv1a_32(seed + value))) % BUCKETS


def fnv1a_32(value: str) -> int:
    """The 32-bit FNV-1a hash over a text's UTF-16 code units, as JavaScript counts characters."""
    encoded = value.encode("utf-16-le", "surrogatepass")
    result = 0x811C9DC5
    for position in range(0, len(encoded), 2):
        result = (result ^ int.from_bytes(encoded[position : position + 2], "little")) * 0x01000193 & 0xFFFFFFFF
    return result
