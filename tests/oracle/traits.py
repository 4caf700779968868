"""Traits: what visitors say of themselves, and what is computed from what they do."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any, Final

from segue.domain.event import Event
from tests.oracle.calendar import first_date, today
from tests.oracle.figures import FIGURES, counted, figure
from tests.oracle.values import MISSING, duration, elements, is_number, look_up, normal
from tests.oracle.view import Condition, Terms, View, in_window, selects

LONGEST_STREAK: Final = 400
LONGEST_TEXT: Final = 200


def known_traits(view: View) -> dict[str, Any]:
    """The traits, those computed in place of what an identify says of the same name."""
    traits = view.traits
    for name, definition in view.terms.computed.items():
        traits[name] = computed(definition, view)
    return {name: value for name, value in traits.items() if value is not MISSING}


def computed(definition: Condition, view: View) -> Any:
    """The value of a computed trait."""
    (kind,) = KINDS.keys() & definition.keys()
    return KINDS[kind](definition, view)


def happened(kind: str, definition: Condition, view: View) -> list[Event]:
    """The events in the window that the definition names under its kind."""
    selector = {"did": definition[kind], "where": definition.get("where", {})}
    inside = in_window(definition, view.at)
    return [event for event in view.events if inside(event) and selects(selector, event)]


def rate(definition: Condition, view: View) -> Fraction:
    """How many there are in so long."""
    count = len(happened("rate", definition, view))
    return Fraction(count * duration(definition["per"]), duration(definition["within"]))


def time_since_last(definition: Condition, view: View) -> Any:
    """Milliseconds since the last one."""
    events = happened("time_since_last", definition, view)
    return view.at - events[-1].occurred_at if events else MISSING


def streak(definition: Condition, view: View) -> int:
    """In how many periods in a row, the current one or the one before being the last."""
    zone, period = definition["tz"], definition["period"]
    active = {first_date(today(event.occurred_at, zone), period, 0) for event in happened("streak", definition, view)}
    day = first_date(today(view.at, zone), period, 0)
    if day not in active:
        day = first_date(day, period, -1)
    length = 0
    while day in active and length < LONGEST_STREAK:
        day, length = first_date(day, period, -1), length + 1
    return length


def written_values(kind: str, definition: Condition, view: View) -> list[set[str]]:
    """Of each event in the window, in order, its different values as JSON text: texts, numbers, true and false."""
    return [
        {text for value in elements(look_up(event.properties, definition[kind])) for text in as_text(value)}
        for event in counted({key: definition[key] for key in definition if key != kind}, view)
    ]


def as_text(value: Any) -> Iterator[str]:
    """The JSON text of a value, if it is short and no object or array."""
    if isinstance(value, str):
        text = json.dumps(normal(value), ensure_ascii=False)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif is_number(value):
        text = str(int(value)) if value == floor(value) else repr(value)
    else:
        return
    if len(text) <= LONGEST_TEXT:
        yield text


def most_frequent(definition: Condition, view: View) -> Any:
    """The value of most events; of several the one whose text is the first."""
    counts = Counter(text for texts in written_values("most_frequent", definition, view) for text in texts)
    best = sorted(text for text in counts if counts[text] == max(counts.values()))
    return json.loads(best[0]) if best else MISSING


def unique_list(definition: Condition, view: View) -> Any:
    """The last different values, in the order in which they were last seen."""
    events = counted({key: definition[key] for key in definition if key != "last"}, view)
    seen: dict[str, int] = {}
    for event, texts in zip(events, written_values("unique_list", definition, view), strict=True):
        seen |= dict.fromkeys(texts, event.occurred_at)
    newest = sorted(seen, key=lambda text: (seen[text], text))[-definition.get("last", 10) :]
    return [json.loads(text) for text in newest] or MISSING


def tally(definition: Condition, view: View) -> Any:
    """How many events each value has, by its text."""
    counts: Counter[str] = Counter()
    for texts in written_values("tally", definition, view):
        counts.update(value if isinstance(value := json.loads(text), str) else text for text in texts)
    return dict(counts) or MISSING


KINDS: Final[Mapping[str, Callable[[Condition, View], Any]]] = {
    "count": lambda definition, view: len(happened("count", definition, view)),
    "rate": rate,
    "time_since_last": time_since_last,
    "streak": streak,
    "most_frequent": most_frequent,
    "unique_list": unique_list,
    "tally": tally,
    **dict.fromkeys(FIGURES, lambda definition, view: figure(definition, counted(definition, view))),
}


def is_time(path: str, terms: Terms) -> bool:
    """Whether the trait is a number of milliseconds."""
    return "time_since_last" in terms.computed.get(path.partition(".")[0], {})


def in_milliseconds(test: Any) -> Any:
    """The test with its durations in milliseconds."""
    if isinstance(test, dict):
        return {name: operand if name == "ref" else in_milliseconds(operand) for name, operand in test.items()}
    if isinstance(test, list):
        return [in_milliseconds(one) for one in test]
    return duration(test) if isinstance(test, str) else test


def trait_steps(condition: Condition, terms: Terms, history: Sequence[Event]) -> Iterator[int]:
    """Where the time since an event can pass a number that it is compared with."""
    test = in_milliseconds(condition["is"]) if is_time(condition["trait"], terms) else condition["is"]
    numbers = {number for operand in operands(test) for number in elements(operand) if is_number(number)}
    for reference in [condition["trait"], *(one["ref"] for one in operands(test) if isinstance(one, dict))]:
        said = [look_up(event.traits, reference) for event in history]
        numbers |= {number for value in said for number in elements(value) if is_number(number)}
    for event in history:
        yield from (event.occurred_at + floor(number) + more for number in numbers for more in (0, 1))


def operands(test: Any) -> list[Any]:
    """What a test compares with."""
    return [test[name] for name in test if name != "ignore_case"] if isinstance(test, dict) else [test]
