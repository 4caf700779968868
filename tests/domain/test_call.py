"""Segment's calls become events."""

from typing import Any

import pytest

from segue.domain.call import VIDEO_EVENTS, Reading, Reception, Warning, envelope, read
from segue.domain.errors import Invalid
from segue.domain.profile import ProfileRef
from segue.domain.time import DAY, HOUR

NOW = 1_715_342_400_000
"""2024-05-10T12:00:00Z"""


def reading(call: Any, **changes: Any) -> Reading:
    arrived: dict[str, Any] = {
        "source": "shop",
        "trusted": True,
        "imported": False,
        "received_at": NOW,
        "max_age": 30 * DAY,
    }
    return read(call, Reception(**(arrived | changes)))


def track(**changes: Any) -> dict[str, Any]:
    call = {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "messageId": "m-1"}
    return {name: value for name, value in (call | changes).items() if value is not ...}


def video(**properties: Any) -> dict[str, Any]:
    return track(event="Video Content Playing", properties=properties)


def test_a_track_call_is_its_own_event() -> None:
    event = reading(track(properties={"price": 12.5}, context={"locale": "fr"})).event
    assert (event.name, event.properties, event.traits) == ("Product Viewed", {"price": 12.5}, {})
    assert (event.message_id, event.context) == ("m-1", {"locale": "fr"})


def test_an_old_name_and_a_currency_in_small_letters_are_read_as_today() -> None:
    event = reading(track(event="Completed Order", properties={"currency": "eur"})).event
    assert (event.name, event.properties) == ("Order Completed", {"currency": "EUR"})


def test_a_page_call_is_page_viewed_with_its_name_among_the_properties() -> None:
    call = {"type": "page", "name": "Home", "anonymousId": "a-1", "properties": {"path": "/", "name": "other"}}
    event = reading(call).event
    assert (event.name, event.properties) == ("Page Viewed", {"path": "/", "name": "Home"})


def test_a_pages_category_is_a_property_too() -> None:
    call = {"type": "page", "category": "Docs", "anonymousId": "a-1"}
    assert reading(call).event.properties == {"category": "Docs"}


def test_a_screen_call_is_screen_viewed() -> None:
    event = reading({"type": "screen", "name": "Home", "anonymousId": "a-1", "properties": {"a": 1}}).event
    assert (event.name, event.properties) == ("Screen Viewed", {"a": 1, "name": "Home"})


@pytest.mark.parametrize("group_id", ["g-1", " g-1", 7])
def test_a_group_call_is_grouped_and_sets_the_trait_group(group_id: Any) -> None:
    event = reading(track(type="group", groupId=group_id, traits={"plan": "gold", "id": "other"})).event
    said = str(group_id)
    assert (event.name, event.properties) == ("Grouped", {"group_id": said})
    assert event.traits == {"group": {"plan": "gold", "id": said}}


def test_an_alias_call_is_aliased_and_names_the_previous_id() -> None:
    found = reading(track(type="alias", userId="u", previousId="a-0"))
    assert (str(found.profile), found.event.name) == ("user_id:u", "Aliased")
    assert (found.event.properties, found.event.traits) == ({"previous_id": "a-0"}, {})


@pytest.mark.parametrize("name", [..., None, ""])
def test_a_page_without_a_name_keeps_the_one_in_its_properties(name: Any) -> None:
    call = track(type="page", event=..., name=name, properties={"name": "Home"})
    assert reading(call).event.properties == {"name": "Home"}


@pytest.mark.parametrize(
    ("said", "traits"),
    [
        ({"traits": {"plan": "gold"}}, {"plan": "gold"}),
        ({"context": {"traits": {"plan": "gold"}}}, {"plan": "gold"}),
        ({"traits": {"plan": None}, "context": {"traits": {"plan": "gold", "age": 3}}}, {"plan": None, "age": 3}),
        ({"context": {"traits": "none"}}, {}),
        ({}, {}),
    ],
)
def test_an_identify_call_is_identified_with_the_traits_of_both_places(said: Any, traits: Any) -> None:
    event = reading(track(type="identify", event=..., **said)).event
    assert (event.name, event.properties, event.traits) == ("Identified", {}, traits)


def test_the_traits_in_the_context_of_any_other_call_set_nothing() -> None:
    assert reading(track(context={"traits": {"plan": "gold"}})).event.traits == {}


@pytest.mark.parametrize("name", sorted(VIDEO_EVENTS))
def test_every_video_event_says_how_far_it_got(name: str) -> None:
    properties = {"position": 90, "total_length": 120}
    assert reading(track(event=name, properties=properties)).event.properties == {**properties, "progress": 0.75}


@pytest.mark.parametrize(
    "properties",
    [
        *({}, {"position": 1}, {"total_length": 1}, {"position": 1, "total_length": 0}),
        *({"position": 1, "total_length": -1}, {"position": 1, "total_length": None}),
        *({"position": "1", "total_length": 2}, {"position": 1, "total_length": "2"}),
        *({"position": True, "total_length": 2}, {"position": 1, "total_length": True}),
        *({"position": 1e308, "total_length": 1e-308}, {"position": 1, "total_length": 2, "progress": 0.9}),
    ],
)
def test_progress_is_neither_guessed_nor_overwritten(properties: dict[str, Any]) -> None:
    assert reading(video(**properties)).event.properties == properties


@pytest.mark.parametrize(
    ("position", "length", "progress"),
    [(0, 120, 0), (120, 120, 1), (130, 130.5, 130 / 130.5), (240, 120, 2), (-1, 2, -0.5)],
)
def test_progress_is_the_share_of_the_length_unclamped(position: float, length: float, progress: float) -> None:
    assert reading(video(position=position, total_length=length)).event.properties["progress"] == progress


def test_a_null_progress_is_none_given() -> None:
    assert reading(video(position=1, total_length=2, progress=None)).event.properties["progress"] == 0.5


def test_only_video_events_have_progress() -> None:
    properties = {"position": 1, "total_length": 2}
    assert reading(track(properties=properties)).event.properties == properties


@pytest.mark.parametrize(
    ("ids", "trusted", "profile"),
    [
        ({"userId": "u"}, True, "user_id:u"),
        ({"userId": "u", "anonymousId": ...}, True, "user_id:u"),
        ({"userId": "u"}, False, "anonymous_id:a-1"),
        ({"userId": ""}, True, "anonymous_id:a-1"),
        ({"userId": None}, True, "anonymous_id:a-1"),
        ({"userId": 42}, True, "user_id:42"),
        ({"userId": 42.0}, True, "user_id:42"),
        ({"userId": 4.5}, True, "user_id:4.5"),
        ({"userId": 2**63 - 1}, True, "user_id:9223372036854775807"),
        ({"userId": "Cafe\u0301"}, True, "user_id:Caf\u00e9"),
        ({"userId": " u "}, True, "user_id: u "),
    ],
)
def test_the_profile_is_the_user_where_users_are_believed_else_the_visitor(
    ids: dict[str, Any], trusted: bool, profile: str
) -> None:
    assert str(reading(track(**ids), trusted=trusted).profile) == profile


def test_a_user_id_that_is_not_believed_is_no_profile() -> None:
    with pytest.raises(Invalid, match="nothing proves the userId"):
        reading(track(userId="u", anonymousId=...), trusted=False)


def test_an_illegal_id_is_taken_as_none_with_a_warning() -> None:
    found = reading(track(userId="[object Object]"))
    assert (found.profile, found.warnings) == (ProfileRef("anonymous_id", "a-1"), ("illegal_id",))


@pytest.mark.parametrize(
    ("timestamp", "occurred_at", "warnings"),
    [
        (..., NOW, ()),
        (None, NOW, ()),
        (NOW - 1, NOW - 1, ()),
        ("2024-05-10T11:00:00Z", NOW - HOUR, ()),
        (NOW + DAY, NOW, ()),
        (NOW + DAY + 1, NOW, ("timestamp_in_the_future",)),
        ("9999-12-31T23:59:59Z", NOW, ("timestamp_in_the_future",)),
        ("2024-02-30", NOW, ("timestamp_unusable",)),
        ("", NOW, ("timestamp_unusable",)),
        (NOW // 1_000, NOW, ("timestamp_unusable",)),
        ({}, NOW, ("timestamp_unusable",)),
    ],
)
def test_an_unusable_timestamp_is_noted_and_the_event_accepted(
    timestamp: Any, occurred_at: int, warnings: tuple[Warning, ...]
) -> None:
    found = reading(track(timestamp=timestamp))
    assert (found.event.occurred_at, found.event.received_at, found.warnings) == (occurred_at, NOW, warnings)


def test_the_original_timestamp_goes_before_the_timestamp() -> None:
    event = reading(track(originalTimestamp="2024-05-10T11:00:00Z", timestamp="2024-05-10T11:30:00Z")).event
    assert (event.occurred_at, event.timestamp) == (NOW - HOUR, "2024-05-10T11:00:00Z")


@pytest.mark.parametrize(("own", "occurred_at"), [(NOW - 2 * HOUR, NOW - HOUR), (None, NOW - 3 * HOUR)])
def test_a_call_says_when_it_was_sent_or_else_its_envelope(own: int | None, occurred_at: int) -> None:
    call = track(timestamp=NOW - 3 * HOUR, sentAt=own)
    assert reading(call, sent_at=NOW).event.occurred_at == occurred_at


def test_the_originals_are_kept_as_they_were_sent() -> None:
    event = reading(track(timestamp=1_715_342_399_000, sentAt="2024-05-10T14:00:00+02:00")).event
    assert (event.timestamp, event.sent_at) == ("1715342399000", "2024-05-10T14:00:00+02:00")


def test_the_context_of_the_envelope_lies_under_the_calls_own() -> None:
    event = reading(track(context={"locale": "fr"}), context={"locale": "en", "channel": "web"}).event
    assert event.context == {"locale": "fr", "channel": "web"}


def test_an_import_counts_as_received_when_it_happened() -> None:
    event = reading(track(timestamp="2019-10-01T00:00:00Z", sentAt=NOW - HOUR), imported=True).event
    assert event.occurred_at == event.received_at == 1_569_888_000_000


@pytest.mark.parametrize("timestamp", [..., "soon", NOW + 1])
def test_an_import_must_say_when_and_not_in_the_future(timestamp: Any) -> None:
    with pytest.raises(Invalid, match="timestamp: expected an instant that is not in the future"):
        reading(track(timestamp=timestamp), imported=True)
    assert reading(track(timestamp=NOW), imported=True).event.occurred_at == NOW


@pytest.mark.parametrize("missing", [..., None, "", " "])
def test_a_missing_message_id_is_derived_from_what_was_sent(missing: Any) -> None:
    call = track(messageId=missing, properties={"a": 1, "b": 2})
    found = reading(call)
    assert (len(found.event.message_id), found.warnings) == (64, ("message_id_derived",))
    again = {"properties": {"b": 2, "a": 1}, **{name: call[name] for name in reversed(call) if name != "properties"}}
    sent_again = reading(again | {"sentAt": NOW, "writeKey": "w"}, received_at=NOW + HOUR)
    assert sent_again.event.message_id == found.event.message_id


@pytest.mark.parametrize(
    "changes",
    [{"anonymousId": "a-2"}, {"event": "Other"}, {"timestamp": NOW}, {"properties": {"a": 1}}, {"context": {"a": 1}}],
)
def test_what_differs_has_another_derived_message_id(changes: dict[str, Any]) -> None:
    first, second = reading(track(messageId=...)), reading(track(messageId=..., **changes))
    assert first.event.message_id != second.event.message_id
    assert first.event.message_id != reading(track(messageId=...), source="other").event.message_id


def test_names_of_events_are_in_nfc() -> None:
    assert reading(track(event="Cafe\u0301 Viewed")).event.name == "Caf\u00e9 Viewed"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (1, "^expected an object$"),
        ({}, "^expected a type, found none$"),
        (track(type="purchase"), "^expected the type track, identify, page, screen, group or alias, found another$"),
        (track(type="group"), "^groupId: expected an id, found none that can be one$"),
        (track(type="alias", previousId="undefined"), "^previousId: expected an id, found none that can be one$"),
        (track(event=...), "^event: expected a value, found nothing$"),
        (track(event=7), "^event: expected text$"),
        (track(properties=[]), "^properties: expected an object$"),
        (track(userId={}), "^userId: expected text or a number, found an object$"),
        (track(anonymousId="x" * 257), "^anonymousId: expected at most 256 characters, found 257$"),
        (track(messageId="x" * 101), "^messageId: expected at most 100 characters, found 101$"),
        (track(properties={"a": "x" * 33_000}), "^expected an event of at most 32768 bytes, found 33"),
    ],
)
def test_a_refusal_says_what_was_expected_where(call: Any, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        reading(call)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "^batch: expected a value, found nothing$"),
        ({"batch": {}}, "^batch: expected an array$"),
        ({"batch": []}, "^batch: List should have at least 1 item"),
        ({"batch": [1] * 2_501}, "^batch: List should have at most 2500 items"),
        ({"batch": [1], "context": []}, "^context: expected an object$"),
    ],
)
def test_a_broken_envelope_is_refused(body: Any, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        envelope(body)
