"""Sessions: maximal runs of messages with short gaps, and what can be asked of one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.operators import passes
from tests.oracle.traits import in_milliseconds
from tests.oracle.values import MISSING, elements, identity, look_up
from tests.oracle.view import Condition, View, selects

MOST_VALUES: Final = 1_000


def session(condition: Condition, view: View) -> bool:
    """Whether something of this session, or of the last one that has ended, compares."""
    which, _, field = condition["session"].partition(".")
    messages = sessions(view)[which]
    test = in_milliseconds(condition["is"]) if field == "duration" else condition["is"]
    return passes(test, asked(field, condition, messages) if messages else MISSING, {})


def sessions(view: View) -> Mapping[str, Sequence[Event]]:
    """The messages of the session that goes on, and of the last one that has ended."""
    runs: list[list[Event]] = []
    for event in view.events:
        if runs and event.occurred_at - runs[-1][-1].occurred_at < view.terms.session_gap:
            runs[-1].append(event)
        else:
            runs.append([event])
    ended = [run for run in runs if view.at - run[-1].occurred_at >= view.terms.session_gap]
    going_on = runs[len(ended) :]
    return {"this": going_on[0] if going_on else [], "last": ended[-1] if ended else []}


def asked(field: str, condition: Condition, messages: Sequence[Event]) -> Any:
    """What is asked of a session."""
    name, _, path = field.partition(".")
    if name in FIGURES:
        return FIGURES[name](path, condition, messages)
    for event in messages:
        for place in PLACES[name]:
            value = look_up({"properties": event.properties, "context": event.context}, place)
            if value is not MISSING and (name != "entry_page" or event.name == "Page Viewed"):
                return look_up({"it": value}, f"it.{path}".rstrip("."))
    return MISSING


def chosen(condition: Condition, messages: Sequence[Event]) -> list[Event]:
    """Those of the messages that are asked about."""
    selector = {"did": condition.get("of", "*"), "where": condition.get("where", {})}
    return [event for event in messages if selects(selector, event)]


def distinct(path: str, condition: Condition, messages: Sequence[Event]) -> int:
    """How many different values a property has."""
    values = [value for event in chosen(condition, messages) for value in elements(look_up(event.properties, path))]
    return min(MOST_VALUES, len({identity(value) for value in values}))


FIGURES: Final[Mapping[str, Callable[[str, Condition, Sequence[Event]], int]]] = {
    "duration": lambda _path, _condition, messages: messages[-1].occurred_at - messages[0].occurred_at,
    "events": lambda _path, condition, messages: len(chosen(condition, messages)),
    "pages": lambda _path, _condition, messages: sum(event.name == "Page Viewed" for event in messages),
    "distinct": distinct,
}

PLACES: Final = {
    "entry_page": ("properties.path", "context.page.path"),
    "referrer": ("context.page.referrer", "properties.referrer"),
    "referral": ("context.referrer",),
    "campaign": ("context.campaign",),
    "browser": ("context.browser",),
    "device": ("context.device",),
    "os": ("context.os",),
    "bot": ("context.bot",),
    "locale": ("context.locale",),
    "timezone": ("context.timezone",),
    "country": ("context.location.country",),
    "region": ("context.location.region",),
    "city": ("context.location.city",),
}
"""Where a message says it: the session has it from its first message that does."""
