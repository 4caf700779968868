"""No login flips a variant: whoever is asked about by a name gets the same arms before, during and after it."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
import pytest

from functions.evaluate.evaluate import LARGEST_DOCUMENT, Evaluator
from functions.evaluate.fold import folded
from functions.evaluate.link import Pair, joined
from functions.evaluate.work import Work
from segue.catalogs import Catalogs, compiled
from segue.domain.document import StateDocument
from segue.domain.event import Event
from segue.domain.experiment import Experiment, assigned, bucketing_id
from segue.domain.links import Ledger
from segue.domain.message import EVENTS_RECEIVED, LINK_REQUESTED, EventsReceived, LinkRequested
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import Message, PublishedCatalog
from tests.functions.looking_up import NOW, Site, looking_up

Received: TypeAlias = EventsReceived | LinkRequested

ARMS = {"hero": "ab", "footer": "abc", "search": "abcd", "checkout": "ab"}

EXPERIMENTS: Mapping[str, Any] = {
    id_: {"name": id_, "status": "running", "arms": [{"id": arm} for arm in arms]} for id_, arms in ARMS.items()
}

SLOTS: Mapping[str, Any] = {
    f"slot-{id_}": {
        "name": id_,
        "schema": {"type": "object", "properties": {"arm": {"type": "string"}}},
        "variants": [{"name": arm, "experiment": id_, "arm": arm, "content": {"arm": arm}} for arm in arms],
        "default": {"arm": "none"},
    }
    for id_, arms in ARMS.items()
}


class World(Protocol):
    """What takes messages in, and answers who gets which arms."""

    def key_of(self, profile: ProfileRef) -> str: ...

    async def receive(self, message: Received) -> None: ...

    async def arms(self, user: ProfileRef | None, anonymous: ProfileRef | None) -> Sequence[str]:
        """The arm of each experiment for whom a question names so."""
        ...


class Pure:
    """The decisions that evaluate and lookup carry out, without them."""

    def __init__(self) -> None:
        self._states: dict[str, StateDocument] = {}
        self._catalog = compiled(PublishedCatalog(1, msgspec.json.encode({})))
        self._experiments = {id_: Experiment.model_validate(each) for id_, each in EXPERIMENTS.items()}

    def key_of(self, profile: ProfileRef) -> str:
        return profile_key(b"a secret", profile)

    async def arms(self, user: ProfileRef | None, anonymous: ProfileRef | None) -> Sequence[str]:
        profile = user or anonymous
        assert profile
        state = self._states.get(self.key_of(profile))
        state = self._states[state.redirect.key] if state and state.redirect else state
        drawn_by = bucketing_id(profile, anonymous.value if anonymous else None, state.bucketing_id if state else None)
        found = [assigned(id_, each, drawn_by) for id_, each in self._experiments.items()]
        return [each.arm for each in found if each]

    async def receive(self, message: Received) -> None:
        """As evaluate does, but for what follows a redirect: that changes nobody's bucket."""
        before = self._states.get(message.key)
        match message:
            case EventsReceived() if before is None or before.redirect is None:
                delivery = message.events[0].message_id
                work = Work(key=message.key, delivery=delivery, profile=message.profile, events=message.events)
                after = folded(work, before, self._catalog, LARGEST_DOCUMENT)
                self._states |= {message.key: after.document} if after else {}
            case LinkRequested():
                anonymous = self._states.get(message.anonymous_key)
                if anonymous is None or anonymous.redirect is None:
                    pair = Pair(message, None, anonymous, None, before, None, Ledger(profile=message.profile))
                    both = joined(message, pair, self._catalog, None)
                    self._states[message.key] = both.known.document
                    self._states[message.anonymous_key] = both.anonymous.document


class Real:
    """Evaluate, update and lookup at work, asked over HTTP for slots that experiments fill."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._evaluate = Evaluator(site.ports, Catalogs(site.ports.catalog, site.clock))
        self._messages = 0

    def key_of(self, profile: ProfileRef) -> str:
        return profile_key(self._site.settings.profile_secret, profile)

    async def arms(self, user: ProfileRef | None, anonymous: ProfileRef | None) -> Sequence[str]:
        named = {each.kind: each.value for each in (user, anonymous) if each}
        answer = await self._site.http.post(
            "/v1/decide", json={"profile": named, "slots": [*SLOTS], "deadline_ms": 9_000}
        )
        assert answer.status_code == 200, answer.text
        return [decision["content"]["arm"] for decision in answer.json().values()]

    async def receive(self, message: Received) -> None:
        self._messages += 1
        kind = EVENTS_RECEIVED if isinstance(message, EventsReceived) else LINK_REQUESTED
        data = msgspec.json.encode(message)
        await self._evaluate(Message(id=f"m{self._messages}", type=kind, source="//t", time=NOW, data=data))
        if self._messages % 2:
            await self._site.update()


class Visitor:
    """Somebody who looks around anonymously and then logs in, and what they were first shown by each name."""

    def __init__(self, number: int, world: World, chance: random.Random) -> None:
        self._user = ProfileRef("user_id", f"user-{number}")
        self._anonymous = ProfileRef("anonymous_id", f"visitor-{number}")
        self._elsewhere = ProfileRef("anonymous_id", f"other device-{number}")
        self._world = world
        self._chance = chance
        self._events = 0

    async def keeps_their_arms(self) -> bool:
        """Whether all that the visitor is shown is the same, from the first page to the last."""
        before = self._chance.choice([[], [self._seen(self._user)], self._login(self._elsewhere)])
        for message in before:
            await self._world.receive(message)
        first = await self._world.arms(None, self._anonymous)
        known = await self._world.arms(self._user, None) if before else first
        during = [self._seen(self._anonymous), *self._login(self._anonymous)]
        self._chance.shuffle(during)
        for message in [*during, self._chance.choice(during)]:
            await self._world.receive(message)
            if await self._world.arms(None, self._anonymous) != first:
                return False
            if await self._world.arms(self._user, self._anonymous) != first:
                return False
        return await self._world.arms(self._user, None) == known

    def _seen(self, profile: ProfileRef, **ids: str) -> Received:
        self._events += 1
        named: dict[str, Any] = {profile.kind: profile.value, **ids}
        id_ = f"{self._user.value} {self._events}"
        event = Event(message_id=id_, name="Page Viewed", occurred_at=NOW, received_at=NOW, **named)
        return EventsReceived(key=self._world.key_of(profile), profile=profile, source="shop", events=(event,))

    def _login(self, anonymous: ProfileRef) -> list[Received]:
        """What ingest makes of the call that identifies the anonymous visitor."""
        link = LinkRequested(
            key=self._world.key_of(self._user),
            profile=self._user,
            anonymous_key=self._world.key_of(anonymous),
            anonymous=anonymous,
            source="shop",
            message_id="login",
            at=NOW,
        )
        return [self._seen(self._user, anonymous_id=anonymous.value), link]


async def flipped(world: World, logins: int) -> list[int]:
    """The logins, of so many, that change what the visitor is shown."""
    chance = random.Random(7)
    return [n for n in range(logins) if not await Visitor(n, world, chance).keeps_their_arms()]


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    async with looking_up(tmp_path) as site:
        await site.publish(experiments=EXPERIMENTS, slots=SLOTS)
        yield Real(site)


async def test_no_login_flips_a_variant() -> None:
    assert await flipped(Pure(), 100) == []


async def test_no_login_flips_a_variant_on_a_platform(real: Real) -> None:
    assert await flipped(real, 10) == []


@pytest.mark.slow
async def test_ten_thousand_logins_flip_no_variant() -> None:
    assert await flipped(Pure(), 10_000) == []


@pytest.mark.slow
async def test_ten_thousand_logins_flip_no_variant_on_a_platform(real: Real) -> None:
    assert await flipped(real, 10_000) == []
