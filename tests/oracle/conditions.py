"""Conditions: whether each kind of the language holds for the events that count at one instant."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from segue.domain.event import Event
from tests.oracle.calendar import clock_shows
from tests.oracle.clusters import cluster
from tests.oracle.dates import stands
from tests.oracle.figures import counted, figure
from tests.oracle.operators import passes
from tests.oracle.person import consents, geo, sample
from tests.oracle.returns import first_time, regularly, restarted, stopped
from tests.oracle.scores import score
from tests.oracle.sessions import session
from tests.oracle.traits import in_milliseconds, is_time, known_traits
from tests.oracle.values import duration, elements, identity, is_number, look_up, spread, written
from tests.oracle.view import Condition, View, in_window, selects


def holds(condition: Condition, view: View) -> bool:
    """Whether the condition is true."""
    (kind,) = KINDS.keys() & condition.keys()
    return KINDS[kind](condition, view)


def measured(leaf: Condition, view: View) -> bool:
    """Whether the leaf's figure passes, for some group if there is a `per`."""
    test = leaf.get("count", {"ge": 1}) if "did" in leaf else leaf["is"]
    events = counted(leaf, view)
    if "per" not in leaf:
        return passes(test, figure(leaf, events), {})
    groups: dict[Hashable, list[Event]] = {}
    for event in events:
        for value in {identity(value) for value in elements(look_up(event.properties, leaf["per"]))}:
            groups.setdefault(value, []).append(event)
    return any(passes(test, figure(leaf, group), {}) for group in groups.values())


def trait(condition: Condition, view: View) -> bool:
    """The trait, said or computed, has a value that passes."""
    test = in_milliseconds(condition["is"]) if is_time(condition["trait"], view.terms) else condition["is"]
    traits = known_traits(view)
    return passes(test, look_up(traits, condition["trait"]), traits)


def together(condition: Condition, view: View) -> bool:
    """All leaves hold in one window."""
    spec = condition["together"]
    window = {"within": spec["within"]}
    return all(measured({**leaf.get("aggregate", leaf), **window}, view) for leaf in spec["of"])


def shared(event: Event, paths: Iterable[str]) -> set[tuple[Hashable, ...]]:
    """The combinations of values an event has at the paths of `same`; none if one is missing, one without paths."""
    return set(product(*([identity(value) for value in spread(event.properties, path)] for path in paths)))


def between(events: Iterable[Event], selector: str | Condition, start: Event, end: Event) -> bool:
    """Whether something happened strictly between two events."""
    return any(start.occurred_at < event.occurred_at < end.occurred_at and selects(selector, event) for event in events)


def sequence(condition: Condition, view: View) -> bool:
    """Some chain of strictly later events, one per step, lies in the window."""
    spec = condition["sequence"]
    inside = in_window(spec, view.at)
    events = [event for event in view.events if inside(event)]

    def chains(steps: Sequence[Condition]) -> Iterator[tuple[list[Event], set[tuple[Hashable, ...]]]]:
        """Every chain of the steps, with the values of `same` that all its events have."""
        *earlier, step = steps
        for event in events:
            values = shared(event, spec.get("same", []))
            if not (selects(step, event) and values):
                continue
            if not earlier:
                yield [event], values
                continue
            for chain, common in chains(earlier):
                if follows(step, chain[-1], event) and common & values:
                    yield [*chain, event], common & values

    def follows(step: Condition, previous: Event, event: Event) -> bool:
        """Whether the event can be the step after this one."""
        pause = event.occurred_at - previous.occurred_at
        return (
            pause > 0
            and ("gap" not in step or pause < duration(step["gap"]))
            and ("without" not in step or not between(events, step["without"], previous, event))
        )

    return any(
        "without" not in spec or not between(events, spec["without"], chain[0], chain[-1])
        for chain, _ in chains(spec["steps"])
    )


def absent(condition: Condition, view: View) -> bool:
    """The latest A is `for` ago or more, and nothing has come since; each value of `same` waits by itself."""
    spec = condition["absent"]
    same = spec.get("same", [])
    pairs = dict(same) if isinstance(same, Mapping) else {path: path for path in same}
    latest: dict[Hashable, int] = {}
    for event in view.events:
        if selects(spec["after"], event):
            latest |= dict.fromkeys(shared(event, pairs.keys()), event.occurred_at)
    ended = {
        values
        for event in view.events
        if selects(spec["without"], event)
        for values in shared(event, pairs.values())
        if values in latest and latest[values] < event.occurred_at
    }
    wait = duration(spec["for"]) if "for" in spec else 0
    return any(
        start + wait <= view.at and ("within" not in spec or view.at < start + duration(spec["within"]))
        for values, start in latest.items()
        if values not in ended
    )


def compare(condition: Condition, view: View) -> bool:
    """The left figure stands to so many times the right one."""
    spec = condition["compare"]
    sides = (spec[side].get("aggregate", spec[side]) for side in ("left", "right"))
    left, right = (figure(leaf, counted(leaf, view)) for leaf in sides)
    if not (is_number(left) and is_number(right)):
        return False
    return passes({spec["op"]: written(right) * written(spec.get("factor", 1))}, written(left), {})


KINDS: Final[Mapping[str, Callable[[Condition, View], bool]]] = {
    "all": lambda condition, view: all(holds(part, view) for part in condition["all"]),
    "any": lambda condition, view: any(holds(part, view) for part in condition["any"]),
    "none": lambda condition, view: not any(holds(part, view) for part in condition["none"]),
    "not": lambda condition, view: not holds(condition["not"], view),
    "at_least": lambda condition, view: (
        sum(holds(part, view) for part in condition["at_least"]["of"]) >= condition["at_least"]["count"]
    ),
    "trait": trait,
    "did": measured,
    "aggregate": lambda condition, view: measured(condition["aggregate"], view),
    "together": together,
    "sequence": sequence,
    "absent": absent,
    "first_time": first_time,
    "stopped": stopped,
    "restarted": restarted,
    "regularly": regularly,
    "compare": compare,
    "time": lambda condition, view: clock_shows(condition["time"], view.at),
    "date": stands,
    "geo": geo,
    "sample": sample,
    "list": lambda condition, view: condition["list"] in view.listed,
    "consent": lambda condition, view: consents(condition["consent"], view),
    "cluster": cluster,
    "score": score,
    "session": session,
    "segment": lambda condition, view: view.in_segment(condition["segment"]),
}
