"""The identifiers of a segment's members, from the archive in BigQuery.

SQL finds the members and what was said of them; whether they consented the engine says, as everywhere else.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from segue.adapters.google import archive_sql as sql
from segue.adapters.google.queries import Queries, Row
from segue.domain import rules
from segue.domain.audience import Audience, in_part
from segue.domain.enrichment.contact import EMAILS, contact_hash, looks_like_email
from segue.domain.event import Event, Json
from segue.domain.membership import covers
from segue.domain.message import EventsReceived

SAYS_CONSENT = '"consent":'
SAYS_EMAIL = "|".join(f'"{name}":' for name in EMAILS)
"""What to look for in the text of a message, before it is read."""

DIGEST_BITS = 256

Named = tuple[str, str]
"""A member's key, and an identifier."""


async def identifiers(queries: Queries, asked: Audience, at: int, part: str) -> Sequence[str]:
    """As `ports.Archive.audience` has them."""
    members = await (_by_email(queries, asked, at) if asked.identifier == "email" else _by_id(queries, asked, at, part))
    if asked.purposes:
        consented = await _consented(queries, asked, at)
        members = [each for each in members if each[0] in consented]
    names = {name for _, name in members if asked.hashed or not looks_like_email(name)}
    return sorted(name for name in names if in_part(name, part))


async def _by_id(queries: Queries, asked: Audience, at: int, part: str) -> list[Named]:
    lowest, highest = (f"{int(part.ljust(DIGEST_BITS, bit), 2):0{DIGEST_BITS // 4}x}" for bit in "01")
    rows = await queries.scanned(
        sql.NAMES,
        segment=asked.segment,
        instant=at,
        kind=asked.identifier,
        hashed=int(asked.hashed),
        lowest=lowest,
        highest=highest,
    )
    return [(member, hashlib.sha256(name.encode()).hexdigest() if asked.hashed else name) for member, name in rows]


async def _by_email(queries: Queries, asked: Audience, at: int) -> list[Named]:
    """The hash of the newest address that was said of each; most are archived as one, and the others become one."""
    said = await _said(queries, asked, at, SAYS_EMAIL)
    newest = ((member, _newest_email(events)) for member, events in said.items())
    hashes = ((member, contact_hash("email", email)) for member, email in newest if email is not None)
    return [(member, hash_) for member, hash_ in hashes if hash_]


def _newest_email(events: Iterable[Event]) -> str | None:
    """Null takes it back."""
    saying = [event for event in events if any(name in event.traits for name in EMAILS)]
    if not saying:
        return None
    traits = max(saying, key=attrgetter("occurred_at", "received_at", "message_id")).traits
    email: Json = next(traits[name] for name in EMAILS if name in traits)
    return email if isinstance(email, str) or email is None else msgspec.json.encode(email).decode()


async def _consented(queries: Queries, asked: Audience, at: int) -> frozenset[str]:
    segment = {"name": "Consented", "when": {"all": [{"consent": purpose} for purpose in asked.purposes]}}
    program = rules.compile({"consented": segment}, granted_unsaid=asked.granted_unsaid, max_age=asked.max_age)
    said = await _said(queries, asked, at, SAYS_CONSENT)
    return frozenset(member for member, events in said.items() if _is_inside(program, events, asked.max_age, at))


def _is_inside(program: rules.Program, events: Sequence[Event], max_age: int, at: int) -> bool:
    state = rules.empty()
    in_time = (event for event in events if event.received_at - event.occurred_at <= max_age)
    for _, together in groupby(in_time, attrgetter("received_at")):
        state = rules.fold(program, state, tuple(together))
    return covers(rules.timeline(program, state, at).memberships.get("consented", ()), at) is not None


async def _said(queries: Queries, asked: Audience, at: int, wanted: str) -> Mapping[str, Sequence[Event]]:
    """Of each member what was received up to `at`, in that order and each once: all messages that have a text which is
    wanted, and the first of all."""
    rows = await queries.scanned(sql.SAID, segment=asked.segment, instant=at, wanted=wanted)
    said: dict[str, dict[str, Event]] = {}
    received = ((member, event) for row in rows for member, event in _of(row) if event.received_at <= at)
    for member, event in sorted(received, key=lambda each: each[1].received_at):
        said.setdefault(member, {}).setdefault(event.message_id, event)
    return {member: [*events.values()] for member, events in said.items()}


def _of(row: Row) -> Iterator[tuple[str, Event]]:
    """Events with the member whose they are: what came up to a link, and later what is proven, is the user's."""
    data, root, since, is_member, is_members, erased_until = row
    received = msgspec.json.decode(data, type=EventsReceived)
    for event in received.events:
        is_linked = root is not None and (received.proven or event.received_at <= since)
        is_theirs = is_members if is_linked else is_member
        if is_theirs and (erased_until is None or event.received_at > erased_until):
            yield root if is_linked else received.key, event
