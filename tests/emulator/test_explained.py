"""Explained from the archive: at any instant of the past, every message that counts by its id."""

from pathlib import Path

from emulator.explained import explained
from segue.adapters.system import ManualClock
from segue.domain.time import HOUR, MINUTE
from tests.emulator.test_host import ANNA, NOON, call, client


async def test_any_instant_is_explained_from_the_messages_received_by_then(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with client(tmp_path, clock) as segue:
        for name in ("first", "second"):
            await segue.call(call("Order Completed", name))
            await segue.settle()
            clock.advance(HOUR)
    first = await explained(tmp_path, ANNA, "frequent-buyer", NOON + MINUTE)
    both = await explained(tmp_path, ANNA, "frequent-buyer", NOON + HOUR)
    assert (first.member, both.member) == (False, True)
    assert [each.message_id for each in first.when.counted] == ["first"]
    assert [each.message_id for each in both.when.counted] == ["first", "second"]
    assert first.nearest is not None
    assert first.nearest.lacks == "one more `Order Completed`"
