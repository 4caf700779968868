"""What the simulated world is given to do: a catalogue, visitors, an import, ticks, and a destination's moods."""

from collections.abc import Mapping
from typing import Any

import msgspec

from segue import catalogs
from segue.domain.errors import Unavailable
from segue.domain.event import Event
from segue.domain.message import (
    ERASURES,
    EVENTS,
    EVENTS_RECEIVED,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    PROFILE_ERASED,
    TICK,
    TICKS,
    ClockName,
    EventsReceived,
    LinkRequested,
    LinkWithdrawn,
    ProfileErased,
    Tick,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE, SECOND
from segue.ports import Bus, Message
from tests.simulation.ports import Cloud
from tests.simulation.world import Instance, World

GRACE = 10 * SECOND
STORM = 25 * MINUTE
"""So short that nothing is folded more than the lateness (an hour) after a newer event."""

PROFILES = tuple(ProfileRef("anonymous_id", name) for name in ("ada", "bob", "cleo"))
IMPORTED = ProfileRef("user_id", "42")
USERS = tuple(ProfileRef("user_id", name) for name in ("ruth", "saul"))
"""Whom the anonymous visitors turn out to be."""

SEGMENTS: Mapping[str, Any] = {
    "viewer": {"when": {"did": "Product Viewed", "count": {"ge": 2}, "within": "10m"}},
    "intent": {
        "when": {
            "together": {
                "within": "10m",
                "of": [{"did": "Video Content Playing", "where": {"progress": {"gt": 0.75}}}, {"did": "Product Added"}],
            }
        },
        "stays": "2h",
        "until": {"did": "Order Completed", "within": "2h"},
    },
    "abandoner": {
        "when": {"absent": {"after": "Product Added", "without": "Order Completed", "for": "5m", "within": "3h"}}
    },
    "buyer": {"when": {"did": "Order Completed", "within": "1h"}},
    "spender": {"when": {"aggregate": {"of": "Order Completed", "sum": "revenue", "within": "2h", "is": {"ge": 100}}}},
    "undecided": {"when": {"all": [{"segment": "viewer"}, {"not": {"segment": "buyer"}}]}},
}
LATER_SEGMENTS = {name: SEGMENTS[name] for name in SEGMENTS if name != "spender"} | {
    "quiet": {"when": {"not": {"did": "Product Viewed", "count": {"ge": 2}, "within": "10m"}}},
    "keen": {"when": {"did": "Product Viewed", "count": {"ge": 3}, "within": "3h"}, "stays": "1h"},
}
"""The second version: one segment less, one more that needs nothing new measured, and one that looks further back."""

DESTINATIONS: Mapping[str, Any] = {
    "crm": {"webhook": {"url": "https://crm.example/segue", "secret": "hook"}},
    "ads": {"webhook": {"url": "https://ads.example/segue", "secret": "hook"}, "segments": ["viewer", "buyer"]},
}

EVENT_NAMES = ("Product Viewed", "Product Viewed", "Product Added", "Order Completed", "Video Content Playing")


def slot(within: str) -> Mapping[str, Any]:
    """A slot whose condition looks back so far: it is known ahead like a segment, and told to nobody."""
    variant = {"name": "again", "when": {"did": "Product Viewed", "within": within}, "content": {}}
    return {"name": "Hero", "variants": [variant], "default": {}}


def definitions(version: int) -> bytes:
    """What is published as the first version, and then as the second."""
    segments = SEGMENTS if version == 1 else LATER_SEGMENTS
    named = {name: {"name": name, **segment} for name, segment in segments.items()}
    documents = {
        "segments": named,
        "slots": {"hero": slot("20m" if version == 1 else "2h")},
        "destinations": DESTINATIONS,
        "settings": {"grace": "10s"},
    }
    return msgspec.json.encode(documents)


class Workload:
    """Offers the world what happens outside of Segue, and keeps the log's own clock for the import."""

    def __init__(self, world: World, cloud: Cloud, secret: bytes) -> None:
        self._world = world
        self._cloud = cloud
        self._client = Instance("client", 0)
        self._bus: Bus = cloud.ports(self._client).bus
        self._secret = secret
        self._events = 0
        self._messages = 0
        self.log_now = world.now
        self.ticked: dict[ClockName, int] = {}
        """When each clock ticked last."""

    def storm(self, visits: int) -> None:
        """Offer visits, parts of an import, erasures, poison and ticks (some missed, some twice) over 25 minutes."""
        for _ in range(visits):
            delay = self._world.random.randrange(STORM)
            visit = self._import if self._world.chance(0.25) else self._visit
            self._world.offer(visit, delay=delay)
        for _ in range(self._world.random.choice((0, 1, 1, 2))):
            self._world.offer(self._identify, delay=self._world.random.randrange(STORM))
        if self._world.chance(0.25):
            self._world.offer(self._erase, delay=self._world.random.randrange(STORM))
        for delay in range(0, STORM, 12 * MINUTE):
            for _ in range(self._world.random.choice((0, 1, 1, 1, 2))):
                self._world.offer(self.tick, delay=delay)
        if self._world.chance(0.3):
            self._world.offer(self._poison, delay=self._world.random.randrange(STORM))

    def publish_catalogue(self, version: int) -> None:
        self._world.note(f"catalogue {version} is published")
        if self._cloud.catalog is None:
            self._cloud.publish_catalogue(definitions(version), 0)
        else:
            self._world.start(self._publish(definitions(version)), _must_succeed)

    async def _publish(self, data: bytes) -> None:
        """Again until it is there; what took effect without an answer is not published twice."""
        while True:
            try:
                await catalogs.publish(self._cloud.ports(self._client).catalog, data)
                return
            except Unavailable:
                continue

    def tick(self) -> None:
        """The wall's time, and the log's, have come to where they are."""
        ticks: tuple[tuple[ClockName, int], ...] = (("wall", self._world.now), ("import", self.log_now))
        self.ticked = dict(ticks)
        for clock, at in ticks:
            data = msgspec.json.encode(Tick(at=at, clock=clock))
            self._cloud.publish(TICKS, [self._message(TICK, data)])

    def _visit(self) -> None:
        profile = self._world.random.choice((*PROFILES, *PROFILES, *USERS))
        events = [self._event(late=self._world.random.choice((0, 0, 0, 1))) for _ in range(self._size())]
        self._world.start(self._send(profile, events, imported=False), _must_succeed)

    def _identify(self) -> None:
        """An anonymous visitor turns out to be a user: perhaps one of two, perhaps before anything else is known."""
        request = LinkRequested(
            key=profile_key(self._secret, user := self._world.random.choice(USERS)),
            profile=user,
            anonymous_key=profile_key(self._secret, visitor := self._world.random.choice(PROFILES)),
            anonymous=visitor,
            source="shop",
            message_id="identify",
            at=self._world.now,
        )
        message = self._message(LINK_REQUESTED, msgspec.json.encode(request))
        self._world.start(self._publish_surely(EVENTS, message), _must_succeed)
        if self._world.chance(0.3):
            self._world.offer(lambda: self._withdraw(request), delay=self._world.random.randrange(STORM))

    def _withdraw(self, request: LinkRequested) -> None:
        """It turns out to be wrong."""
        withdrawal = LinkWithdrawn(
            key=request.key,
            profile=request.profile,
            anonymous_key=request.anonymous_key,
            anonymous=request.anonymous,
            at=self._world.now,
        )
        message = self._message(LINK_WITHDRAWN, msgspec.json.encode(withdrawal))
        self._world.start(self._publish_surely(EVENTS, message), _must_succeed)

    def _erase(self) -> None:
        """A visitor asks to be forgotten, and goes on."""
        profile = self._world.random.choice((*PROFILES, *USERS))
        erased = ProfileErased(key=profile_key(self._secret, profile), at=self._world.now)
        message = self._message(PROFILE_ERASED, msgspec.json.encode(erased))
        self._world.start(self._publish_surely(ERASURES, message), _must_succeed)

    async def _publish_surely(self, topic: str, message: Message) -> None:
        while True:
            try:
                await self._bus.publish(topic, [message])
                return
            except Unavailable:
                continue

    def _import(self) -> None:
        """The next lines of a log, which count as received when they occurred."""
        events = []
        for _ in range(self._size()):
            self.log_now += self._world.random.randrange(2 * MINUTE)
            events.append(msgspec.structs.replace(self._event(late=0), occurred_at=self.log_now))
        self._world.start(self._send(IMPORTED, events, imported=True), _must_succeed)

    def _size(self) -> int:
        return self._world.random.choice((1, 1, 2, 4))

    def _event(self, late: int) -> Event:
        self._events += 1
        random = self._world.random
        return Event(
            message_id=f"event-{self._events}",
            name=random.choice(EVENT_NAMES),
            occurred_at=self._world.now - late * random.randrange(20 * MINUTE),
            received_at=0,
            properties={"progress": random.choice((0.5, 0.9)), "revenue": random.choice((30, 80))},
        )

    async def _send(self, profile: ProfileRef, events: list[Event], *, imported: bool) -> None:
        """As a client does, and ingest: again with the same events until it is accepted, and now and then once more."""
        more = 1 + (self._world.random.random() < 0.2)
        while more:
            try:
                await self._bus.publish(EVENTS, [self._received(profile, events, imported)])
                more -= 1
            except Unavailable:
                self._world.note("client: tries again")

    def _received(self, profile: ProfileRef, events: list[Event], imported: bool) -> Message:
        stamped = tuple(
            msgspec.structs.replace(event, received_at=event.occurred_at if imported else self._world.now)
            for event in events
        )
        key = profile_key(self._secret, profile)
        received = EventsReceived(
            key=key,
            profile=profile,
            source="shop",
            events=stamped,
            imported=imported,
            proven=profile.kind == "user_id" or self._world.random.random() < 0.7,
        )
        return self._message(EVENTS_RECEIVED, msgspec.json.encode(received))

    def _poison(self) -> None:
        self._cloud.publish(EVENTS, [self._message(EVENTS_RECEIVED, b'{"key": "no key at all"}')])

    def _message(self, kind: str, data: bytes) -> Message:
        self._messages += 1
        return Message(id=f"message-{self._messages}", type=kind, source="//test", time=self._world.now, data=data)


def _must_succeed(error: BaseException | None) -> None:
    if error:
        raise error
