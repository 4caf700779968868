"""Slots through lookup: from the public document alone, or with one read more where content is the visitor's own."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from segue.domain.errors import Unavailable
from segue.domain.message import MEMBERSHIPS, MembershipChanged
from segue.domain.time import HOUR
from segue.ports import Document, Store
from tests.functions.looking_up import ReadAlone, Site, looking_up

SCHEMA = {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "string"}}}}

SLOTS: dict[str, Any] = {
    "offer": {
        "name": "Offer",
        "variants": [
            {
                "name": "shoes",
                "when": {"did": "Product Viewed", "where": {"category": "shoes"}, "within": "1h"},
                "cap": {"times": 2, "within": "1d"},
                "content": {"text": "Shoes"},
            }
        ],
        "default": {"text": "Hello"},
    },
    "recent": {
        "name": "Recent",
        "schema": SCHEMA,
        "variants": [
            {
                "name": "yours",
                "when": {"trait": "seen", "is": {"exists": True}},
                "content": {"items": []},
                "bind": {"items": {"computed": "seen"}},
            }
        ],
        "default": {"items": []},
    },
    "tried": {
        "name": "Tried",
        "variants": [{"name": "bold", "experiment": "headline", "arm": "bold", "content": {"text": "BOLD"}}],
        "default": {"text": "plain"},
    },
}
COMPUTED = {"seen": {"unique_list": "product_id", "of": "Product Viewed"}}
EXPERIMENTS = {"headline": {"name": "Headline", "status": "running", "arms": [{"id": "plain"}, {"id": "bold"}]}}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with looking_up(tmp_path, published=False) as site:
        await site.publish(slots=SLOTS, computed=COMPUTED, experiments=EXPERIMENTS)
        yield site


class Counting(ReadAlone):
    """A store that notes what is read of it, and has no states where it is told so."""

    def __init__(self, store: Store, *, states: bool = True) -> None:
        self._store = store
        self._states = states
        self.read: list[str] = []

    async def get(self, path: str) -> Document | None:
        self.read.append(path.split("/")[0])
        if path.startswith("states/") and not self._states:
            raise Unavailable(f"{path}: the store is down")
        return await self._store.get(path)


async def decided(client: httpx.AsyncClient, slot: str, visitor: str = "ann") -> Any:
    question = {"profile": {"anonymous_id": visitor}, "slots": [slot], "deadline_ms": 10_000}
    answer = await client.post("/v1/decide", json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()[slot]


async def views(site: Site, slot: str, variant: str) -> None:
    await site.happens("ann", "Content Viewed", slot=slot, variant=variant)


async def test_a_condition_of_a_variant_is_known_ahead_and_costs_no_read(site: Site) -> None:
    await site.happens("ann", "Product Viewed", category="shoes", product_id="s1")
    store = Counting(site.embedded.store)
    client = site.instance(store)
    site.clock.advance(HOUR - 1)
    assert (await decided(client, "offer"))["reason"] == "targeting_match"
    site.clock.advance(1)
    assert (await decided(client, "offer"))["reason"] == "default"
    assert store.read == ["profiles", "profiles"]


async def test_a_cap_counts_what_pages_tell_of_the_variant(site: Site) -> None:
    await site.happens("ann", "Product Viewed", category="shoes", product_id="s1")
    shown = []
    for _ in range(3):
        decision = await decided(site.http, "offer")
        shown.append((decision["variant"], decision["reason"]))
        await views(site, "offer", decision["variant"])
    assert shown == [("shoes", "targeting_match"), ("shoes", "targeting_match"), ("default", "capped")]


async def test_content_of_the_visitors_own_costs_one_read_more_and_only_where_it_is_shown(site: Site) -> None:
    store = Counting(site.embedded.store)
    client = site.instance(store)
    await site.happens("ann", "Page Viewed")
    assert (await decided(client, "recent"))["content"] == {"items": []}
    assert store.read == ["profiles"]
    await site.happens("ann", "Product Viewed", product_id="s1")
    await site.happens("ann", "Product Viewed", product_id="s2")
    assert await decided(client, "recent") == {
        "content": {"items": ["s1", "s2"]},
        "variant": "yours",
        "reason": "targeting_match",
    }
    assert store.read == ["profiles", "profiles", "states"]


async def test_values_that_do_not_come_leave_what_the_content_says(site: Site) -> None:
    await site.happens("ann", "Product Viewed", product_id="s1")
    decision = await decided(site.instance(Counting(site.embedded.store, states=False)), "recent")
    assert decision == {"content": {"items": []}, "variant": "yours", "reason": "targeting_match"}


async def test_nobody_is_told_of_what_has_no_name(site: Site) -> None:
    await site.happens("ann", "Product Viewed", category="shoes", product_id="s1")
    await views(site, "offer", "shoes")
    await views(site, "offer", "shoes")
    told = [msgspec.json.decode(each.message.data, type=MembershipChanged) for each in await announced(site)]
    assert {transition.segment for each in told for transition in each.transitions} == {"new-visitor", "casual-browser"}
    assert "/offer/shoes/capped" in told[-1].memberships
    assert [each["id"] for each in (await site.segments("ann"))["segments"]] == ["casual-browser", "new-visitor"]
    listed = (await site.http.get("/v1/segments")).json()["segments"]
    assert not [each for each in listed if each["id"].startswith("/")]
    why = await site.http.get("/v1/profiles/anonymous_id:ann/segments/%2Foffer%2Fshoes%2Fwhen/why")
    assert why.status_code == 404
    exported = (await site.http.get("/v1/profiles/anonymous_id:ann")).json()
    assert {*exported["segments"]} == {"new-visitor", "casual-browser"}


async def test_open_pages_are_told_of_conditions_but_not_that_what_was_looked_at_has_been(site: Site) -> None:
    await site.happens("ann", "Page Viewed")
    await site.happens("ann", "Product Viewed", category="shoes")
    shoes = msgspec.json.decode((await announced(site))[-1].message.data, type=MembershipChanged)
    await views(site, "offer", "shoes")
    await views(site, "offer", "shoes")
    capped = msgspec.json.decode((await announced(site))[-1].message.data, type=MembershipChanged)
    assert [(each.decides_anew, "/offer/shoes/capped" in each.memberships) for each in (shoes, capped)] == [
        (True, False),
        (False, True),
    ]


async def announced(site: Site) -> Sequence[Any]:
    return await site.embedded.bus.after(f"update:{MEMBERSHIPS}", 0, 1_000)


async def test_who_takes_part_in_an_experiment_is_told_of_it_with_what_to_send(site: Site) -> None:
    decision = await decided(site.http, "tried", "v0")
    assert (decision["variant"], decision["reason"], decision["content"]) == ("bold", "experiment", {"text": "BOLD"})
    experiment = decision["experiment"]
    assert (experiment["id"], experiment["arm"]) == ("headline", "bold")
    assert experiment["exposure"]["event"] == "Experiment Viewed"
    assert (await decided(site.http, "tried", "v5"))["experiment"]["arm"] == "plain"
