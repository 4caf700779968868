"""Of each trait it is known which call of which source said so, and since when it was so."""

from typing import Any

from segue.domain.event import Event
from segue.domain.message import EventsReceived
from segue.domain.profile import ProfileRef
from segue.domain.provenance import traits

RUTH = ProfileRef("user_id", "ruth")


def said(id_: str, at: int, source: str = "shop", received_at: int = 0, **values: Any) -> EventsReceived:
    event = Event(message_id=id_, name="Identified", occurred_at=at, received_at=received_at or at, traits=values)
    return EventsReceived(key="a" * 32, profile=RUTH, source=source, events=(event,))


def found(*messages: EventsReceived) -> dict[str, tuple[Any, str, str, int]]:
    return {
        name: (each.value, each.source, each.message_id, each.occurred_at) for name, each in traits(messages).items()
    }


def test_the_newest_counts_whatever_order_messages_come_in_and_whoever_sent_it() -> None:
    first, second = said("m-1", 1, plan="free", city="Paris"), said("m-2", 2, source="crm", plan="paid")
    wanted = {"city": ("Paris", "shop", "m-1", 1), "plan": ("paid", "crm", "m-2", 2)}
    assert found(first, second) == found(second, first) == wanted


def test_null_removes() -> None:
    assert found(said("m-1", 1, plan="free"), said("m-2", 2, plan=None)) == {}


def test_of_the_same_instant_what_was_received_later_counts_and_then_the_id() -> None:
    earlier, later = said("m-9", 1, received_at=5, plan="free"), said("m-1", 1, received_at=6, plan="paid")
    assert found(later, earlier)["plan"][2] == "m-1"
    assert found(said("m-2", 1, plan="b"), said("m-1", 1, plan="a"))["plan"][2] == "m-2"


def test_a_copy_counts_once_as_it_was_received_first() -> None:
    assert found(said("m-1", 1, received_at=9, plan="copy"), said("m-1", 1, plan="free"))["plan"][0] == "free"
