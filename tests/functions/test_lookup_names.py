"""A question may name a user and the anonymous visitor they were a moment ago: neither content nor arms are lost."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from segue.domain.catalog import key_hash
from segue.domain.experiment import Experiment, assigned
from segue.domain.profile import ProfileRef
from segue.domain.time import MINUTE
from segue.domain.visitor_token import issued
from tests.functions.looking_up import SECRET_KEY, Site, looking_up

HERO = "hero"
ARMS = [{"id": "control"}, {"id": "large"}]
EXPERIMENTS: Mapping[str, Any] = {"banner": {"name": "Banner", "status": "running", "arms": ARMS}}
SEGMENTS: Mapping[str, Any] = {"keen": {"name": "Keen", "when": {"did": "Product Added", "within": "1d"}}}
SOURCES: Mapping[str, Any] = {"shop": {"name": "Shop", "secret_keys": [key_hash(SECRET_KEY)]}}
SLOTS: Mapping[str, Any] = {
    "hero": {"name": "Hero", "variants": [{"name": "welcome", "segment": "keen", "content": {}}], "default": {}},
    "banner": {
        "name": "Banner",
        "variants": [{"name": "large", "experiment": "banner", "arm": "large", "content": {"size": "large"}}],
        "default": {"size": "small"},
    },
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path, published=False) as site:
        await publish(site, EXPERIMENTS)
        yield site


async def publish(site: Site, experiments: Mapping[str, Any]) -> None:
    definitions = {"sources": SOURCES, "segments": SEGMENTS, "slots": SLOTS, "experiments": experiments}
    await site.embedded.catalog.publish(msgspec.json.encode(definitions))


async def decided(site: Site, slot: str, *, key: str | None = None, **question: Any) -> Any:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    auth = httpx.Auth() if key else httpx.USE_CLIENT_DEFAULT
    body = {"slots": [slot], "deadline_ms": 5_000, **question}
    answer = await site.http.post("/v1/decide", json=body, headers=headers, auth=auth)
    assert answer.status_code == 200, answer.text
    return answer.json()[slot]


def arm_of(bucketing_id: str) -> str:
    found = assigned("banner", Experiment.model_validate(EXPERIMENTS["banner"]), bucketing_id)
    assert found
    return found.arm


def drawn(arm: str) -> str:
    """An id that is drawn into this arm."""
    return next(f"v{number}" for number in range(100) if arm_of(f"v{number}") == arm)


async def test_while_the_user_is_unknown_the_visitor_answers_and_then_the_user(site: Site) -> None:
    await site.happens("anna", "Product Added")
    both = {"user_id": "ruth", "anonymous_id": "anna"}
    assert (await decided(site, HERO, profile=both))["variant"] == "welcome"
    assert (await decided(site, HERO, profile={"user_id": "ruth"}))["reason"] == "unknown_visitor"
    await site.happens("ruth", "Page Viewed", kind="user_id")
    site.clock.advance(2 * 24 * 60 * MINUTE)
    assert (await decided(site, HERO, profile=both))["reason"] == "default"


async def test_what_the_visitor_did_is_waited_for_though_the_user_is_named_too(site: Site) -> None:
    added = await site.happens("anna", "Product Added")
    found = await decided(site, HERO, profile={"user_id": "ruth", "anonymous_id": "anna"}, after=added)
    assert (found["variant"], found["includes_after"]) == ("welcome", True)


@pytest.mark.parametrize("absent", [None, "", " "])
async def test_an_id_that_is_blank_is_as_good_as_not_named(site: Site, absent: str | None) -> None:
    await site.happens("anna", "Product Added")
    named = {"user_id": absent, "anonymous_id": "anna"}
    assert (await decided(site, HERO, profile=named))["variant"] == "welcome"


@pytest.mark.parametrize("arm", ["control", "large"])
async def test_experiments_go_by_the_anonymous_id_wherever_it_is_named(site: Site, arm: str) -> None:
    visitor, user = drawn(arm), drawn("control" if arm == "large" else "large")
    for named in ({"anonymous_id": visitor}, {"anonymous_id": visitor, "user_id": user}):
        assert (await decided(site, "banner", profile=named))["experiment"]["arm"] == arm
        asked = {"context": {**named, "segue_deadline_ms": 5_000}}
        flag = (await site.http.post("/ofrep/v1/evaluate/flags/banner", json=asked)).json()
        assert (flag["reason"], flag["metadata"]["arm"]) == ("SPLIT", arm)
    assert (await decided(site, "banner", profile={"user_id": user}))["experiment"]["arm"] != arm


async def test_a_browser_that_names_its_anonymous_id_keeps_its_arms_and_is_told_of_nobody_else(site: Site) -> None:
    await site.happens("v0", "Product Added")
    ruth = ProfileRef("user_id", "ruth")
    key = issued(site.settings.profile_secret, ruth, site.clock.now(), 10 * MINUTE).token
    visitor = drawn("control" if arm_of("ruth") == "large" else "large")
    found = await decided(site, "banner", key=key, profile={"anonymous_id": visitor})
    assert found["experiment"]["arm"] == arm_of(visitor) != arm_of("ruth")
    nosy = await decided(site, HERO, key=key, profile={"anonymous_id": "v0"})
    assert nosy == await decided(site, HERO, key=key)


async def test_a_decision_has_the_exposure_to_send_whatever_the_arm(site: Site) -> None:
    for arm in ("control", "large"):
        found = await decided(site, "banner", profile={"anonymous_id": drawn(arm)})
        assert found["content"] == {"size": "large" if arm == "large" else "small"}
        assert found["experiment"]["exposure"]["event"] == "Experiment Viewed"
        assert found["experiment"]["exposure"]["properties"]["variation_id"] == arm


async def test_a_flag_has_what_an_exposure_is_made_of_while_one_is_owed(site: Site) -> None:
    visitor = drawn("large")
    asked = {"context": {"anonymous_id": visitor, "segue_deadline_ms": 5_000}}
    exposure = (await decided(site, "banner", profile={"anonymous_id": visitor}))["experiment"]["exposure"]
    flag = (await site.http.post("/ofrep/v1/evaluate/flags/banner", json=asked)).json()
    assert flag["metadata"] == {
        "segue_reason": "experiment",
        "experiment": "banner",
        "arm": "large",
        "arm_name": "large",
        "experiment_name": "Banner",
        "exposure_id": exposure["messageId"],
    }
    won = {"banner": EXPERIMENTS["banner"] | {"status": "stopped", "winner": "large"}}
    await publish(site, won)
    site.clock.advance(2 * MINUTE)
    flag = (await site.http.post("/ofrep/v1/evaluate/flags/banner", json=asked)).json()
    assert flag["metadata"] == {"segue_reason": "experiment", "experiment": "banner", "arm": "large"}


async def test_whoever_fulfils_the_condition_of_an_experiment_takes_part_in_it(site: Site) -> None:
    keen = {"banner": EXPERIMENTS["banner"] | {"when": {"did": "Product Added", "within": "10m"}}}
    await publish(site, keen)
    visitor = {"anonymous_id": drawn("large")}
    assert "experiment" not in await decided(site, "banner", profile=visitor)
    await site.happens(visitor["anonymous_id"], "Product Added")
    assert (await decided(site, "banner", profile=visitor))["experiment"]["arm"] == "large"
    site.clock.advance(10 * MINUTE)
    assert "experiment" not in await decided(site, "banner", profile=visitor)
