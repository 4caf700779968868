"""What the embedded queues promise: at least once, back-off, dead letters, and nothing forgotten over a restart."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.push import backoff_s
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import ManualClock, SystemClock
from segue.domain.errors import TooLarge, Unavailable
from segue.ports import Clock, Message

ONE = Subscription(name="one", topic="events", attempts=4)
OTHER = Subscription(name="other", topic="events")


def message(name: str) -> Message:
    return Message(id=name, type="test", source="//test", time=1, data=b"{}")


def traced(name: str) -> Message:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return Message(id=name, type="test", source="//test", time=1, data=b"{}", trace=trace)


def open_platform(folder: Path, *subscriptions: Subscription, clock: Clock | None = None) -> EmbeddedPlatform:
    return EmbeddedPlatform.open(folder, clock or SystemClock(), subscriptions or (ONE,))


class Receiver:
    """Answers each delivery as `status` says, and remembers it."""

    def __init__(self, status: Callable[[Message], int] = lambda _: 204) -> None:
        self.status = status
        self.seen: Counter[tuple[str, str]] = Counter()

    async def __call__(self, subscription: Subscription, message: Message, _published_at: int) -> int:
        self.seen[subscription.name, message.id] += 1
        return self.status(message)


async def eventually(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await fact():  # noqa: ASYNC110  (nobody is told what the queue has done)
            await asyncio.sleep(0.005)


async def emptied(platform: EmbeddedPlatform) -> None:
    async def empty() -> bool:
        return not await platform.bus.waiting()

    await eventually(empty)


async def delivered(receiver: "Receiver", **times: int) -> None:
    async def so_often() -> bool:
        return receiver.seen == {("one", name): count for name, count in times.items()}

    await eventually(so_often)


async def failed(platform: EmbeddedPlatform, attempts: int) -> None:
    """The only message left has failed so often, and backs off or is dead."""

    async def so_often() -> bool:
        left = [*await platform.bus.after("one:events", 0, 10), *await platform.bus.dead_letters()]
        return [each.attempts for each in left] == [attempts]

    await eventually(so_often)
    await asyncio.sleep(0.02)


async def test_every_subscription_gets_every_message_once_where_all_goes_well(tmp_path: Path) -> None:
    platform, receiver = open_platform(tmp_path, ONE, OTHER), Receiver()
    await platform.push_to(receiver)
    await asyncio.gather(*(platform.bus.publish("events", [message(f"a{n}"), message(f"b{n}")]) for n in range(200)))
    await emptied(platform)
    names = {f"{letter}{n}" for letter in "ab" for n in range(200)}
    assert receiver.seen == Counter({(who, name): 1 for who in ("one", "other") for name in names})
    await platform.close()


async def test_what_was_published_before_anybody_listens_is_delivered_later(tmp_path: Path) -> None:
    platform, receiver = open_platform(tmp_path), Receiver()
    await platform.bus.publish("events", [message("early")])
    assert await platform.bus.waiting() == {"one:events": 1}
    await platform.push_to(receiver)
    await emptied(platform)
    assert receiver.seen == {("one", "early"): 1}
    await platform.close()


async def test_a_topic_without_subscription_is_unavailable(tmp_path: Path) -> None:
    platform = open_platform(tmp_path)
    with pytest.raises(Unavailable, match="topic nowhere"):
        await platform.bus.publish("nowhere", [message("lost")])
    await platform.close()


async def test_a_message_larger_than_pubsub_takes_is_too_large(tmp_path: Path) -> None:
    platform = open_platform(tmp_path)
    with pytest.raises(TooLarge):
        await platform.bus.publish("events", [Message(id="x", type="t", source="s", time=1, data=bytes(10_000_001))])
    assert await platform.bus.waiting() == {}
    await platform.close()


async def test_a_failed_message_comes_again_after_its_back_off_and_holds_up_nobody(tmp_path: Path) -> None:
    clock = ManualClock(1_000)
    platform = open_platform(tmp_path, clock=clock)
    receiver = Receiver(lambda message: 500 if message.id == "bad" else 204)
    await platform.push_to(receiver)
    await platform.bus.publish("events", [message("bad"), message("good")])
    await delivered(receiver, bad=1, good=1)
    for attempt, back_off in enumerate((1_000, 2_000), start=1):
        await failed(platform, attempt)
        clock.advance(back_off - 1)
        await asyncio.sleep(0.02)
        assert receiver.seen["one", "bad"] == attempt
        clock.advance(1)
        await delivered(receiver, bad=attempt + 1, good=1)
    receiver.status = lambda _: 204
    await failed(platform, 3)
    clock.advance(4_000)
    await emptied(platform)
    assert receiver.seen == {("one", "bad"): 4, ("one", "good"): 1}
    await platform.close()


def test_the_back_off_doubles_up_to_the_longest() -> None:
    waits = [backoff_s(Subscription(name="x", topic="x", backoff_s=1, longest_backoff_s=60), n) for n in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_receiver_that_raises_has_not_received(tmp_path: Path) -> None:
    platform = open_platform(tmp_path, Subscription(name="one", topic="events", backoff_s=0.001))

    def fail_once(_: Message) -> int:
        if sum(receiver.seen.values()) == 1:
            raise RuntimeError("a bug")
        return 204

    receiver = Receiver(fail_once)
    await platform.push_to(receiver)
    await platform.bus.publish("events", [message("x")])
    await emptied(platform)
    assert receiver.seen == {("one", "x"): 2}
    await platform.close()


async def test_after_its_last_attempt_a_message_is_a_dead_letter(tmp_path: Path) -> None:
    platform = open_platform(tmp_path, Subscription(name="one", topic="events", attempts=3, backoff_s=0.001))
    receiver = Receiver(lambda message: 500 if message.id == "bad" else 204)
    await platform.push_to(receiver)
    await platform.bus.publish("events", [message("bad"), message("good")])
    await emptied(platform)
    assert receiver.seen == {("one", "bad"): 3, ("one", "good"): 1}
    assert [(dead.queue, dead.message) for dead in await platform.bus.dead_letters()] == [
        ("one:events", message("bad"))
    ]
    await platform.close()


async def test_whoever_asked_hears_of_a_dead_letter_before_it_is_one(tmp_path: Path) -> None:
    platform = open_platform(tmp_path, Subscription(name="one", topic="ev*", attempts=1, backoff_s=0.001))
    heard: list[tuple[str, str, str]] = []

    async def hear(subscription: Subscription, topic: str, message: Message) -> None:
        heard.append((subscription.name, topic, message.id))
        if len(heard) == 1:
            raise Unavailable("not just now")

    await platform.push_to(Receiver(lambda _: 500), hear)
    await platform.bus.publish("events", [message("bad")])
    await emptied(platform)
    assert heard == [("one", "events", "bad")] * 2
    assert [(dead.message.id, dead.message.data) for dead in await platform.bus.dead_letters()] == [("bad", b"")]
    await platform.close()


async def test_a_message_older_than_the_retention_is_a_dead_letter_and_not_delivered(tmp_path: Path) -> None:
    clock, receiver = ManualClock(0), Receiver()
    subscription = Subscription(name="one", topic="events", retention_ms=1_000)
    platform = open_platform(tmp_path, subscription, clock=clock)
    await platform.bus.publish("events", [message("old")])
    clock.advance(1)
    await platform.bus.publish("events", [message("young")])
    clock.advance(1_000)
    await platform.push_to(receiver)
    await emptied(platform)
    assert receiver.seen == {("one", "young"): 1}
    assert [dead.message.id for dead in await platform.bus.dead_letters()] == ["old"]
    await platform.close()


async def test_a_topic_that_matches_a_pattern_has_a_queue_of_its_own(tmp_path: Path) -> None:
    never = asyncio.Event()
    fast: list[str] = []

    async def deliver(_: Subscription, message: Message, _published_at: int) -> int:
        if message.id.startswith("slow"):
            await never.wait()
        fast.append(message.id)
        return 204

    platform = open_platform(tmp_path, Subscription(name="retry", topic="retry-*", concurrency=2))
    await platform.push_to(deliver)
    await platform.bus.publish("retry-a", [message(f"slow{n}") for n in range(10)])
    await platform.bus.publish("retry-b", [message("quick")])

    async def only_the_slow_are_left() -> bool:
        return await platform.bus.waiting() == {"retry:retry-a": 10}

    await eventually(only_the_slow_are_left)
    assert fast == ["quick"]
    await platform.close(grace_s=0.01)


async def test_no_more_than_the_concurrency_are_under_way(tmp_path: Path) -> None:
    under_way = most = 0

    async def deliver(_subscription: Subscription, _message: Message, _published_at: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return 204

    platform = open_platform(tmp_path, Subscription(name="one", topic="events", concurrency=3))
    await platform.push_to(deliver)
    await platform.bus.publish("events", [message(str(n)) for n in range(50)])
    await emptied(platform)
    assert most == 3
    await platform.close()


async def test_a_restart_delivers_what_was_not_acknowledged_and_only_that(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def deliver(_subscription: Subscription, message: Message, _published_at: int) -> int:
        if int(message.id) % 2:
            await never.wait()
        return 500 if message.id == "0" else 204

    first = open_platform(tmp_path)
    await first.push_to(deliver)
    await first.bus.publish("events", [message(str(n)) for n in range(20)])

    async def the_even_ones_are_done() -> bool:
        return await first.bus.waiting() == {"one:events": 11}

    await eventually(the_even_ones_are_done)
    await first.close(grace_s=0.01)

    second, receiver = open_platform(tmp_path), Receiver()
    await second.push_to(receiver)
    await emptied(second)
    assert receiver.seen == Counter({("one", name): 1 for name in ["0", *map(str, range(1, 20, 2))]})
    await second.close()


async def test_a_message_is_in_the_same_trace_after_a_restart_whoever_had_the_folder_before(tmp_path: Path) -> None:
    first = open_platform(tmp_path)
    await first.bus.publish("events", [message("untraced"), traced("kept")])
    await first.bus.requeue((await first.bus.after("one:events", 0, 10))[1])
    await first.close()

    second = open_platform(tmp_path)
    assert [each.message for each in await second.bus.after("one:events", 0, 10)] == [
        message("untraced"),
        traced("kept"),
    ]
    await second.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "segue.db")) as database:
        database.execute("DROP TABLE traced")  # as code had it that knew of no traces

    third = open_platform(tmp_path)
    await third.bus.publish("events", [traced("new")])
    waiting = await third.bus.after("one:events", 0, 10)
    assert [each.message for each in waiting] == [message("untraced"), message("kept"), traced("new")]
    for each in waiting:
        await third.bus.remove(each)
    await third.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "segue.db")) as database:
        assert database.execute("SELECT * FROM traced").fetchall() == []


async def test_failed_attempts_are_counted_over_restarts(tmp_path: Path) -> None:
    receiver = Receiver(lambda _: 500)
    for restart in range(1, 5):
        platform = open_platform(tmp_path)
        if restart == 1:
            await platform.bus.publish("events", [message("bad")])
        await platform.push_to(receiver)
        await failed(platform, restart)
        dead = await platform.bus.dead_letters()
        await platform.close()
    assert receiver.seen == {("one", "bad"): 4}
    assert [letter.message.id for letter in dead] == ["bad"]


async def test_a_queue_that_nobody_subscribes_to_any_more_is_named_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = open_platform(tmp_path)
    await first.bus.publish("events", [message("x")])
    await first.close()
    second = open_platform(tmp_path, OTHER)
    await second.push_to(Receiver())
    assert '"event":"queue_unattended","queue":"one:events","count":1' in caplog.text
    assert await second.bus.waiting() == {"one:events": 1}
    await second.close()


async def test_closing_waits_for_deliveries_under_way(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def deliver(_subscription: Subscription, _message: Message, _published_at: int) -> int:
        started.set()
        await asyncio.sleep(0.05)
        return 204

    platform = open_platform(tmp_path)
    await platform.push_to(deliver)
    await platform.bus.publish("events", [message("x")])
    await started.wait()
    await platform.close()
    reopened = open_platform(tmp_path)
    assert await reopened.bus.waiting() == {}
    await reopened.close()


async def test_a_publisher_that_gives_up_leaves_a_message_that_is_delivered(tmp_path: Path) -> None:
    platform, receiver = open_platform(tmp_path), Receiver()
    await platform.push_to(receiver)
    publishing = asyncio.create_task(platform.bus.publish("events", [message("x")]))
    await asyncio.sleep(0)
    publishing.cancel()
    await delivered(receiver, x=1)
    await platform.close()
