"""Coming and going: who stopped, who came back, and who comes regularly."""

from itertools import pairwise

from tests.oracle.calendar import turn
from tests.oracle.values import duration
from tests.oracle.view import Condition, View, in_window, selects


def instants_of(kind: str, condition: Condition, view: View) -> list[int]:
    """When the event that the condition names happened, in order."""
    selector = {"did": condition[kind], "where": condition.get("where", {})}
    return [event.occurred_at for event in view.events if selects(selector, event)]


def stopped(condition: Condition, view: View) -> bool:
    """Some in the earlier time, none in the recent one."""
    times = instants_of("stopped", condition, view)
    earlier, recent = duration(condition["earlier"]), duration(condition["recent"])
    return any(view.at - earlier < at <= view.at - recent for at in times) and not any(
        at > view.at - recent for at in times
    )


def restarted(condition: Condition, view: View) -> bool:
    """A recent one whose previous one is at least the gap earlier; the very first has none."""
    times = sorted(set(instants_of("restarted", condition, view)))
    gap, recent = duration(condition["gap"]), duration(condition["recent"])
    return any(at > view.at - recent and at - previous >= gap for previous, at in pairwise(times))


def regularly(condition: Condition, view: View) -> bool:
    """In so many of the last periods, the current one included, so many times each."""
    times = instants_of("regularly", condition, view)
    periods = 0
    for back in range(condition["last"]):
        start, end = turn(view.at, condition, -back), turn(view.at, condition, 1 - back)
        periods += sum(start <= at < end for at in times) >= condition.get("times", 1)
    return bool(periods >= condition["in"])


def first_time(condition: Condition, view: View) -> bool:
    """The first event that ever passed lies in the window."""
    selector = {"did": condition["first_time"], "where": condition.get("where", {})}
    first = next((event for event in view.events if selects(selector, event)), None)
    return first is not None and in_window(condition, view.at)(first)
