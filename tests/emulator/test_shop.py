"""The demo shop's visitors: the same for the same seed, and as real visitors would be."""

from emulator.shop import visitors
from segue.domain.time import DAY, HOUR, instant

NOW = 1_790_000_000_000


def test_the_same_seed_gives_the_same_visitors_and_another_seed_others() -> None:
    assert list(visitors(1, 20, NOW)) == list(visitors(1, 20, NOW))
    assert list(visitors(1, 20, NOW)) != list(visitors(2, 20, NOW))


def test_calls_are_in_order_of_time_and_none_is_from_the_future_or_too_old() -> None:
    for visitor in visitors(1, 200, NOW):
        times = [instant(call["timestamp"]) or 0 for call in visitor.calls]
        assert times == sorted(times)
        assert times[0] > NOW - 30 * DAY
        assert NOW - HOUR <= times[-1] <= NOW


def test_every_call_has_an_id_of_its_own() -> None:
    calls = [call for visitor in visitors(1, 200, NOW) for call in visitor.calls]
    assert len({call["messageId"] for call in calls}) == len(calls) > 1_000
