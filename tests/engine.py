"""The engine as the laws see it: a catalogue's program, and a visitor's state that messages are folded into."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from segue.domain import rules
from segue.domain.event import Event


class Engine:
    """The compiled rules of a catalogue, answering the same question as the oracle."""

    def __init__(
        self,
        catalog: Mapping[str, dict[str, Any]],
        lists: Mapping[str, Collection[str]] = MappingProxyType({}),
        granted_unsaid: Collection[str] = (),
        **terms: Any,
    ) -> None:
        self.program = rules.compile(catalog, lists=lists, granted_unsaid=granted_unsaid, **terms)

    def folded(self, messages: Iterable[Sequence[Event]]) -> rules.State:
        """The state after these messages, folded in the given order from nothing."""
        state = rules.empty()
        for message in messages:
            state = rules.fold(self.program, state, message)
        return state

    def advanced(self, state: rules.State, at: int) -> rules.State:
        """The state when time alone has gone on."""
        return rules.fold(self.program, state, (), at=at)

    def timeline(self, state: rules.State, at: int) -> rules.Timeline:
        """The memberships from an instant on that is not before the state's."""
        return rules.timeline(self.program, state, at)

    def member(self, events: Iterable[Event], segment: str, at: int) -> bool:
        """Whether the visitor is in the segment at the instant, having folded one by one what was received by then."""
        received = sorted((event for event in events if event.received_at <= at), key=lambda event: event.received_at)
        return covers(self.timeline(self.folded([event] for event in received), at), segment, at)


def covers(timeline: rules.Timeline, segment: str, at: int) -> bool:
    """Whether one of the segment's intervals covers the instant."""
    intervals = timeline.memberships.get(segment, ())
    return any(start <= at and (end is None or at < end) for start, end in intervals)
