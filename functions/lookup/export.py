"""All that is held about a visitor, as values that a person can read: what the visitor has a right to be shown."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from functions.lookup.lookup import readable
from segue.catalogs import Catalogs, Compiled
from segue.domain import document, links, rules
from segue.domain.consent import CHANGES
from segue.domain.document import FAILED_EVENTS, PublicProfile, StateDocument
from segue.domain.erasure import Content, remaining
from segue.domain.event import Event, Json
from segue.domain.membership import is_named
from segue.domain.message import EVENTS_REFUSED, EventsReceived, EventsRefused, FailedMessage
from segue.domain.profile import ProfileRef
from segue.ports import Message, Ports

FOR_EVER = 2**63 - 1


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one visitor, of all profiles that are theirs. Instants are in epoch ms.

    `known`: there is a state. `state` is the evidence by measurement as the rules keep it; `outbox` what is about to be
    announced; `bucketing_id` what they are bucketed by in experiments; `failed` what could not be worked through;
    `events` what is archived, in the order in which it came. `consent` has, of each purpose, what was said last, and
    all that was said of it before.
    """

    profile: str
    known: bool
    as_of: int
    linked: Sequence[str]
    segments: Json
    state: Json
    outbox: Json
    bucketing_id: str
    consent: Mapping[str, Json]
    failed: Sequence[Json]
    events: Sequence[Json]


async def exported(ports: Ports, catalogs: Catalogs, profile: ProfileRef, key: str) -> Export:
    """Everything about the visitor who is known by this identifier, whose profile has this key."""
    compiled = await catalogs.current()
    redirected = await _state(ports, key)
    root = redirected.redirect.key if redirected and redirected.redirect else key
    state = await _state(ports, root)
    if state and state.catalog > compiled.version:
        compiled = await catalogs.at_least(state.catalog)
    keys = list(dict.fromkeys([key, root, *(link.key for link in (state.linked if state else ()))]))
    public = await ports.store.get(document.profile_path(root))
    ledger = await ports.store.get(links.path(root))
    histories = await ports.archive.histories(keys)
    events = [each for found in keys for message in histories.get(found, ()) for each in _events(message)]
    return Export(
        profile=str(profile),
        known=state is not None and not state.is_erased,
        as_of=ports.clock.now(),
        linked=[str(entry.anonymous) for entry in readable(links.decode, ledger.data).entries] if ledger else [],
        segments=_segments(readable(document.decode_profile, public.data)) if public else {},
        state=_readable(state, compiled) if state and not state.is_erased else None,
        outbox=msgspec.to_builtins(state.outbox) if state else [],
        bucketing_id=(state.bucketing_id if state else None) or profile.value,
        consent=_consent([event for _, event in events]),
        failed=[each async for each in _failed(ports, keys)],
        events=[{"source": source, **msgspec.to_builtins(event)} for source, event in events],
    )


async def _state(ports: Ports, key: str) -> StateDocument | None:
    stored = await ports.store.get(document.state_path(key))
    return readable(document.decode_state, stored.data) if stored else None


def _events(message: Message) -> Iterable[tuple[str, Event]]:
    received = msgspec.json.decode(message.data, type=EventsReceived)
    return ((received.source, event) for event in received.events)


def _segments(public: PublicProfile) -> Json:
    return {name: [list(span) for span in spans] for name, spans in public.memberships.items() if is_named(name)}


def _readable(stored: StateDocument, compiled: Compiled) -> Json:
    state = readable(compiled.state_of, stored)
    shown = msgspec.to_builtins(state)
    del shown["ids"]  # packed hashes of message ids: the events have them in full
    program = compiled.program
    return shown | {
        "scores": rules.scores(program, state, state.instant),
        "computed": rules.computed(program, state, state.instant),
    }


def _consent(events: Sequence[Event]) -> Mapping[str, Json]:
    """What was said of each purpose, the newest first decided by when it was said."""
    history = [
        {
            "purpose": purpose,
            "granted": granted is True,
            "at": event.occurred_at,
            "received_at": event.received_at,
            "by": consent.get("sources", {}).get(purpose),
            "version": consent.get("version"),
            "message_id": event.message_id,
        }
        for event in sorted(events, key=lambda event: (event.occurred_at, event.received_at, event.message_id))
        if event.name in CHANGES and isinstance(consent := event.context.get("consent"), dict)
        for purpose, granted in _preferences(consent)
    ]
    return {"purposes": {each["purpose"]: each for each in history}, "history": history}


def _preferences(consent: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    said = consent.get("categoryPreferences")
    return said.items() if isinstance(said, dict) else ()


async def _failed(ports: Ports, keys: Sequence[str]) -> AsyncIterator[Json]:
    """What in `failed_events` tells of the visitor: of refused calls only their own."""
    erased = dict.fromkeys(keys, FOR_EVER)
    async for id_, stored in ports.store.scan(FAILED_EVENTS):
        failed = msgspec.json.decode(stored.data, type=FailedMessage)
        content = Content(failed.type, failed.data.encode())
        if remaining(content, erased) != content:
            yield {"id": id_, "reason": failed.reason, "failed_at": failed.failed_at, "said": _theirs(failed, keys)}


def _theirs(failed: FailedMessage, keys: Sequence[str]) -> Any:
    if failed.type != EVENTS_REFUSED:
        return failed.data
    refused = msgspec.json.decode(failed.data, type=EventsRefused).refused
    return [{"reason": each.reason, "call": each.event} for each in refused if {*each.keys} & {*keys}]
