"""No login flips a variant: whoever is asked about by a name gets the same arms before, during and after it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import pytest

from functions.evaluate.evaluate import LARGEST_DOCUMENT
from functions.evaluate.fold import folded
from functions.evaluate.link import Pair, joined
from functions.evaluate.work import Work
from segue.catalogs import Compiled, compiled
from segue.domain.document import StateDocument
from segue.domain.event import Event
from segue.domain.experiment import Experiment, assigned, bucketing_id
from segue.domain.links import Ledger
from segue.domain.message import EventsReceived, LinkRequested
from segue.domain.profile import ProfileRef, profile_key
from segue.ports import PublishedCatalog

Received: TypeAlias = EventsReceived | LinkRequested

NOW = 1_715_342_400_000

EXPERIMENTS: Mapping[str, Experiment] = {
    id_: Experiment.model_validate({"name": id_, "status": "running", "arms": [{"id": arm} for arm in arms]})
    for id_, arms in {"hero": "ab", "footer": "abc", "search": "abcd", "checkout": "ab"}.items()
}


def key_of(profile: ProfileRef) -> str:
    return profile_key(b"a secret", profile)


def arms(profile: ProfileRef, anonymous_id: str | None, settled: str | None) -> Sequence[str]:
    """The arm of each experiment for whom a question names so, with what was settled for the user."""
    drawn_by = bucketing_id(profile, anonymous_id, settled)
    found = [assigned(id_, experiment, drawn_by) for id_, experiment in EXPERIMENTS.items()]
    return [each.arm for each in found if each]


class Visitor:
    """Somebody who looks around anonymously and then logs in: their documents, and what they were ever shown."""

    def __init__(self, number: int, chance: random.Random, catalog: Compiled) -> None:
        self.user = ProfileRef("user_id", f"user-{number}")
        self.anonymous = ProfileRef("anonymous_id", f"visitor-{number}")
        self.elsewhere = ProfileRef("anonymous_id", f"other device-{number}")
        self._chance = chance
        self._catalog = catalog
        self._states: dict[str, StateDocument] = {}
        self._shown: dict[ProfileRef, Sequence[str]] = {}
        self._events = 0

    def lives(self) -> bool:
        """Whether all that is shown to the visitor on both sides of the login is the same."""
        known = self._chance.choice(["a stranger", "by their id", "on another device"])
        before: list[Received] = [self.seen(self.user)] if known == "by their id" else []
        if known == "on another device":
            before = self.login(self.elsewhere)
        during: list[Received] = [self.seen(self.anonymous), *self.login(self.anonymous)]
        self._chance.shuffle(during)
        keeps = True
        for message in [*before, None, *during, *during]:
            if message is not None:
                self.receive(message)
            keeps &= self.keeps(self.anonymous)
            keeps &= arms(self.user, self.anonymous.value, self._settled) == self._shown[self.anonymous]
            if key_of(self.user) in self._states:
                keeps &= self.keeps(self.user)
        if known == "a stranger":
            keeps &= arms(self.user, None, self._settled) == self._shown[self.anonymous]
        return keeps

    def keeps(self, profile: ProfileRef) -> bool:
        """Whether the visitor is shown what they were shown first, named so. A lookup of a visitor who is linked leads
        to the user, and to what was settled for them."""
        found = self._states.get(key_of(profile))
        leads_to_user = profile == self.user or (found is not None and found.redirect is not None)
        now = arms(profile, None, self._settled if leads_to_user else None)
        return self._shown.setdefault(profile, now) == now

    @property
    def _settled(self) -> str | None:
        found = self._states.get(key_of(self.user))
        return found.bucketing_id if found else None

    def seen(self, profile: ProfileRef, **ids: str) -> EventsReceived:
        self._events += 1
        named: dict[str, Any] = {profile.kind: profile.value, **ids}
        event = Event(message_id=f"event-{self._events}", name="Page Viewed", occurred_at=NOW, received_at=NOW, **named)
        return EventsReceived(key=key_of(profile), profile=profile, source="shop", events=(event,))

    def login(self, anonymous: ProfileRef) -> list[Received]:
        """What ingest makes of the call that identifies the anonymous visitor."""
        link = LinkRequested(
            key=key_of(self.user),
            profile=self.user,
            anonymous_key=key_of(anonymous),
            anonymous=anonymous,
            source="shop",
            message_id="login",
            at=NOW,
        )
        return [self.seen(self.user, anonymous_id=anonymous.value), link]

    def receive(self, message: Received) -> None:
        """As evaluate does, but for what follows a redirect: that changes nobody's bucket."""
        before = self._states.get(message.key)
        if isinstance(message, EventsReceived):
            if before is None or before.redirect is None:
                work = Work(
                    key=message.key,
                    delivery=message.events[0].message_id,
                    profile=message.profile,
                    events=message.events,
                )
                after = folded(work, before, self._catalog, LARGEST_DOCUMENT)
                self._states |= {message.key: after.document} if after else {}
            return
        anonymous = self._states.get(message.anonymous_key)
        if anonymous and anonymous.redirect:
            return
        pair = Pair(message, None, anonymous, None, before, None, Ledger(profile=message.profile))
        both = joined(message, pair, self._catalog, None)
        self._states |= {message.key: both.known.document, message.anonymous_key: both.anonymous.document}


def flipped(logins: int) -> Iterator[int]:
    """The logins, of so many, that change what the visitor is shown."""
    catalog = compiled(PublishedCatalog(1, msgspec.json.encode({})))
    chance = random.Random(7)
    yield from (number for number in range(logins) if not Visitor(number, chance, catalog).lives())


def test_no_login_flips_a_variant() -> None:
    assert [*flipped(200)] == []


@pytest.mark.slow
def test_ten_thousand_logins_flip_no_variant() -> None:
    assert [*flipped(10_000)] == []
