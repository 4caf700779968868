"""What a bus promises, on every platform, seen from the subscriber's side."""

from datetime import UTC, datetime

import msgspec
import pytest
from cloudevents.http import from_http

from segue.domain.errors import TooLarge, Unavailable
from segue.ports import Message
from tests.contracts.conftest import TOPIC, Platform
from tests.contracts.receiver import Receiver


def message(identifier: str, data: bytes = b"{}") -> Message:
    return Message(id=identifier, type="segue.test", source="//segue/tests", time=1_700_000_000_123, data=data)


async def test_a_message_arrives_as_a_binary_cloudevent_byte_for_byte(platform: Platform, receiver: Receiver) -> None:
    data = '{"name": "blåbær 🫐", "price": 1.10, "nested": [{"a": null}]}'.encode()
    await platform.bus.publish(TOPIC, [message("3f2a:7", data)])
    await receiver.until_all(["3f2a:7"])
    pushed = receiver.pushed[0]
    assert pushed.body == data
    assert pushed.headers["content-type"] == "application/json"
    event = from_http(pushed.headers, pushed.body)
    assert (event["id"], event["type"], event["source"]) == ("3f2a:7", "segue.test", "//segue/tests")
    assert event["specversion"] == "1.0"
    assert datetime.fromisoformat(event["time"]) == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)


async def test_every_message_of_a_publish_arrives(platform: Platform, receiver: Receiver) -> None:
    ids = [f"message-{number}" for number in range(50)]
    await platform.bus.publish(TOPIC, [message(each) for each in ids])
    await receiver.until_all(ids)


async def test_publishing_nothing_is_nothing(platform: Platform, receiver: Receiver) -> None:
    await platform.bus.publish(TOPIC, [])
    await platform.bus.publish(TOPIC, [message("after")])
    await receiver.until_all(["after"])
    assert {pushed.id for pushed in receiver.pushed} == {"after"}


async def test_a_message_of_a_megabyte_arrives(platform: Platform, receiver: Receiver) -> None:
    data = b'"' + b"x" * 1_000_000 + b'"'
    await platform.bus.publish(TOPIC, [message("large", data)])
    await receiver.until_all(["large"])
    assert receiver.pushed[0].body == data


async def test_a_publish_of_more_bytes_than_one_request_takes_arrives(platform: Platform, receiver: Receiver) -> None:
    ids = [f"large-{number}" for number in range(12)]
    await platform.bus.publish(TOPIC, [message(each, b'"' + b"x" * 1_000_000 + b'"') for each in ids])
    await receiver.until_all(ids)


async def test_a_message_larger_than_the_bus_takes_is_refused(platform: Platform) -> None:
    with pytest.raises(TooLarge):
        await platform.bus.publish(TOPIC, [message("larger", bytes(10_000_001))])


async def test_a_message_stays_in_its_trace_however_often_it_comes(platform: Platform, receiver: Receiver) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    receiver.answers["traced"] = [500]
    await platform.bus.publish(TOPIC, [msgspec.structs.replace(message("traced"), trace=trace), message("untraced")])
    await receiver.until(lambda counts: counts["traced"] >= 2 and counts["untraced"] >= 1)
    found = {(pushed.id, pushed.headers.get("ce-traceparent")) for pushed in receiver.pushed}
    assert found == {("traced", trace), ("untraced", None)}


async def test_a_message_that_is_not_acknowledged_comes_again(platform: Platform, receiver: Receiver) -> None:
    refusals = {str(status): status for status in (400, 404, 415, 429, 500, 503)}
    for each, status in refusals.items():
        receiver.answers[each] = [status, status]
    await platform.bus.publish(TOPIC, [message(each, each.encode()) for each in refusals])
    await receiver.until(lambda counts: all(counts[each] >= 3 for each in refusals))
    assert {(pushed.id, pushed.body) for pushed in receiver.pushed} == {(each, each.encode()) for each in refusals}


async def test_of_many_messages_refused_together_none_is_forgotten(platform: Platform, receiver: Receiver) -> None:
    ids = [f"refused-{number}" for number in range(40)]
    for each in ids:
        receiver.answers[each] = [503] * 3
    await platform.bus.publish(TOPIC, [message(each) for each in ids])
    await receiver.until(lambda counts: all(counts[each] >= 4 for each in ids))


async def test_other_messages_keep_flowing_while_one_fails(platform: Platform, receiver: Receiver) -> None:
    receiver.answers["failing"] = [503] * 1_000
    await platform.bus.publish(TOPIC, [message("failing")])
    await receiver.until(lambda counts: counts["failing"] >= 1)
    ids = [f"good-{number}" for number in range(20)]
    for each in ids:
        await platform.bus.publish(TOPIC, [message(each)])
    await receiver.until_all(ids)
    await receiver.until(lambda counts: counts["failing"] >= 2)


async def test_publishing_to_a_topic_that_is_not_there_is_worth_another_try(platform: Platform) -> None:
    with pytest.raises(Unavailable):
        await platform.bus.publish("no-such-topic", [message("lost")])
