"""Segment's tracking calls read into events: all that is known of that API is here."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from segue.domain.catalog import Consent
from segue.domain.ecommerce import current_name, with_currency
from segue.domain.enrichment import (
    UNKNOWN,
    Circumstances,
    enriched,
    looks_like_email,
    without_address,
    without_contact_details,
)
from segue.domain.errors import Invalid
from segue.domain.event import GROUP, Event, Json
from segue.domain.identity import identifier, is_illegal, is_number, normal, profile_of
from segue.domain.identity_token import Proven, proven
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, event_instant, occurred_at

LARGEST_EVENT = 32_768
"""Bytes of an event as it is passed on, in JSON."""

LONGEST_MESSAGE_ID = 100
LONGEST_INSTANT = 64
"""Characters kept of an original timestamp."""

VIDEO_EVENTS = frozenset(
    [
        *("Video Content Started", "Video Content Playing", "Video Content Completed"),
        *("Video Ad Started", "Video Ad Playing", "Video Ad Completed"),
        *("Video Playback Started", "Video Playback Paused", "Video Playback Interrupted", "Video Playback Resumed"),
        *("Video Playback Buffer Started", "Video Playback Buffer Completed", "Video Playback Completed"),
        *("Video Playback Seek Started", "Video Playback Seek Completed", "Video Playback Exited"),
    ]
)
"""The event names of Segment's video specification."""

VIEWS: Mapping[str, str] = {"page": "Page Viewed", "screen": "Screen Viewed"}
"""The event's name, by the type of the call."""

NOT_THE_EVENT = frozenset(["messageId", "sentAt", "writeKey"])
"""Fields that may differ when a client sends the same event again; an id that we derive leaves them out."""

Warning: TypeAlias = Literal[
    "illegal_id",
    "email_as_id",
    "message_id_derived",
    "timestamp_unusable",
    "timestamp_in_the_future",
    "identity_unproven",
]
"""What was not as it should be in an event that was accepted all the same."""

CallType: TypeAlias = Literal["track", "identify", "page", "screen", "group", "alias"]


class _Model(BaseModel):
    """Unknown fields are left out: SDKs send more than the API knows."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel)


class Envelope(_Model):
    """A batch: what its calls have in common, and the calls as they came."""

    batch: Annotated[list[Any], Field(min_length=1, max_length=2_500)]
    sent_at: Any = None
    context: dict[str, Any] | None = None


class _Call(_Model):
    """What the calls share. Ids and instants may be anything here; they have rules of their own below."""

    message_id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    context: dict[str, Any] | None = None


class Track(_Call):
    """Something happened, under a name of the sender's."""

    type: Literal["track"]
    event: Annotated[str, Field(min_length=1, max_length=256)]
    properties: dict[str, Any] | None = None


class Viewed(_Call):
    """A page, or a screen of an app, was viewed; its name and its category, if it has them, become properties."""

    type: Literal["page", "screen"]
    name: Annotated[str, Field(max_length=256)] | None = None
    category: Annotated[str, Field(max_length=256)] | None = None
    properties: dict[str, Any] | None = None


class Identify(_Call):
    """The visitor's traits: in `traits`, in `context.traits` as RudderStack's SDKs send them, or in both."""

    type: Literal["identify"]
    traits: dict[str, Any] | None = None


class Group(_Call):
    """The visitor belongs to a group, such as a company, with traits of its own."""

    type: Literal["group"]
    group_id: Any = None
    traits: dict[str, Any] | None = None


class Alias(_Call):
    """The visitor was known by another id before."""

    type: Literal["alias"]
    previous_id: Any = None


Call: TypeAlias = Track | Viewed | Identify | Group | Alias

_call: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="type")])
_envelope = TypeAdapter(Envelope)


class Reception(msgspec.Struct, frozen=True, kw_only=True):
    """How calls arrived: from which source, when, and what holds where a call itself says nothing.

    `trusted`: the user ids are believed; where they are not, those that a token proves, which one of `identity_secrets`
    signed; `identity_token` is what came with all calls. `imported`: the calls are a log, and each counts as received
    when it happened. `keeps_contact_details` and `keeps_bots` are the source's, `max_age` and `consent` the
    catalogue's, `context` and `sent_at` the envelope's. `gpc`: the browser said `Sec-GPC: 1`.
    """

    source: str
    trusted: bool
    imported: bool
    received_at: int
    max_age: int
    keeps_contact_details: bool = False
    keeps_bots: bool = False
    circumstances: Circumstances = UNKNOWN
    context: dict[str, Json] = {}
    sent_at: Json = None
    consent: Consent = Consent()
    gpc: bool = False
    identity_secrets: tuple[str, ...] = ()
    identity_token: Json = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was accepted: whose it is, the event, and what was not as it should be.

    `link` is the anonymous visitor of whom the call says that they are the user `profile`.
    """

    profile: ProfileRef
    event: Event
    warnings: tuple[Warning, ...]
    link: ProfileRef | None = None


def envelope(body: Mapping[str, Json]) -> Envelope:
    """The batch that a body is. Raises Invalid."""
    try:
        return _envelope.validate_python(body)
    except ValidationError as error:
        raise _invalid(error) from None


def read(call: Json, reception: Reception, token: Json = None) -> Reading:
    """The event that a call is, without a look at any other. Raises Invalid if it can never be one.

    `token` is the call's own identity token, where it has one.
    """
    try:
        checked = _call.validate_python(call)
    except ValidationError as error:
        raise _invalid(error) from None
    warnings: list[Warning] = []
    who = _who(checked, token, reception, warnings)
    original = checked.timestamp if checked.original_timestamp is None else checked.original_timestamp
    sent_at = reception.sent_at if checked.sent_at is None else checked.sent_at
    happened, received = _instants(original, sent_at, reception, warnings)
    said = _kept(_said(checked, reception.context | (checked.context or {})), reception)
    event = Event(
        message_id=_message_id(checked.message_id, call, who.profile, original, reception.source, warnings),
        name=said.name,
        occurred_at=happened,
        received_at=received,
        anonymous_id=who.anonymous_id,
        user_id=who.user_id,
        properties=said.properties,
        traits=said.traits,
        context=said.context,
        timestamp=_as_sent(original),
        sent_at=_as_sent(sent_at),
    )
    size = len(msgspec.json.encode(event))
    if size > LARGEST_EVENT:
        raise Invalid(f"expected an event of at most {LARGEST_EVENT} bytes, found {size}")
    return Reading(profile=who.profile, event=event, link=who.link, warnings=tuple(warnings))


def showable(call: Json, reception: Reception) -> Json:
    """A call that can be no event, without what is not kept of one either."""
    call = without_address(call)
    return call if reception.keeps_contact_details else without_contact_details(call)


class _Who(NamedTuple):
    """Whose a call is, with the ids that are believed, and the anonymous visitor who is said to be that user."""

    profile: ProfileRef
    user_id: str | None
    anonymous_id: str | None
    link: ProfileRef | None


def _who(call: Call, token: Json, reception: Reception, warnings: list[Warning]) -> _Who:
    """Raises Invalid if no id is left that may be one."""
    user_id = _legal(call.user_id, "userId", warnings)
    anonymous_id = _legal(call.anonymous_id, "anonymousId", warnings)
    proof = _proof(user_id, token, reception)
    believed = reception.trusted or proof is not None
    if user_id and not believed:
        warnings.append("identity_unproven")
    profile = profile_of(user_id, anonymous_id, believed)
    found = _linked(call, anonymous_id) if profile.kind == "user_id" else None
    allowed = found != profile.value and (reception.trusted or found == _own(anonymous_id, proof))
    link = ProfileRef("anonymous_id", found) if found and allowed else None
    return _Who(profile, user_id if believed else None, anonymous_id, link)


def _proof(user_id: str | None, token: Json, reception: Reception) -> Proven | None:
    """What proves that the visitor is this user; None where nothing does, or nothing has to."""
    if user_id is None or reception.trusted:
        return None
    shown = reception.identity_token if token is None else token
    found = proven(shown, reception.identity_secrets, reception.source, reception.received_at)
    return found if found and found.user_id == user_id else None


def _own(anonymous_id: str | None, proof: Proven | None) -> str | None:
    """The only anonymous visitor that a proof makes a user: the one of the call itself, if the token names no other."""
    named = proof.anonymous_id if proof else None
    return anonymous_id if named in (None, anonymous_id) else None


def _linked(call: Call, anonymous_id: str | None) -> str | None:
    """The anonymous visitor whom a call says to be the user that it names."""
    match call:
        case Identify():
            return anonymous_id
        case Alias(previous_id=given):
            return _required(given, "previousId")
        case _:
            return None


class _Said(NamedTuple):
    """What a call says: the event's name, properties, traits and context."""

    name: str
    properties: dict[str, Json]
    traits: dict[str, Json]
    context: dict[str, Json]


def _said(call: Call, context: dict[str, Json]) -> _Said:
    """What a call says, in this context. Raises Invalid if an id that the call is about is none."""
    match call:
        case Track(event=event, properties=properties):
            name = current_name(normal(event))
            return _Said(name, with_currency(with_progress(name, properties or {})), {}, context)
        case Viewed(type=type_, name=name, category=category, properties=properties):
            called = {"name": name, "category": category}
            named = {what: normal(text) for what, text in called.items() if text}
            return _Said(VIEWS[type_], (properties or {}) | named, {}, context)
        case Identify(traits=traits):
            of_context = context.get("traits")
            both = (of_context if isinstance(of_context, dict) else {}) | (traits or {})
            return _Said("Identified", {}, both, context)
        case Group(group_id=given, traits=traits):
            group_id = _required(given, "groupId")
            return _Said("Grouped", {"group_id": group_id}, {GROUP: (traits or {}) | {"id": group_id}}, context)
        case Alias(previous_id=given):
            return _Said("Aliased", {"previous_id": _required(given, "previousId")}, {}, context)


def _kept(said: _Said, reception: Reception) -> _Said:
    """What is kept of what a call says, with what is told of the visit."""
    name, properties, traits, context = said
    context = enriched(context, name, properties, reception.circumstances)
    if reception.keeps_contact_details:
        return _Said(name, properties, traits, context)
    if "traits" in context:
        context["traits"] = without_contact_details(context["traits"])
    return _Said(name, without_contact_details(properties), without_contact_details(traits), context)


def _required(value: Json, path: str) -> str:
    found = identifier(value, path)
    if found is None or is_illegal(found):
        raise Invalid("expected an id, found none that can be one", path)
    return found


def with_progress(name: str, properties: dict[str, Json]) -> dict[str, Json]:
    """A video event's properties with `progress` = position / total_length, the share that was played.

    Only for the event names of Segment's video specification, only from numbers, and never over a `progress` that was
    sent. Not clamped: a position behind the end is the sender's to explain.
    """
    if name not in VIDEO_EVENTS or properties.get("progress") is not None:
        return properties
    position, length = properties.get("position"), properties.get("total_length")
    if not is_number(position) or not is_number(length) or length <= 0:
        return properties
    progress = position / length
    return properties | {"progress": progress} if math.isfinite(progress) else properties


def _legal(value: Json, path: str, warnings: list[Warning]) -> str | None:
    found = identifier(value, path)
    if found is None or not is_illegal(found):
        if found is not None and looks_like_email(found):
            warnings.append("email_as_id")
        return found
    warnings.append("illegal_id")
    return None


def _instants(timestamp: Json, sent_at: Json, reception: Reception, warnings: list[Warning]) -> tuple[int, int]:
    """When the event happened and when it counts as received. Raises Invalid for an import that does not say."""
    claimed, now = event_instant(timestamp), reception.received_at
    if reception.imported:
        if claimed is None or claimed > now:
            raise Invalid("expected an instant that is not in the future", "timestamp")
        return claimed, claimed
    if timestamp is not None and claimed is None:
        warnings.append("timestamp_unusable")
    if claimed is not None and claimed > now + DAY:
        warnings.append("timestamp_in_the_future")
    return occurred_at(claimed, event_instant(sent_at), now, reception.max_age), now


def _message_id(
    given: Json, call: Json, profile: ProfileRef, timestamp: Json, source: str, warnings: list[Warning]
) -> str:
    """The client's id, or one derived from what was sent, so that sending it again changes nothing."""
    found = identifier(given, "messageId")
    if found is None:
        warnings.append("message_id_derived")
        said = {name: value for name, value in call.items() if name not in NOT_THE_EVENT}
        parts = [source, str(profile), call["type"], timestamp, said]
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
    if len(found) > LONGEST_MESSAGE_ID:
        raise Invalid(f"expected at most {LONGEST_MESSAGE_ID} characters, found {len(found)}", "messageId")
    return found


def _as_sent(instant: Json) -> str | None:
    return str(instant)[:LONGEST_INSTANT] if isinstance(instant, str) or is_number(instant) else None


_EXPECTED = {
    "missing": "expected a value, found nothing",
    "union_tag_not_found": "expected a type, found none",
    "union_tag_invalid": "expected the type track, identify, page, screen, group or alias, found another",
    "model_attributes_type": "expected an object",
    "string_type": "expected text",
    "dict_type": "expected an object",
    "list_type": "expected an array",
}
"""What is said for the kinds of pydantic's errors that can occur often; the rest keep its words."""


def _invalid(error: ValidationError) -> Invalid:
    """The first complaint. What was found is not repeated: a reason may be shown where an event may not."""
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in detail["loc"] if part not in get_args(CallType))
    return Invalid(_EXPECTED.get(detail["type"], detail["msg"]), path)
