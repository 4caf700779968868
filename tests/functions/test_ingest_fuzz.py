"""Whatever is sent to ingest: it is rejected, or what is published of it keeps its value and can be stored."""

import json
from functools import partial
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from functions.ingest.body import LARGEST_BODY, inflated
from functions.ingest.ingest import Accepted, Address, ingest
from segue.domain.call import LARGEST_EVENT, CallType, Reception
from segue.domain.errors import Rejected
from segue.domain.message import EVENTS_RECEIVED, EVENTS_REFUSED, EventsReceived, EventsRefused
from segue.domain.profile import profile_key
from segue.domain.time import DAY
from segue.domain.untrusted import decode
from tests.functions.bad_input import CASES, call
from tests.functions.ingesting import NOW


def accepted(data: bytes, address: Address) -> Accepted | None:
    reception = Reception(source="shop", trusted=True, imported=False, received_at=NOW, max_age=30 * DAY)
    try:
        return ingest(decode(data), address, reception, partial(profile_key, b"a secret"), lambda: "id")
    except Rejected:
        return None


LARGE = {"04 as many bytes as may be", "67 2,500 events"}
SEEDS = [
    b"".join(case.chunks())
    for case in CASES
    if case.status == 200 and case.name not in LARGE and not case.name.startswith("07")
]
ADDRESSES: list[Address] = [*get_args(CallType), "batch"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    [
        *("type", "event", "name", "messageId", "userId", "anonymousId", "timestamp", "originalTimestamp", "sentAt"),
        *("properties", "traits", "context", "groupId", "previousId", "batch", "position", "total_length", "progress"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good body with a few of its bytes replaced, removed or doubled."""
    body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 8)))
        body = body[:start] + draw(st.binary(max_size=8) | st.just(body[start:end] * 2)) + body[end:]
    return body


@st.composite
def strange_calls(draw: st.DrawFn) -> bytes:
    """A good call, or a batch of it, with any values in any of its fields."""
    event = draw(st.sampled_from(["Product Viewed", "Video Content Playing"]))
    strange = json.loads(call(type="track", event=event)) | draw(st.dictionaries(fields, json_values, max_size=4))
    return json.dumps(draw(st.sampled_from([strange, {"batch": [strange, draw(json_values)]}]))).encode()


def keeps_its_value(data: bytes) -> None:
    """Everything published decodes to what encodes to it, within what a store can keep."""
    kinds = {EVENTS_RECEIVED: EventsReceived, EVENTS_REFUSED: EventsRefused}
    for address in ADDRESSES:
        found = accepted(data, address)
        for message in found.messages if found else ():
            value = msgspec.json.decode(message.data, type=kinds[message.type], strict=True)
            assert msgspec.json.encode(value) == message.data
            for event in getattr(value, "events", ()):
                assert len(msgspec.json.encode(event)) <= LARGEST_EVENT
                assert event.occurred_at <= event.received_at
                assert decode(msgspec.json.encode(event)), "within the bounds of what strangers may send"
                json.dumps(msgspec.to_builtins(event), allow_nan=False).encode()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_rejected_or_keep_their_value(data: bytes) -> None:
    keeps_its_value(data)


@given(mutated())
def test_a_damaged_body_is_rejected_or_keeps_its_value(data: bytes) -> None:
    keeps_its_value(data)


@given(strange_calls())
def test_a_strange_call_is_rejected_or_keeps_its_value(data: bytes) -> None:
    keeps_its_value(data)


@given(st.binary(max_size=200).map(lambda data: b"\x1f\x8b\x08" + data) | mutated())
def test_what_cannot_be_inflated_is_rejected(data: bytes) -> None:
    try:
        body = inflated(data)
    except Rejected:
        return
    assert len(body) <= LARGEST_BODY
