"""What clocks promise: the system's, and the one that only moves when told to."""

import asyncio
import time

from segue.adapters.system import ManualClock, SystemClock


async def test_the_system_clock_tells_utc_in_milliseconds_and_does_not_wake_early() -> None:
    clock = SystemClock()
    before = time.time()
    slept_from = time.monotonic()
    await clock.sleep(0.01)
    assert time.monotonic() - slept_from >= 0.01
    assert int(before * 1000) <= clock.now() <= time.time() * 1000


# now:      1000      1499 1500      3000
# sleepers:  |----a----------|
#            |----b------------------|
async def test_the_manual_clock_wakes_whoever_slept_long_enough_the_earliest_first() -> None:
    clock = ManualClock(1_000)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as sleepers:
        sleepers.create_task(sleeper("b", 2))
        sleepers.create_task(sleeper("a", 0.5))
        for milliseconds, expected in ((0, []), (499, []), (1, ["a"]), (1_500, ["a", "b"])):
            await asyncio.sleep(0)
            clock.advance(milliseconds)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert woken == expected
    assert clock.now() == 3_000


async def test_sleeping_for_no_time_needs_no_advance() -> None:
    async with asyncio.timeout(10):
        await ManualClock().sleep(0)


async def test_a_sleeper_that_was_cancelled_is_passed_over() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    clock.advance(1_000)
    assert clock.now() == 1_000
