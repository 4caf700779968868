"""A profile's private state: its evidence, what is known ahead from it, and what is still to be announced."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from segue.domain.errors import Invalid
from segue.domain.membership import Interval, Transition
from segue.domain.rules import ring
from segue.domain.rules.evidence import Entry
from segue.domain.rules.measurements import Totals

SCHEMA: Final = 1

Memberships: TypeAlias = Mapping[str, tuple[Interval, ...]]


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """What became of the profile's events. `forgotten` ids left the ring before their 24 h were over."""

    folded: int = 0
    duplicate: int = 0
    late: int = 0
    forgotten: int = 0

    def since(self, before: "Counts") -> "Counts":
        """By how much they have grown."""
        return Counts(
            self.folded - before.folded,
            self.duplicate - before.duplicate,
            self.late - before.late,
            self.forgotten - before.forgotten,
        )


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine knows of one profile; a fold returns a new one.

    `instant` is the newest instant seen: every transition up to it was announced. `known_from` is when the profile
    came to exist. Before `frozen` nothing can change any more; `remembered` is, of each segment with memory, the last
    instant before `frozen` at which it was true with no `until` since; `standing`, of each that takes time to enter,
    since when it had been true then. `lost` is, of each measurement that passed its cap, the newest instant that was
    dropped. `memberships` are the intervals from `instant` on, exact before the least of `cuts`. `ids` are the messages
    of the last 24 h. `pending` and `changed` are since the last `drained`.
    """

    program: str = ""
    instant: int = 0
    known_from: int | None = None
    frozen: int | None = None
    streams: Mapping[str, tuple[Entry, ...]] = {}
    totals: Mapping[str, Mapping[str, Totals]] = {}
    lost: Mapping[str, int] = {}
    remembered: Mapping[str, int] = {}
    standing: Mapping[str, int] = {}
    memberships: Memberships = {}
    cuts: Mapping[str, int] = {}
    approximate: tuple[str, ...] = ()
    due: int | None = None
    ids: bytes = b""
    counts: Counts = Counts()
    seq: int = 0
    pending: tuple[Transition, ...] = ()
    changed: bool = False

    @property
    def known_until(self) -> int | None:
        """Before this instant `memberships` are exact; None: for ever."""
        return min(self.cuts.values(), default=None)


def empty() -> State:
    """The state of a profile nothing is known of."""
    return State()


def drained(state: State) -> State:
    """The state once what was pending has been put into a snapshot, whose sequence number is the new `seq`."""
    return msgspec.structs.replace(state, pending=(), changed=False, seq=state.seq + 1)


def holds(state: State, message_id: str) -> bool:
    """Whether a message with this id was folded in the last 24 h."""
    return ring.received(state.ids, ring.name_of(message_id)) is not None


class _Stored(msgspec.Struct, array_like=True):
    """A state as bytes: instants of entries as ages, which are short."""

    schema: int
    program: str
    instant: int
    known_from: int | None
    frozen: int | None
    streams: dict[str, list[Any]]
    totals: dict[str, dict[str, Totals]]
    lost: dict[str, int]
    remembered: dict[str, int]
    standing: dict[str, int]
    memberships: dict[str, tuple[Interval, ...]]
    cuts: dict[str, int]
    approximate: tuple[str, ...]
    due: int | None
    ids: bytes
    counts: Counts
    seq: int
    pending: tuple[Transition, ...]
    changed: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


def encode(state: State) -> bytes:
    """The state as bytes."""
    return _encoder.encode(_stored(state))


def decode(stored: bytes) -> State:
    """The state of such bytes. Raises `Invalid` if they are none."""
    try:
        found = _decoder.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"expected a profile's state, found bytes that are none ({error})") from error
    if found.schema != SCHEMA:
        raise Invalid(f"expected a state of schema {SCHEMA}, found {found.schema}")
    return State(
        program=found.program,
        instant=found.instant,
        known_from=found.known_from,
        frozen=found.frozen,
        streams={key: _entries(flat, found.instant) for key, flat in found.streams.items()},
        totals=found.totals,
        lost=found.lost,
        remembered=found.remembered,
        standing=found.standing,
        memberships=found.memberships,
        cuts=found.cuts,
        approximate=found.approximate,
        due=found.due,
        ids=found.ids,
        counts=found.counts,
        seq=found.seq,
        pending=found.pending,
        changed=found.changed,
    )


def canonical(state: State) -> bytes:
    """The state as bytes, without sequence numbers, outbox and id ring: the same log gives the same."""
    stored = _stored(state)
    stored.ids, stored.seq, stored.pending, stored.changed = b"", 0, (), False
    return msgspec.msgpack.encode(stored, order="deterministic")


def _stored(state: State) -> _Stored:
    return _Stored(
        SCHEMA,
        state.program,
        state.instant,
        state.known_from,
        state.frozen,
        {key: _flat(entries, state.instant) for key, entries in state.streams.items()},
        dict(state.totals),  # type: ignore[arg-type]  # mappings of mappings are dicts of dicts
        dict(state.lost),
        dict(state.remembered),
        dict(state.standing),
        dict(state.memberships),
        dict(state.cuts),
        state.approximate,
        state.due,
        state.ids,
        state.counts,
        state.seq,
        state.pending,
        state.changed,
    )


def _flat(entries: tuple[Entry, ...], instant: int) -> list[Any]:
    flat: list[Any] = []
    for occurred_at, visible_at, group, payload in entries:
        flat += (instant - occurred_at, visible_at - occurred_at, group, payload)
    return flat


def _entries(flat: list[Any], instant: int) -> tuple[Entry, ...]:
    parts = iter(flat)
    return tuple([
        (instant - age, instant - age + delay, group, tuple(payload) if type(payload) is list else payload)
        for age, delay, group, payload in zip(parts, parts, parts, parts, strict=True)
    ])  # fmt: skip
