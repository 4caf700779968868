"""Where identity is verified, whoever knows somebody's ids can neither read nor change that somebody's profile."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest

from functions.evaluate.evaluate import Evaluator
from segue.domain import rules
from segue.domain.document import decode_state, state_path
from segue.domain.message import LINK_REQUESTED, EventsReceived, LinkRequested
from segue.domain.profile import ProfileRef, profile_key
from tests.functions.ingesting import NOW, Ingest, ingesting

SITE_SECRET = "what the site's backend signs with"  # noqa: S105  # the tests' own
VERIFIED = {"identity": "verified", "identity_secrets": ["site"]}
ENVIRONMENT = {"SEGUE_IDENTITY_SECRETS": msgspec.json.encode({"site": SITE_SECRET}).decode()}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(tmp_path, source=VERIFIED, environment=ENVIRONMENT) as site:
        yield site


def token(user_id: str, **claims: Any) -> str:
    return jwt.encode({"sub": user_id, "exp": NOW // 1_000 + 3_600, **claims}, SITE_SECRET, algorithm="HS256")


def call(kind: str = "identify", *, proof: str | None = None, **fields: Any) -> Mapping[str, Any]:
    named = {"event": "Order Completed"} if kind == "track" else {}
    return {"type": kind, "anonymousId": "a-1", **named, "context": {"identityToken": proof}, **fields}


async def profiles(site: Ingest) -> list[str]:
    """Whose events were published, and who was asked to be linked to whom."""
    return [
        f"{each.anonymous} is {each.profile}" if isinstance(each, LinkRequested) else str(each.profile)
        for each in await site.published()
    ]


async def test_a_token_is_believed(site: Ingest) -> None:
    await site.post("/v1/identify", call(userId="ruth", proof=token("ruth")))
    assert await profiles(site) == ["user_id:ruth", "anonymous_id:a-1 is user_id:ruth"]


async def test_it_may_come_with_the_envelope_or_in_a_header(site: Ingest) -> None:
    tracked = {"type": "track", "event": "Order Completed", "userId": "ruth", "anonymousId": "a-1"}
    await site.post("/v1/batch", {"batch": [tracked], "context": {"identityToken": token("ruth")}})
    await site.post("/v1/track", tracked, **{"x-segue-identity": token("ruth")})
    assert await profiles(site) == ["user_id:ruth", "user_id:ruth"]


async def test_it_is_kept_nowhere(site: Ingest) -> None:
    proof = token("ruth")
    refused = {"type": "nothing", "context": {"identityToken": proof}}
    body = {"batch": [call(userId="ruth", proof=proof), refused], "context": {"identityToken": proof}}
    await site.post("/v1/batch", body)
    messages = await site.messages()
    assert {each.type for each in messages} >= {"segue.events.received", "segue.events.refused"}
    assert not [each for each in messages if b"identityToken" in each.data or proof.encode() in each.data]


@pytest.mark.parametrize("proof", [None, "x.y.z", token("saul"), jwt.encode({"sub": "ruth", "exp": 1}, SITE_SECRET)])
async def test_without_a_proof_a_call_is_the_anonymous_visitors(site: Ingest, proof: str | None) -> None:
    assert (await site.post("/v1/identify", call(userId="ruth", proof=proof))).status_code == 200
    (received,) = await site.published()
    assert isinstance(received, EventsReceived)
    assert (str(received.profile), received.proven) == ("anonymous_id:a-1", False)
    assert received.events[0].user_id is None


async def test_a_user_id_that_nothing_proves_is_no_visitor_at_all(site: Ingest) -> None:
    answer = await site.post("/v1/identify", call(userId="ruth", anonymousId=None))
    assert answer.status_code == 400
    assert "nothing proves the userId" in answer.json()["message"]


@pytest.mark.parametrize(
    "attack",
    [
        call("alias", userId="mallory", previousId="a-victim", proof=token("mallory")),
        call("identify", userId="mallory", anonymousId="a-victim", proof=token("mallory", anonymous_id="a-1")),
        call("alias", userId="ruth", previousId="a-1"),
        call("identify", userId="ruth", proof=token("mallory")),
    ],
)
async def test_only_the_visitor_that_a_call_came_with_becomes_the_user_that_is_proven(
    site: Ingest, attack: Mapping[str, Any]
) -> None:
    await site.post(f"/v1/{attack['type']}", attack)
    assert LINK_REQUESTED not in {each.type for each in await site.messages()}


VICTIM = ProfileRef("user_id", "ruth")


async def evaluated(site: Ingest) -> None:
    """Let everything that was accepted have its effect."""
    evaluator = Evaluator(site.platform.ports, site.platform.catalogs)
    for message in await site.messages():
        await evaluator(message)


async def state(site: Ingest, profile: ProfileRef) -> rules.State:
    stored = await site.platform.ports.store.get(
        state_path(profile_key(site.platform.settings.profile_secret, profile))
    )
    return rules.decode(decode_state(stored.data).state) if stored else rules.empty()


async def test_who_knows_all_ids_of_a_user_changes_nothing_of_the_profile_and_hears_nothing_of_it(site: Ingest) -> None:
    await site.post("/v1/track", call("track", messageId="m-1"))
    await site.post("/v1/identify", call(userId="ruth", proof=token("ruth")))
    await evaluated(site)
    before = await state(site, VICTIM)
    assert "completed-buyer" in before.memberships

    site.clock.advance(1_000)
    for attack in (
        call("track"),
        call("track", userId="ruth"),
        call("track", userId="ruth", proof=token("mallory")),
        call("identify", userId="ruth", traits={"name": "Mallory"}),
        call("identify", userId="mallory", proof=token("mallory")),
        call("alias", userId="mallory", previousId="a-1", proof=token("mallory")),
        call("alias", userId="mallory", previousId="ruth", proof=token("mallory")),
        call("alias", userId="ruth", previousId="a-2", anonymousId="a-2"),
    ):
        answer = await site.post(f"/v1/{attack['type']}", attack)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    await evaluated(site)
    assert await state(site, VICTIM) == before
    mallory = await state(site, ProfileRef("user_id", "mallory"))
    assert "completed-buyer" not in mallory.memberships


async def test_a_guessed_message_id_suppresses_no_event_of_somebody_else(site: Ingest) -> None:
    await site.post("/v1/track", call("track", anonymousId="a-mallory", messageId="m-1"))
    await site.post("/v1/identify", call(userId="mallory", anonymousId="a-mallory", proof=token("mallory")))
    await site.post("/v1/track", call("track", messageId="m-1"))
    await site.post("/v1/identify", call(userId="ruth", proof=token("ruth")))
    await evaluated(site)
    assert "completed-buyer" in (await state(site, VICTIM)).memberships
