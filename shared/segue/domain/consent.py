"""What calls say of consent, in one shape: which purposes are granted or refused, and which signal says so."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from segue.domain.call import Reading
from segue.domain.catalog import Consent, Purpose
from segue.domain.event import Event, Json
from segue.domain.rules.kinds.person import CONSENT_CHANGED

CHANGES = frozenset([CONSENT_CHANGED, "Consent Management Interaction"])
"""Events by which a visitor's choice is told: Segment's, and the one of RudderStack's consent API."""

Signal: TypeAlias = Literal["gpc", "segment", "rudderstack", "consent_mode", "tcf"]
"""What can say something: the browser's `Sec-GPC: 1`, or what a consent manager says by one of these protocols."""

LONGEST_VERSION = 200
"""Characters kept of the version of the text that a visitor agreed to."""


class Said(NamedTuple):
    """What is said of a purpose, and by which signal."""

    granted: bool
    by: Signal


class Consented(NamedTuple):
    """The readings that may be kept, in order, and how many may not."""

    readings: Sequence[Reading]
    withheld: int


def consented(readings: Sequence[Reading], policy: Consent, gpc: bool) -> Consented:
    """The readings of one request as the visitors' consent has them. `gpc`: the request said `Sec-GPC: 1`.

    What is said of purposes is put into one shape (see `normalised`). An event is withheld if its own signals refuse
    the purpose that collecting needs; if it says nothing of it, then if a change before it in the request does. A
    change is always kept, for it is the record, but then without anything else. Signals that have no change event of
    their own are preceded by one that is derived from them, wherever they say something new within the request.
    """
    if not policy.purposes:
        return Consented(readings, 0)
    kept: list[Reading] = []
    withheld = 0
    standing: dict[str, Mapping[str, Said]] = {}
    for reading in readings:
        event = reading.event
        visitor = event.anonymous_id or str(reading.profile)
        before, now = standing.get(visitor, {}), said(event, policy, gpc)
        if not before and not now:
            kept.append(reading)
            continue
        told = now if event.name in CHANGES else _without_change_event(now)
        if told.items() - before.items():
            standing[visitor] = {**before, **told}
            if event.name not in CHANGES:
                kept.append(msgspec.structs.replace(reading, event=_derived(event, told), warnings=()))
        refused = _refuses({**before, **now}, policy.collect)
        if refused and event.name not in CHANGES:
            withheld += 1
        else:
            kept.append(msgspec.structs.replace(reading, event=_recorded(event, now, bare=refused)))
    return Consented(kept, withheld)


def said(event: Event, policy: Consent, gpc: bool) -> Mapping[str, Said]:
    """What a call's own signals say of each purpose that they say something of.

    Any refusal decides. The signal named is an explicit change before the browser's, and that before a consent
    manager's word in passing.
    """
    context = event.context
    if not gpc and "consent" not in context and "consentManagement" not in context:
        return {}
    order = SIGNALS if event.name in CHANGES else SIGNALS_OF_ORDINARY_EVENTS
    found: dict[str, Said] = {}
    for name, purpose in policy.purposes.items():
        statements = [
            Said(granted, signal)
            for signal in order
            if (granted := READERS[signal](context, name, purpose, gpc)) is not None
        ]
        if statements:
            found[name] = next((each for each in statements if not each.granted), statements[0])
    return found


def normalised(context: Mapping[str, Json], found: Mapping[str, Said]) -> dict[str, Json]:
    """`context.consent` as it is stored: `{categoryPreferences: {purpose: bool}, sources: {purpose: signal}}`.

    With them go the `version` of the text, if one was sent, and `tcString` as its SHA-256, which proves what it was.
    """
    sent = _object(context.get("consent"))
    shape: dict[str, Json] = {
        "categoryPreferences": {purpose: each.granted for purpose, each in found.items()},
        "sources": {purpose: each.by for purpose, each in found.items()},
    }
    version, string = sent.get("version"), _object(sent.get("tcf")).get("tcString")
    if isinstance(version, str | int):
        shape["version"] = str(version)[:LONGEST_VERSION]
    if isinstance(string, str):
        shape["tcString"] = hashlib.sha256(string.encode("utf-8", "surrogatepass")).hexdigest()
    return shape


def _recorded(event: Event, found: Mapping[str, Said], *, bare: bool) -> Event:
    """The event with what it says of consent in one shape; `bare`: with nothing else that the visitor did."""
    if not found:
        return msgspec.structs.replace(event, properties={}, traits={}, context={}) if bare else event
    name = CONSENT_CHANGED if event.name in CHANGES else event.name
    shape = {"consent": normalised(event.context, found)}
    if bare:
        return msgspec.structs.replace(event, name=name, properties={}, traits={}, context=shape)
    context = {key: value for key, value in event.context.items() if key not in ("consent", "consentManagement")}
    return msgspec.structs.replace(event, name=name, context=context | shape)


def _derived(event: Event, found: Mapping[str, Said]) -> Event:
    """The change that an ordinary event's signals amount to; the same whenever that event is sent again."""
    return Event(
        message_id=hashlib.sha256(f"consent:{event.message_id}".encode("utf-8", "surrogatepass")).hexdigest(),
        name=CONSENT_CHANGED,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        anonymous_id=event.anonymous_id,
        user_id=event.user_id,
        context={"consent": normalised(event.context, found)},
    )


def _without_change_event(found: Mapping[str, Said]) -> Mapping[str, Said]:
    """Segment's ordinary events repeat what its change event has said; of the others there is no such event."""
    return {purpose: each for purpose, each in found.items() if each.by != "segment"}


def _refuses(found: Mapping[str, Said], purpose: str | None) -> bool:
    return purpose is not None and purpose in found and not found[purpose].granted


def _gpc(_context: Mapping[str, Json], _name: str, purpose: Purpose, gpc: bool) -> bool | None:
    return False if gpc and purpose.gpc else None


def _segment(context: Mapping[str, Json], name: str, purpose: Purpose, _gpc: bool) -> bool | None:
    preferences = _object(context.get("consent")).get("categoryPreferences")
    if not isinstance(preferences, dict):
        return None
    if not preferences:
        return False
    return _all([name] if name in preferences else purpose.categories, preferences)


def _rudderstack(context: Mapping[str, Json], name: str, purpose: Purpose, _gpc: bool) -> bool | None:
    management = _object(context.get("consentManagement"))
    stated: dict[Json, bool] = dict.fromkeys(_texts(management.get("allowedConsentIds")), True)
    stated |= dict.fromkeys(_texts(management.get("deniedConsentIds")), False)
    asked = [name] if name in stated else purpose.consent_ids
    if management.get("resolutionStrategy") == "or":
        named = [stated[each] for each in asked if each in stated]
        return any(named) if named else None
    return _all(asked, stated)


def _consent_mode(context: Mapping[str, Json], _name: str, purpose: Purpose, _gpc: bool) -> bool | None:
    signals = _object(_object(context.get("consent")).get("consentMode"))
    return _all(purpose.consent_mode, {name: value == "granted" for name, value in signals.items()})


def _tcf(context: Mapping[str, Json], _name: str, purpose: Purpose, _gpc: bool) -> bool | None:
    told = _object(_object(context.get("consent")).get("tcf"))
    if told.get("gdprApplies") is False or told.get("eventStatus", "tcloaded") not in TOLD_BY_THE_VISITOR:
        return None
    return _all(map(str, purpose.tcf), _object(_object(told.get("purpose")).get("consents")))


Reader: TypeAlias = Callable[[Mapping[str, Json], str, Purpose, bool], bool | None]
"""Whether a signal grants a purpose; None: it says nothing of it."""

READERS: Mapping[Signal, Reader] = {
    "segment": _segment,
    "rudderstack": _rudderstack,
    "consent_mode": _consent_mode,
    "tcf": _tcf,
    "gpc": _gpc,
}

SIGNALS: Sequence[Signal] = tuple(READERS)
SIGNALS_OF_ORDINARY_EVENTS: Sequence[Signal] = ("gpc", *(signal for signal in READERS if signal != "gpc"))

TOLD_BY_THE_VISITOR = ("tcloaded", "useractioncomplete")
"""As `eventStatus`: a choice of now or earlier. Otherwise the dialog is still open."""


def _all(asked: Iterable[str], stated: Mapping[str, Json]) -> bool | None:
    """Whether all of these are stated to be true; None if nothing is said of any. What is left out is not true."""
    asked = list(asked)
    if not any(each in stated for each in asked):
        return None
    return all(stated.get(each) is True for each in asked)


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _texts(value: Json) -> Iterable[str]:
    return (each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
