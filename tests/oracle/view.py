"""What a condition sees of a visitor at one instant, and what all kinds ask of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segue.domain.event import Event
from tests.oracle.calendar import turn
from tests.oracle.operators import where_holds
from tests.oracle.values import duration, instant

Condition = Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """What conditions refer to by name, and how long nothing happens once a session is over, in milliseconds."""

    scores: Mapping[str, Condition] = field(default_factory=dict)
    computed: Mapping[str, Condition] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    session_gap: int = 1_800_000

    def named(self, condition: Condition) -> list[Condition]:
        """The definitions that a condition refers to by name, not counting those that they refer to."""
        paths = [condition[kind] for kind in ("trait", "date") if kind in condition]
        test = condition.get("is")
        paths += [one["ref"] for one in test.values() if isinstance(one, dict)] if isinstance(test, dict) else []
        names = [path.partition(".")[0] for path in paths]
        names += [condition["score"]] if "score" in condition else []
        if "cluster" in condition:
            names += [path.partition(".")[0] for path in self.models[condition["cluster"]["model"]]["features"]]
        return [terms[name] for terms in (self.computed, self.scores) for name in names if name in terms]


@dataclass(frozen=True)
class View:
    """What there is to see of a visitor at one instant.

    `events` are those that occurred by then and count, by (occurred_at, received_at, message_id); `in_segment` says
    whether the visitor is in another segment at the same instant; `listed` are the static lists with the visitor on
    them today, `granted_unsaid` the purposes that count as granted until something is said of them, `terms` what
    conditions refer to by name.
    """

    at: int
    events: Sequence[Event]
    in_segment: Callable[[str], bool]
    listed: Collection[str]
    granted_unsaid: Collection[str]
    terms: Terms

    @property
    def traits(self) -> dict[str, Any]:
        """What the newest identify said of each trait."""
        traits: dict[str, Any] = {}
        for event in self.events:
            traits |= event.traits
        return traits


def order(event: Event) -> tuple[int, int, str]:
    """The order that `latest`, `first` and traits go by."""
    return event.occurred_at, event.received_at, event.message_id


def selects(selector: str | Condition, event: Event) -> bool:
    """Whether the event has the name, or the name and the properties, that are asked for."""
    if isinstance(selector, str):
        return selector in ("*", event.name)
    return selects(selector["did"], event) and where_holds(selector.get("where", {}), event.properties)


def in_window(window: Condition, at: int) -> Callable[[Event], bool]:
    """Whether an event lies in the window that the leaf has at this instant; without one, in all the time before it."""
    if "within" in window:
        return lambda event: at - duration(window["within"]) < event.occurred_at <= at
    if "ago" in window:
        far, near = map(duration, window["ago"])
        return lambda event: at - far < event.occurred_at <= at - near
    if "since" in window:
        since = instant(window["since"])
        return lambda event: since is not None and since <= event.occurred_at <= at
    if "calendar" in window:
        begins = turn(at, window["calendar"], 1 - window["calendar"].get("last", 1))
        return lambda event: begins <= event.occurred_at <= at
    return lambda event: event.occurred_at <= at
