"""How far bringing all profiles up to a version of the catalogue has come: the one document `sweeps/catalog`."""

import msgspec

from segue.domain.errors import Invalid

PATH = "sweeps/catalog"


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The sweep of version `catalog`, which was first seen at `first_seen`. Instants are in epoch ms.

    The newest pass began at `began`; in the one at hand `seen` states were looked at up to the id `after`, of which so
    many were `behind`. The next one begins at `not_before`. Of the last whole pass: how many `profiles` there were, and
    how many were `left` to be brought up (None: there was none yet).
    """

    catalog: int
    first_seen: int
    began: int
    not_before: int = 0
    after: str = ""
    seen: int = 0
    behind: int = 0
    profiles: int = 0
    left: int | None = None
    done: bool = False

    @property
    def share(self) -> float:
        """The part of the profiles that has been brought up, from 0 to 1, as the last whole pass found it."""
        if self.done:
            return 1.0
        return 0.0 if self.left is None or not self.profiles else 1 - self.left / self.profiles


def begun(catalog: int, now: int) -> Sweep:
    """The sweep of a version that is seen for the first time."""
    return Sweep(catalog=catalog, first_seen=now, began=now)


def encode(sweep: Sweep) -> bytes:
    """The sweep as the store keeps it."""
    return msgspec.json.encode(sweep)


def decode(data: bytes) -> Sweep:
    """Raises Invalid for corrupt bytes."""
    try:
        return msgspec.json.decode(data, type=Sweep)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the stored document is corrupt: {error}", path=PATH) from None
