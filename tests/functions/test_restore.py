"""A store that was lost, or was put back as it was earlier, is what it was once the archive has been folded into it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.evaluate.rebuild import rebuild
from functions.evaluate.restore import restored
from segue.domain import rules
from segue.domain.document import STATES, StateDocument, decode_state
from segue.domain.errors import Unavailable
from segue.domain.links import LINKS
from segue.domain.membership import Transition
from segue.domain.message import (
    EVENTS,
    LINK_REQUESTED,
    LINK_WITHDRAWN,
    MEMBERSHIPS,
    LinkRequested,
    LinkWithdrawn,
)
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import MINUTE
from segue.ports import Message, Write
from tests.functions.pushing import SETTINGS, Pushing, pushing

ANNA, BEN, RUTH = ProfileRef("anonymous_id", "anna"), ProfileRef("anonymous_id", "ben"), ProfileRef("user_id", "ruth")

Documents = Mapping[str, bytes]
"""What lies in the store, by path."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    """Anna viewed a product and turned out to be Ruth, who had ordered; so did Ben, who was not."""
    async with pushing(tmp_path) as site:
        await does(site, RUTH, "Order Completed")
        for visitor in (ANNA, BEN):
            await does(site, visitor, "Product Viewed")
            asked = LinkRequested(**link(site, visitor), source="shop", message_id=visitor.value)
            await happens(site, site.message(LINK_REQUESTED, asked, id=f"link {visitor}"))
        withdrawn = LinkWithdrawn(**link(site, BEN))
        await happens(site, site.message(LINK_WITHDRAWN, withdrawn, id="unlink"))
        await does(site, BEN, "Product Viewed")
        await does(site, RUTH, "Page Viewed")
        await archive_what_was_announced(site)
        yield site


async def does(site: Pushing, profile: ProfileRef, name: str) -> None:
    await happens(site, site.received(site.event(name), profile=profile))


async def happens(site: Pushing, message: Message) -> None:
    """A message a minute later, archived and evaluated."""
    await site.embedded.archive.append(EVENTS, [message])
    assert await site.push("evaluate", message) == 204
    site.clock.advance(MINUTE)


def link(site: Pushing, visitor: ProfileRef) -> dict[str, Any]:
    """What tells of a link between the visitor and Ruth."""
    return {
        "key": key_of(RUTH),
        "profile": RUTH,
        "anonymous_key": key_of(visitor),
        "anonymous": visitor,
        "at": site.clock.now(),
    }


def key_of(profile: ProfileRef) -> str:
    return profile_key(SETTINGS.profile_secret, profile)


async def archive_what_was_announced(site: Pushing) -> None:
    await site.embedded.archive.append(MEMBERSHIPS, await site.published(MEMBERSHIPS))


async def documents(site: Pushing) -> Documents:
    return {
        f"{collection}/{id_}": stored.data
        for collection in (STATES, LINKS)
        async for id_, stored in site.embedded.store.scan(collection)
    }


async def states(site: Pushing) -> Mapping[str, StateDocument]:
    return {path: decode_state(data) for path, data in (await documents(site)).items() if path.startswith(STATES)}


async def replaced(site: Pushing, wanted: Documents) -> None:
    """Let nothing but these documents lie in the store, for new instances."""
    for path in (await documents(site)).keys() | wanted.keys():
        await site.embedded.store.commit([Write(path=path, data=wanted.get(path))])
    site.restart()


async def restore(site: Pushing) -> list[Transition]:
    """Fold everybody of whom the archive tells anew; what is announced."""
    known = await restored(site.ports, site.catalogs)
    return [each for key in known for each in await rebuild(site.ports, site.catalogs, key, known[key])]


def essence(document: StateDocument) -> object:
    """Of a document what does not tell how it came to be: whose it is, and what it is in until when."""
    state = rules.decode(document.state)
    whose = (document.profile, document.imported, document.linked, document.redirect, document.bucketing_id)
    inside = {name: spans[-1][1] for name, spans in state.memberships.items() if spans}
    return whose, inside, state.counts.folded, state.due


async def test_what_was_lost_comes_back_with_its_links_and_nothing_is_announced_twice(site: Pushing) -> None:
    before = await documents(site)
    stood = await states(site)
    await replaced(site, {})
    assert await restore(site) == []
    after, stand = await documents(site), await states(site)
    assert after.keys() == before.keys()
    assert {path: after[path] for path in after if path.startswith(LINKS)} == {
        path: before[path] for path in before if path.startswith(LINKS)
    }
    assert {path: essence(each) for path, each in stand.items()} == {
        path: essence(each) for path, each in stood.items()
    }
    assert all(rules.decode(stand[path].state).seq > rules.decode(stood[path].state).seq for path in stood)


async def test_what_nobody_was_told_of_before_the_loss_is_announced(site: Pushing) -> None:
    await does(site, BEN, "Order Completed")
    await replaced(site, {})
    (told,) = await restore(site)
    assert (told.segment, told.transition) == ("buyer", "entered")
    (newest,) = [entry for entry in await site.announced() if told in entry.transitions]
    assert newest.profile == BEN


async def test_a_store_as_it_was_earlier_catches_up_with_the_archive(site: Pushing) -> None:
    earlier = await documents(site)
    await does(site, BEN, "Order Completed")
    await archive_what_was_announced(site)
    stood = await states(site)
    await replaced(site, earlier)
    assert await restore(site) == []
    stand = await states(site)
    assert {path: essence(each) for path, each in stand.items()} == {
        path: essence(each) for path, each in stood.items()
    }
    assert all(rules.decode(stand[path].state).seq > rules.decode(stood[path].state).seq for path in stood)


async def test_restoring_what_is_not_lost_changes_nobody(site: Pushing) -> None:
    stood = await states(site)
    assert await restore(site) == []
    assert [essence(each) for each in (await states(site)).values()] == [essence(each) for each in stood.values()]


async def test_who_was_erased_does_not_come_back(site: Pushing) -> None:
    await site.embedded.archive.erase({key_of(BEN): site.clock.now()})
    await replaced(site, {})
    await restore(site)
    assert {str(each.profile) for each in (await states(site)).values()} == {"anonymous_id:anna", "user_id:ruth"}


async def test_who_was_erased_since_a_backup_is_named_for_the_archive_has_nothing_of_them(site: Pushing) -> None:
    earlier = await documents(site)
    await site.embedded.archive.erase({key_of(BEN): site.clock.now()})
    await replaced(site, earlier)
    assert key_of(BEN) not in await restored(site.ports, site.catalogs)
    with pytest.raises(Unavailable, match="the archive has 0 of 2 events"):
        await rebuild(site.ports, site.catalogs, key_of(BEN))
