"""Whatever is sent to ingest: it is rejected, or what is published of it keeps its value and can be stored."""

import json
import os
from collections import Counter
from functools import partial
from itertools import islice
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.catalog import load
from functions.evaluate.evaluate import KINDS
from functions.ingest.body import LARGEST_BODY, inflated
from functions.ingest.ingest import Accepted, Address, ingest
from segue.catalogs import compiled
from segue.domain.call import LARGEST_EVENT, CallType, Reception
from segue.domain.errors import Rejected
from segue.domain.profile import profile_key
from segue.domain.time import DAY
from segue.domain.untrusted import decode
from segue.ports import PublishedCatalog
from tests.functions import mutated_bodies
from tests.functions.bad_input import call
from tests.functions.ingesting import NOW
from tests.functions.mutated_bodies import SEEDS
from tests.project.files import ROOT


def accepted(data: bytes, address: Address) -> Accepted | None:
    reception = Reception(source="shop", trusted=True, imported=False, received_at=NOW, max_age=30 * DAY)
    try:
        return ingest(decode(data), address, reception, partial(profile_key, b"a secret"), lambda: "id")
    except Rejected:
        return None


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
    for address in ADDRESSES:
        found = accepted(data, address)
        if found:
            assert_storable(found)


def assert_storable(found: Accepted) -> None:
    """Each message is read by its reader as it was written, and each event is within the bounds of a stranger's."""
    for message in found.messages:
        value = msgspec.json.decode(message.data, type=KINDS[message.type], strict=True)
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


BODIES = int(os.environ.get("BODIES", "100000"))
SEED = int(os.environ.get("SEED", "4"))


@pytest.mark.slow
def test_no_generated_body_leads_to_anything_but_events_or_a_refusal() -> None:
    """`BODIES=1000000 SEED=5` tries more of them, or others."""
    catalog = compiled(PublishedCatalog(0, load(ROOT / "infra" / "catalog"))).catalog
    trusted = Reception(
        source="shop", trusted=True, imported=False, received_at=NOW, max_age=30 * DAY, consent=catalog.consent
    )
    verified = msgspec.structs.replace(trusted, trusted=False, identity_secrets=(mutated_bodies.SITE_SECRET,))
    told: Counter[str] = Counter()
    for number, sent in enumerate(islice(mutated_bodies.mutated(SEED), BODIES)):
        reception = msgspec.structs.replace(trusted if number % 2 else verified, imported=sent.address == "import")
        try:
            found = mutated_bodies.answered(sent, reception)
            if found:
                assert_storable(found)
        except Exception as error:
            raise AssertionError(f"body {number} of seed {SEED}, to {sent.address}: {sent.body!r}") from error
        told["refused" if found is None else "taken in part" if found.refused else "taken"] += 1
    assert min(told["refused"], told["taken"]) > BODIES / 5, told
    assert told["taken in part"] > BODIES / 100, told
