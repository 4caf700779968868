"""A catalogue is published while profiles have states: what answers meanwhile, and how all are brought up to it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from segue import catalogs
from segue.catalogs import Compiled
from segue.domain import sweep
from segue.domain.edition import Edition
from segue.domain.errors import Invalid
from segue.domain.membership import covers
from segue.domain.message import EVENTS, SWEEPS, TICK
from segue.domain.time import HOUR, MINUTE, SECOND
from tests.functions.pushing import ADA, CATALOG, KEY, Pushing, pushing

KEEN: Mapping[str, Any] = {"name": "Keen", "when": {"did": "Product Viewed", "count": {"ge": 2}, "within": "1h"}}
SHY: Mapping[str, Any] = {"name": "Shy", "when": {"not": {"did": "Order Completed", "within": "10m"}}}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        yield site


async def publish(site: Pushing, **segments: Mapping[str, Any]) -> Compiled:
    """Publish the catalogue of the tests with more segments, and let every instance see it."""
    documents = {**CATALOG, "segments": {**CATALOG["segments"], **segments}}
    published = catalogs.compiled(await catalogs.publish(site.embedded.catalog, msgspec.json.encode(documents)))
    site.restart()
    return published


async def happens(site: Pushing, *names: str, archived: bool = True) -> None:
    """Something the visitor does, in one message."""
    message = site.received(*(site.event(name) for name in names))
    assert await site.push("evaluate", message) == 204
    if archived:
        await site.embedded.archive.append(EVENTS, [message])


async def tick(site: Pushing) -> list[int]:
    """Let time go on and tick; what is answered to the sweeps that it leads to."""
    site.clock.advance(10 * SECOND)
    before = len(await site.published(SWEEPS))
    message = site.message(TICK, b'{"clock": "wall"}', id=f"tick-{site.clock.now()}")
    assert await site.push("tick", message) == 204
    site.restart()
    return [await site.push("evaluate", each) for each in (await site.published(SWEEPS))[before:]]


async def members(site: Pushing) -> set[str]:
    """The segments that the visitor was last announced to be in."""
    newest = (await site.announced())[-1]
    return {name for name, spans in newest.memberships.items() if covers(spans, newest.at)}


@pytest.mark.parametrize("before", [None, Edition(definitions=CATALOG)], ids=["the first", "the next"])
@pytest.mark.parametrize(
    "broken",
    [
        {"segments": {"viewer": {"name": "Viewer", "when": {"did": 5}}}},
        {"slots": {"hero": {"name": "Hero", "schema": {"type": "array"}, "default": {}}}},
        {
            "slots": {
                "hero": {"name": "Hero", "default": {}, "variants": [{"name": "a", "segment": "b", "content": {}}]}
            }
        },
    ],
    ids=["a condition", "a schema", "a name"],
)
def test_broken_definitions_are_not_published_for_functions_believe_what_is(
    before: Edition | None, broken: Mapping[str, Any]
) -> None:
    with pytest.raises(Invalid):
        catalogs.succession(before, msgspec.json.encode(broken))


async def test_what_needs_nothing_new_is_in_force_at_once(site: Pushing) -> None:
    await happens(site, "Page Viewed")
    published = await publish(site, shy=SHY)
    assert (published.version, published.prepared, published.waiting) == (2, None, frozenset())
    await happens(site, "Page Viewed")
    assert await members(site) == {"shy"}


async def test_quiet_visitors_are_brought_up_to_it_too(site: Pushing) -> None:
    await happens(site, "Page Viewed")
    await publish(site, shy=SHY)
    assert await tick(site) == [204]
    assert await members(site) == {"shy"}
    assert await tick(site) == []


async def test_what_was_never_measured_is_filled_from_the_archive_and_then_in_force(site: Pushing) -> None:
    await happens(site, "Product Viewed", "Product Viewed")
    published = await publish(site, keen=KEEN, shy=SHY)
    assert (published.version, {*published.waiting}) == (2, {"keen"})
    await happens(site, "Order Completed")
    assert await members(site) == {"viewer", "buyer"}
    assert await tick(site) == [204]
    assert await members(site) == {"viewer", "buyer"}
    assert await tick(site) == []
    current = await site.embedded.catalog.current()
    assert current
    assert (current.version, catalogs.compiled(current).waiting) == (3, frozenset())
    assert await tick(site) == [204]
    assert await members(site) == {"viewer", "buyer", "keen"}
    assert (await site.counts()).folded == 3


async def test_what_happens_while_it_is_filled_counts_once(site: Pushing) -> None:
    await happens(site, "Product Viewed")
    await publish(site, keen=KEEN)
    await tick(site)
    await happens(site, "Product Viewed")
    await tick(site)
    await tick(site)
    assert await members(site) == {"viewer", "keen"}
    assert (await site.counts()).folded == 2


async def test_nobody_is_filled_before_the_archive_has_all_that_was_folded(site: Pushing) -> None:
    await publish(site, keen=KEEN)
    site.clock.advance(MINUTE)
    await publish(site)
    await happens(site, "Product Viewed", archived=False)
    await publish(site, keen=KEEN)
    assert await tick(site) == [503]
    assert (await site.state()).prepared is None


async def test_a_visitor_who_was_missed_is_folded_anew_with_the_next_message(site: Pushing) -> None:
    await happens(site, "Product Viewed")
    published = await publish(site, keen=KEEN)
    await catalogs.finish(site.embedded.catalog, published.version)
    site.restart()
    await happens(site, "Product Viewed")
    assert await members(site) == {"viewer", "keen"}
    assert (await site.counts()).folded == 2


async def test_of_two_that_are_published_the_newer_is_filled(site: Pushing) -> None:
    await happens(site, "Product Viewed", "Product Viewed")
    await publish(site, keen=KEEN)
    await tick(site)
    often = {"name": "Often", "when": {"did": "Product Viewed", "within": "2h"}}
    published = await publish(site, often=often)
    assert (published.version, {*published.waiting}) == (3, {"often"})
    for _ in range(4):
        await tick(site)
    assert await members(site) == {"viewer", "often"}
    assert (await site.state()).catalog == 4


async def test_a_sweep_that_is_over_is_not_begun_again(site: Pushing) -> None:
    await happens(site, "Page Viewed")
    await publish(site, shy=SHY)
    for _ in range(3):
        await tick(site)
    site.clock.advance(HOUR)
    assert await tick(site) == []
    stored = await site.embedded.store.get(sweep.PATH)
    assert stored
    assert sweep.decode(stored.data).done


async def test_sweeping_twice_brings_a_profile_up_once(site: Pushing) -> None:
    await happens(site, "Page Viewed")
    await publish(site, shy=SHY)
    await tick(site)
    announced = len(await site.announced())
    (told,) = await site.published(SWEEPS)
    assert await site.push("evaluate", told) == 204
    assert len(await site.announced()) == announced
    assert (await site.state(KEY)).profile == ADA
