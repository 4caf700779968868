"""Whom an archive names as a segment's members, and how: the laptop's, and BigQuery by what stands in for it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from segue.domain.audience import Audience, in_part
from segue.domain.destination import IdentifierName
from segue.domain.event import Event, Json
from segue.domain.membership import Interval
from segue.domain.message import EVENTS_RECEIVED, MEMBERSHIP_CHANGED, EventsReceived, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.rules.kinds.person import CONSENT_CHANGED
from segue.ports import Archive, Message
from tests.contracts.test_archive import ARCHIVES

SECRET = b"a secret of the tests"
NOW = 1_715_342_400_000
EVER: tuple[Interval, ...] = ((1, None),)
ADA, BEN, CARLA = (ProfileRef("user_id", name) for name in ("ada", "ben", "carla"))
SLOW = pytest.mark.slow
PHONE, LAPTOP = (ProfileRef("anonymous_id", name) for name in ("phone", "laptop"))


@pytest.fixture(params=["in the tail", pytest.param("sealed", marks=SLOW), pytest.param("bigquery", marks=SLOW)])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    async with ARCHIVES[request.param](tmp_path) as archive:
        yield archive


def key(profile: ProfileRef) -> str:
    return profile_key(SECRET, profile)


def snapshot(profile: ProfileRef, *spans: Interval, seq: int = 1, at: int = 1, into: ProfileRef | None = None) -> Any:
    data = MembershipChanged(
        key=key(profile),
        profile=profile,
        seq=seq,
        catalog=1,
        at=at,
        known_until=None,
        memberships={"s": spans} if spans else {},
        transitions=(),
        into=key(into) if into else None,
        into_since=at if into else None,
    )
    name = f"{profile}:{seq}"
    return Message(id=name, type=MEMBERSHIP_CHANGED, source="//test", time=at, data=msgspec.json.encode(data))


def said(profile: ProfileRef, at: int = 1, name: str = "Identified", **fields: Any) -> Message:
    event = Event(message_id=f"{profile}{at}", name=name, occurred_at=at, received_at=at, **fields)
    data = EventsReceived(key=key(profile), profile=profile, source="shop", events=(event,))
    return Message(id=f"{profile}{at}", type=EVENTS_RECEIVED, source="//test", time=at, data=msgspec.json.encode(data))


async def named(
    archive: Archive, identifier: IdentifierName = "user_id", hashed: bool = False, at: int = 10, **more: Any
) -> list[str]:
    asked = Audience(segment="s", identifier=identifier, hashed=hashed, **more)
    return [*await archive.audience(asked, at, "")]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_members_are_those_of_the_instant_in_half_open_intervals(archive: Archive) -> None:
    #   ada  [10 ------- 20)      said at 15: ada [10 -- 18)
    #   ben       [12 ---
    await archive.append("memberships", [snapshot(ADA, (10, 20)), snapshot(BEN, (12, None))])
    await archive.append("memberships", [snapshot(ADA, (10, 18), seq=2, at=15)])
    found = {at: await named(archive, at=at) for at in (9, 10, 12, 17, 18, 99)}
    assert found == {9: [], 10: ["ada"], 12: ["ada", "ben"], 17: ["ada", "ben"], 18: ["ben"], 99: ["ben"]}


async def test_nobody_is_a_member_of_an_empty_archive(archive: Archive) -> None:
    assert await named(archive) == []


async def test_a_hash_is_the_sha_256_of_the_identifier(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ADA, *EVER), snapshot(PHONE, *EVER)])
    assert await named(archive, hashed=True) == [digest("ada")]
    assert await named(archive, "anonymous_id", hashed=True) == [digest("phone")]


async def test_a_part_is_told_by_the_first_bits_of_the_hash(archive: Archive) -> None:
    people = [ProfileRef("user_id", f"u{number}") for number in range(40)]
    await archive.append("memberships", [snapshot(each, *EVER) for each in people])
    asked = Audience(segment="s", identifier="user_id", hashed=False)
    for part in ("", "1", "011", "101001"):
        found = await archive.audience(asked, 10, part)
        assert found == sorted(each.value for each in people if in_part(each.value, part))


async def test_a_user_is_named_by_every_browser_that_is_linked(archive: Archive) -> None:
    await archive.append(
        "memberships",
        [
            snapshot(ADA, *EVER),
            snapshot(PHONE, *EVER, seq=1),
            snapshot(PHONE, seq=2, at=2, into=ADA),
            snapshot(LAPTOP, *EVER),
        ],
    )
    assert await named(archive, "anonymous_id") == ["laptop", "phone"]
    assert await named(archive) == ["ada"]


@pytest.mark.parametrize("trait", ["email", "e-mail", "emailAddress"])
async def test_an_address_is_told_as_the_hash_of_its_normal_form(trait: str, archive: Archive) -> None:
    """A source that keeps contact details archives the address, any other its hash: a receiver sees no difference."""
    kept: dict[str, Json] = {trait: " Ada@Shop.Example "}
    await archive.append("events", [said(ADA, traits=kept), said(BEN, traits={trait: digest("ben@shop.example")})])
    await archive.append("memberships", [snapshot(each, *EVER) for each in (ADA, BEN, CARLA)])
    assert await named(archive, "email", hashed=True) == sorted(map(digest, ["ada@shop.example", "ben@shop.example"]))


async def test_the_newest_address_counts_and_null_takes_it_back(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ADA, *EVER), snapshot(BEN, *EVER)])
    await archive.append("events", [said(ADA, 3, traits={"email": "new@x.y"}), said(ADA, 2, traits={"email": "o@x.y"})])
    await archive.append("events", [said(BEN, 2, traits={"email": "b@x.y"}), said(BEN, 3, traits={"email": None})])
    assert await named(archive, "email", hashed=True) == [digest("new@x.y")]
    assert await named(archive, "email", hashed=True, at=2) == sorted(map(digest, ["o@x.y", "b@x.y"]))


async def test_an_address_that_was_said_before_the_login_is_the_users(archive: Archive) -> None:
    await archive.append("events", [said(PHONE, traits={"email": "ada@x.y"})])
    await archive.append("memberships", [snapshot(ADA, *EVER), snapshot(PHONE, seq=2, at=2, into=ADA)])
    assert await named(archive, "email", hashed=True) == [digest("ada@x.y")]


async def test_an_id_that_is_an_address_is_told_as_its_hash_or_not_at_all(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ProfileRef("user_id", "ada@x.y"), *EVER), snapshot(BEN, *EVER)])
    assert await named(archive) == ["ben"]
    assert digest("ada@x.y") in await named(archive, hashed=True)


def consent(profile: ProfileRef, at: int, **purposes: bool) -> Message:
    return said(profile, at, CONSENT_CHANGED, context={"consent": {"categoryPreferences": purposes}})


async def test_who_did_not_consent_or_no_longer_does_is_left_out(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(each, *EVER) for each in (ADA, BEN, CARLA)])
    await archive.append("events", [consent(ADA, 2, ads=True), consent(BEN, 2, ads=True), said(CARLA)])
    await archive.append("events", [consent(BEN, 5, ads=False)])
    found = {at: await named(archive, at=at, purposes=("ads",)) for at in (1, 2, 4, 5)}
    assert found == {1: [], 2: ["ada", "ben"], 4: ["ada", "ben"], 5: ["ada"]}
    assert await named(archive, purposes=("ads", "mail")) == []
    assert await named(archive, purposes=("ads", "mail"), granted_unsaid=("mail",)) == ["ada"]


async def test_a_consent_that_came_later_than_events_may_counts_for_nothing(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ADA, *EVER)])
    message = consent(ADA, 2, ads=True)
    late = msgspec.structs.replace(message, data=message.data.replace(b'"received_at":2', b'"received_at":9'))
    await archive.append("events", [late])
    assert await named(archive, purposes=("ads",), max_age=7) == ["ada"]
    assert await named(archive, purposes=("ads",), max_age=6) == []


async def test_an_erased_member_is_named_no_more(archive: Archive) -> None:
    await archive.append("memberships", [snapshot(ADA, *EVER), snapshot(BEN, *EVER)])
    await archive.erase({key(ADA): NOW})
    assert await named(archive) == ["ben"]
