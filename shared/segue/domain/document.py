"""The documents of a profile: its private state, and the public one that lookups read.

What an anonymous visitor did belongs to the user that they turned out to be: their state is a redirect from then on.
"""

from typing import TypeVar

import msgspec

from segue.domain.errors import Invalid, Unavailable
from segue.domain.membership import Interval
from segue.domain.message import MembershipChanged
from segue.domain.profile import NOBODY, Key, ProfileRef

STATES, PROFILES, FAILED_EVENTS = "states", "profiles", "failed_events"
"""The collections."""

SCHEMA = 3
"""The newest shape of either document that this code reads, and the one it writes."""


class Prepared(msgspec.Struct, frozen=True):
    """The state as the definitions have it that version `catalog` prepares, in the rules' own encoding."""

    catalog: int
    state: bytes


class Redirect(msgspec.Struct, frozen=True):
    """The profile that an anonymous one turned out to be: all that was received up to `at` (epoch ms) is that one's."""

    key: Key
    profile: ProfileRef
    at: int


class Link(msgspec.Struct, frozen=True):
    """The key of an anonymous profile that is part of another one: all that was received up to `at` (epoch ms)."""

    key: Key
    at: int


class StateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`states/{key}`: all that evaluate knows of a profile.

    `state` is the rules' own encoding, folded by version `catalog` of the catalogue. `imported`: the profile is under
    import, on the log's clock. `outbox` holds what the newest message led to, to be published again by whoever reads it
    next; `rev` grows with every write. `prepared` is what `state` becomes once the catalogue's new measurements are
    filled from the archive; both are folded on until then. `linked` are the anonymous profiles that are part of this
    one. With a `redirect` the profile is part of that one, and `state` only what is not proven to be its visitor's.
    `erased_at`: nothing that was received up to this instant (epoch ms) is folded any more. An erased profile is
    nobody's, with an empty state whose numbers go on, until something later begins it anew. `refold_at`: what was
    imported is older than what the state looks back to; it is folded anew from the archive once time has come to this
    instant of its clock. `bucketing_id`: what a user is bucketed by in experiments, if not by the own id: the
    anonymous id with which they were first seen. It is settled when the document begins.
    """

    profile: ProfileRef
    state: bytes
    catalog: int
    rev: int
    imported: bool = False
    outbox: tuple[MembershipChanged, ...] = ()
    prepared: Prepared | None = None
    linked: tuple[Link, ...] = ()
    redirect: Redirect | None = None
    erased_at: int | None = None
    refold_at: int | None = None
    bucketing_id: str | None = None
    schema: int = SCHEMA

    @property
    def is_erased(self) -> bool:
        """Whether the profile was erased, and has not been begun anew."""
        return self.profile == NOBODY


class PublicProfile(msgspec.Struct, frozen=True, kw_only=True):
    """`profiles/{key}`: a profile's newest membership snapshot, with the fields of `MembershipChanged`."""

    profile: ProfileRef
    seq: int
    catalog: int
    at: int
    known_until: int | None
    memberships: dict[str, tuple[Interval, ...]]
    approximate: tuple[str, ...] = ()
    into: Key | None = None
    bucketing_id: str | None = None
    schema: int = SCHEMA

    @property
    def is_erased(self) -> bool:
        """Whether the profile was erased, and has not been begun anew."""
        return self.profile == NOBODY


class Standing(msgspec.Struct, frozen=True):
    """Of a StateDocument how far it has come: the version that folded it, and the one it is prepared for."""

    profile: ProfileRef
    catalog: int
    prepared: Prepared | None = None

    @property
    def is_erased(self) -> bool:
        """Whether there is nothing to bring up."""
        return self.profile == NOBODY


class _Shape(msgspec.Struct):
    schema: int


_Document = TypeVar("_Document", StateDocument, PublicProfile)


def state_path(key: str) -> str:
    """Where the store keeps a profile's state."""
    return f"{STATES}/{key}"


def profile_path(key: str) -> str:
    """Where the store keeps a profile's public document."""
    return f"{PROFILES}/{key}"


def public(changed: MembershipChanged) -> PublicProfile:
    """The public document that a snapshot makes."""
    return PublicProfile(
        profile=changed.profile,
        seq=changed.seq,
        catalog=changed.catalog,
        at=changed.at,
        known_until=changed.known_until,
        memberships=changed.memberships,
        approximate=changed.approximate,
        into=changed.into,
        bucketing_id=changed.bucketing_id,
    )


def encode(document: StateDocument | PublicProfile) -> bytes:
    """The document as the store keeps it."""
    return msgspec.msgpack.encode(document)


def decode_state(data: bytes) -> StateDocument:
    """Raises Invalid for corrupt bytes, and Unavailable for a document that newer code wrote."""
    return _decode(data, StateDocument)


def standing(data: bytes) -> Standing | None:
    """How far a state has come; None for bytes that are no state's."""
    try:
        return msgspec.msgpack.decode(data, type=Standing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def decode_profile(data: bytes) -> PublicProfile:
    """Raises Invalid for corrupt bytes, and Unavailable for a document that newer code wrote."""
    return _decode(data, PublicProfile)


def _decode(data: bytes, kind: type[_Document]) -> _Document:
    try:
        schema = msgspec.msgpack.decode(data, type=_Shape).schema
        if schema > SCHEMA:
            raise Unavailable(f"{kind.__name__}: schema {schema} was written by newer code than this, {SCHEMA}")
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the stored document is corrupt: {error}", path=kind.__name__) from None
