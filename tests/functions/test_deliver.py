"""Deliver brings every transition to every destination that wants it, and lets a failing one hold up only itself."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from functions.deliver.deliver import ATTEMPTS, LONGEST_BACKOFF, REST, SLOW
from segue.domain.errors import Rejected, Unavailable
from segue.domain.membership import Transition
from segue.domain.message import DELIVERY_DUE, DeliveryDue
from segue.domain.time import SECOND
from segue.ports import Message
from segue.settings import Settings
from tests.functions.pushing import ADA, CATALOG, KEY, NOW, SETTINGS, Pushing, changed, pushing, snapshot, unavailable


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


def transition(seq: int, segment: str = "buyer", kind: Literal["entered", "exited"] = "entered") -> Transition:
    return Transition(
        segment=segment, transition=kind, at=NOW, seq=seq, definition="d1", reason="event", message_id="m"
    )


def due(attempt: int = 1, not_before: int = NOW, destination: str = "crm") -> DeliveryDue:
    return DeliveryDue(
        destination=destination,
        key=KEY,
        profile=ADA,
        transition=transition(1),
        attempt=attempt,
        not_before=not_before,
    )


def again(delivery: DeliveryDue) -> Message:
    return Message(
        id="again", type=DELIVERY_DUE, source="//test", time=delivery.not_before, data=msgspec.json.encode(delivery)
    )


async def waiting(site: Pushing, destination: str = "crm") -> Sequence[DeliveryDue]:
    """What waits in the destination's retry topic."""
    messages = await site.published(f"retry-{destination}")
    return [msgspec.json.decode(message.data, type=DeliveryDue) for message in messages]


async def test_each_destination_gets_the_transitions_of_its_segments_in_order(site: Pushing) -> None:
    entry = changed(4, transitions=(transition(1, "viewer"), transition(2), transition(3, "viewer", "exited")))
    assert await site.push("deliver", snapshot(entry)) == 204
    assert [body["seq"] for body in site.receiver.bodies("crm")] == [1, 2, 3]
    assert [body["seq"] for body in site.receiver.bodies("ads")] == [2]


async def test_the_body_says_who_and_what(site: Pushing) -> None:
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1),))))
    assert site.receiver.bodies("crm") == [
        {
            "profile": {"anonymous_id": "ada"},
            "segment": "buyer",
            "transition": "entered",
            "at": NOW,
            "seq": 1,
            "definition": "d1",
            "reason": "event",
            "message_id": "m",
        }
    ]


async def test_a_delivery_is_named_and_signed(site: Pushing) -> None:
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1),))))
    (body, headers), *_ = [(body, headers) for host, body, headers in site.receiver.posted if host == "crm"]
    assert headers["Idempotency-Key"] == f"{KEY}:1:crm"
    assert headers["Segue-Timestamp"] == str(NOW // 1_000)
    signed = headers["Segue-Timestamp"].encode() + b"." + body
    secret = SETTINGS.webhook_secrets["hook"].encode()
    assert headers["Segue-Signature"] == "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


async def test_a_transition_is_never_too_old_to_be_delivered(site: Pushing) -> None:
    for seq in (7, 3):
        await site.push("deliver", snapshot(changed(seq + 1, transitions=(transition(seq),))))
    assert [body["seq"] for body in site.receiver.bodies("crm")] == [7, 3]


@pytest.mark.parametrize("answer", [500, 503, 599, 408, 425, 429, Unavailable("no answer in time")], ids=str)
async def test_what_may_be_taken_later_waits_in_the_destinations_own_topic(
    answer: int | Unavailable, site: Pushing
) -> None:
    site.receiver.answers["ads"] = [answer]
    entry = changed(3, transitions=(transition(1), transition(2)))
    assert await site.push("deliver", snapshot(entry)) == 204
    assert [(each.transition.seq, each.attempt) for each in await waiting(site, "ads")] == [(1, 1), (2, 1)]
    assert all(each.not_before > NOW for each in await waiting(site, "ads"))
    assert len(site.receiver.bodies("ads")) == 1
    assert len(site.receiver.bodies("crm")) == 2
    assert await waiting(site, "crm") == []


@pytest.mark.parametrize("answer", [400, 401, 404, 410, 301, 302, Rejected("a private address")], ids=str)
async def test_what_is_refused_for_good_is_recorded(answer: int | Rejected, site: Pushing) -> None:
    site.receiver.answers["crm"] = [answer]
    assert await site.push("deliver", snapshot(changed(2, transitions=(transition(1),)))) == 204
    (failed,) = await site.failed()
    assert (failed.stage, failed.topic, failed.type) == ("deliver", "retry-crm", DELIVERY_DUE)
    assert failed.id == f"{KEY}:1:crm"
    assert str(answer) in failed.reason
    assert await waiting(site) == []


async def test_what_was_recorded_can_be_delivered_from_its_topic(site: Pushing) -> None:
    site.receiver.answers["crm"] = [404]
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1),))))
    (failed,) = await site.failed()
    replayed = Message(id=failed.id, type=failed.type, source="//test", time=NOW, data=failed.data.encode())
    assert await site.push("deliver", replayed) == 204
    first, second = site.receiver.bodies("crm")
    assert first == second


async def test_a_delivery_is_tried_again_under_the_same_name(site: Pushing) -> None:
    site.receiver.answers["crm"] = [500]
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1),))))
    (delivery,) = await waiting(site)
    site.clock.advance(delivery.not_before - site.clock.now())
    assert await site.push("deliver", again(delivery)) == 204
    first, second = [headers["Idempotency-Key"] for host, _, headers in site.receiver.posted if host == "crm"]
    assert first == second
    assert len(await waiting(site)) == 1


@pytest.mark.parametrize(("not_before", "status"), [(NOW - 1, 204), (NOW, 204), (NOW + 1, 503)])
async def test_a_delivery_waits_for_its_time(not_before: int, status: int, site: Pushing) -> None:
    assert await site.push("deliver", again(due(not_before=not_before))) == status
    assert len(site.receiver.posted) == (status == 204)


async def test_attempts_are_further_and_further_apart_up_to_five_minutes(site: Pushing) -> None:
    waits = []
    for attempt in range(1, ATTEMPTS - 1):
        site.receiver.answers["crm"] = [500]
        await site.push("deliver", again(due(attempt)))
        waits.append((await waiting(site))[-1].not_before - site.clock.now())
    assert all(SECOND << attempt >= wait >= SECOND << attempt - 1 for attempt, wait in enumerate(waits[:8], 1))
    assert all(LONGEST_BACKOFF / 2 <= wait <= LONGEST_BACKOFF for wait in waits[8:])


async def test_the_last_attempt_is_the_last(site: Pushing) -> None:
    site.receiver.answers["crm"] = [500]
    assert await site.push("deliver", again(due(ATTEMPTS - 1))) == 204
    assert await waiting(site) == []
    (failed,) = await site.failed()
    assert f"at the last of {ATTEMPTS} attempts" in failed.reason
    assert msgspec.json.decode(failed.data, type=DeliveryDue).attempt == 0


async def test_a_failing_destination_rests_and_gets_the_next_from_its_topic(site: Pushing) -> None:
    site.receiver.answers["crm"] = [500]
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1),))))
    await site.push("deliver", snapshot(changed(4, transitions=(transition(3),))))
    assert [body["seq"] for body in site.receiver.bodies("crm")] == [1]
    assert [each.transition.seq for each in await waiting(site)] == [1, 3]
    site.clock.advance(REST)
    await site.push("deliver", snapshot(changed(6, transitions=(transition(5),))))
    assert [body["seq"] for body in site.receiver.bodies("crm")] == [1, 5]


async def test_a_slow_destination_rests_too(site: Pushing) -> None:
    site.receiver.takes_ms = SLOW + 1
    await site.push("deliver", snapshot(changed(3, transitions=(transition(1, "viewer"), transition(2, "viewer")))))
    assert [body["seq"] for body in site.receiver.bodies("crm")] == [1]
    assert [each.transition.seq for each in await waiting(site)] == [2]


async def test_a_destination_the_catalogue_no_longer_has_is_recorded(site: Pushing) -> None:
    assert await site.push("deliver", again(due(destination="gone"))) == 204
    (failed,) = await site.failed()
    assert failed.topic == "retry-gone"
    assert "no destination" in failed.reason


async def test_a_missing_secret_is_recorded_and_nothing_goes_out_unsigned(site: Pushing) -> None:
    site.restart(settings=Settings.from_environment({"SEGUE_PROFILE_SECRET": "a secret of the tests"}))
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1, "viewer"),))))
    assert site.receiver.posted == []
    (failed,) = await site.failed()
    assert "hook" in failed.reason


async def test_a_new_destination_gets_what_its_catalogue_announced(site: Pushing) -> None:
    """The instance has read version 1 already, and not yet version 2, under which the snapshot was made."""
    await site.push("deliver", snapshot(changed(2, transitions=(transition(1, "viewer"),))))
    sms = {"webhook": {"url": "https://sms.example/", "secret": "hook"}}
    await site.publish_catalog(destinations={**CATALOG["destinations"], "sms": sms})
    await site.push("deliver", snapshot(changed(4, catalog=2, transitions=(transition(3, "viewer"),))))
    assert [body["seq"] for body in site.receiver.bodies("sms")] == [3]


async def test_what_can_neither_be_delivered_nor_postponed_comes_back_whole(site: Pushing) -> None:
    site.receiver.answers["crm"] = [500]
    site.broken.breaks["publish"] = unavailable()
    message = snapshot(changed(2, transitions=(transition(1, "viewer"),)))
    assert await site.push("deliver", message) == 503
    assert await waiting(site) == []


async def test_what_can_neither_be_delivered_nor_recorded_comes_back_whole(site: Pushing) -> None:
    site.receiver.answers["crm"] = [404]
    site.broken.breaks["commit"] = unavailable()
    message = snapshot(changed(2, transitions=(transition(1, "viewer"),)))
    assert await site.push("deliver", message) == 503
    assert await site.push("deliver", message) == 204
    assert len(site.receiver.bodies("crm")) == 2
