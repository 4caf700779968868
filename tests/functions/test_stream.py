"""Open pages are told what concerns them and nothing else, and nothing that they missed is missed for good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection

from functions.stream.hub import Limits
from segue.domain.profile import ProfileRef
from tests.functions.streaming import SECRET_KEY, Deployment, streaming

QUICK = Limits(gap=0.0, patience=0.3)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with streaming(tmp_path_factory.mktemp("stream"), QUICK) as deployment:
        yield deployment


@pytest.fixture
def visitors(request: pytest.FixtureRequest) -> Iterator[ProfileRef]:
    """Anonymous visitors whom no other test knows."""
    return (ProfileRef("anonymous_id", f"{request.node.name}-{number}") for number in range(10))


@pytest.fixture
def ann(visitors: Iterator[ProfileRef]) -> ProfileRef:
    return next(visitors)


@pytest.fixture
def ruth(ann: ProfileRef) -> ProfileRef:
    """A user."""
    return ProfileRef("user_id", ann.value)


async def said(socket: ClientConnection) -> Any:
    return msgspec.json.decode(await asyncio.wait_for(socket.recv(), 10))


async def test_a_page_is_told_where_its_visitor_stands_and_then_that_it_has_changed(
    deployment: Deployment, ann: ProfileRef
) -> None:
    async with deployment.of(ann) as page:
        assert page.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert page.response.headers["cache-control"] == "private, no-store"
        stands = await page.told()
        assert (stands.data, len(stands.id), stands.retry in range(1_000, 5_001)) == (None, 16, True)
        await deployment.happens(ann)
        changed = await page.told()
    assert changed.data == {"type": "refetchEvaluation", "etag": changed.id}
    assert changed.id != stands.id


async def test_a_socket_says_the_same(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page, deployment.socket(f"token={deployment.token(ann)}") as socket:
        assert await said(socket) == {"type": "connected", "etag": (await page.told()).id}
        await deployment.happens(ann)
        assert await said(socket) == (await page.told()).data


async def test_what_happens_to_others_is_not_told(deployment: Deployment, visitors: Iterator[ProfileRef]) -> None:
    one, another = next(visitors), next(visitors)
    async with deployment.of(one) as page, deployment.of(another) as other:
        stands = await page.told()
        await deployment.happens(another)
        await other.hint()
        await deployment.happens(one)
        changed = await page.told()
    async with deployment.of(one, lastEventID=changed.id) as page:
        assert (await page.told()).id == changed.id != stands.id


async def test_where_somebody_stands_says_neither_whether_they_are_known_nor_who_they_are(
    deployment: Deployment, visitors: Iterator[ProfileRef]
) -> None:
    known, unknown = next(visitors), next(visitors)
    async with deployment.of(known) as page:
        before = await page.told()
    await deployment.happens(known, news=False)
    async with deployment.of(known) as page, deployment.of(unknown) as other:
        stands, nowhere = await page.told(), await other.told()
    assert before.id == stands.id
    for told, visitor in ((stands, known), (nowhere, unknown)):
        assert (len(told.id), told.id.isalnum(), told.id[:4] in deployment.key(visitor)) == (16, True, False)


async def test_what_time_changes_is_told_when_it_does_though_nobody_announces_it(
    deployment: Deployment, ann: ProfileRef
) -> None:
    """
    ann   ──in sale──────────────┤ ends
    page         ──listens─────────told──
    """
    ends = deployment.platform.ports.clock.now() + 300
    await deployment.happens(ann, news=False, memberships={"sale": ((0, ends),)})
    async with deployment.of(ann) as page:
        stands = await page.told()
        changed = await page.told()
        assert deployment.platform.ports.clock.now() >= ends
    assert changed.data == {"type": "refetchEvaluation", "etag": changed.id}
    async with deployment.of(ann, lastEventID=stands.id) as page:
        assert [(await page.told()).id, (await page.told()).data] == [changed.id, changed.data]


async def test_what_is_known_to_come_later_than_was_told_is_told_then(deployment: Deployment, ann: ProfileRef) -> None:
    """
    ann   ──in sale────┤···············┤ prolonged
    page      ──listens──(not told)──────told──
    """
    now = deployment.platform.ports.clock.now()
    await deployment.happens(ann, news=False, memberships={"sale": ((0, now + 400),)})
    async with deployment.of(ann) as page:
        await page.told()
        await deployment.happens(ann, news=False, memberships={"sale": ((0, now + 700),)})
        await page.told()
        assert deployment.platform.ports.clock.now() >= now + 700


async def test_a_snapshot_in_which_nobody_enters_or_leaves_is_not_told(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        await page.told()
        await deployment.happens(ann, news=False)
        await deployment.happens(ann)
        changed = await page.told()
    async with deployment.of(ann) as page:
        assert (await page.told()).id == changed.id


async def test_what_is_announced_twice_is_told_once(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        await page.told()
        await deployment.happens(ann)
        first = await page.told()
        await deployment.again(ann)
        await deployment.happens(ann)
        second = await page.told()
    async with deployment.of(ann) as page:
        assert (await page.told()).id == second.id != first.id


async def test_who_comes_again_is_told_at_once_of_what_they_missed(deployment: Deployment, ann: ProfileRef) -> None:
    """
    page ──told A──┤                  ├── told B at once
    ann  ──A───────────B (nobody hears)──
    """
    async with deployment.of(ann) as page:
        stands = await page.told()
    await deployment.happens(ann)
    async with deployment.of(ann, {"Last-Event-ID": stands.id}) as page:
        missed = [await page.told(), await page.told()]
    assert [told.data for told in missed] == [None, {"type": "refetchEvaluation", "etag": missed[0].id}]
    async with deployment.of(ann, lastEventID=stands.id) as page:
        assert [await page.told(), await page.told()][1] == missed[1]
    async with deployment.socket(f"token={deployment.token(ann)}&lastEventID={stands.id}") as socket:
        assert [await said(socket), await said(socket)][1] == missed[1].data


async def test_who_comes_again_and_missed_nothing_is_told_nothing(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        stands = await page.told()
    async with deployment.of(ann, {"Last-Event-ID": stands.id}) as page:
        assert (await page.told()).id == stands.id
        await deployment.happens(ann)
        assert (await page.told()).id != stands.id


async def test_the_browsers_own_word_goes_before_that_in_the_address(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        stands = await page.told()
    async with deployment.of(ann, {"Last-Event-ID": stands.id}, lastEventID="older") as page:
        await page.told()
        await deployment.happens(ann)
        assert (await page.told()).id != stands.id


async def test_a_hint_waits_until_a_lookup_sees_what_it_is_about(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        await page.told()
        await deployment.happens(ann, updated=False)
        telling = asyncio.create_task(page.told())
        await asyncio.wait([telling], timeout=0.05)
        assert not telling.done()
        await deployment.again(ann, updated=True)
        changed = await telling
    async with deployment.of(ann) as page:
        assert (await page.told()).id == changed.id


async def test_it_does_not_wait_for_ever(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.of(ann) as page:
        stands = await page.told()
        await deployment.happens(ann, updated=False)
        told = await page.told()
        assert (told.id, told.data["type"]) == (stands.id, "refetchEvaluation")
        await deployment.again(ann, updated=True)
        await deployment.again(ann)
        changed = await page.told()
    async with deployment.of(ann) as page:
        assert (await page.told()).id == changed.id != stands.id


async def test_who_turned_out_to_be_a_user_is_told_of_the_user(
    deployment: Deployment, ann: ProfileRef, ruth: ProfileRef
) -> None:
    await deployment.happens(ruth)
    await deployment.happens(ann, into=ruth)
    async with deployment.of(ann) as page, deployment.of(ruth) as users:
        assert (await page.told()).id == (await users.told()).id
        await deployment.happens(ruth)
        assert (await page.told()).data == (await users.told()).data


async def test_who_turns_out_to_be_a_user_meanwhile_is_told_of_the_user_from_then_on(
    deployment: Deployment, ann: ProfileRef, ruth: ProfileRef
) -> None:
    """
    ann  ──page open──becomes ruth──────
    ruth ─────────────────────────A─────  told
    """
    await deployment.happens(ruth)
    async with deployment.of(ann) as page:
        stands = await page.told()
        await deployment.happens(ann, into=ruth, news=False)
        linked = await page.told()
        await deployment.happens(ruth)
        changed = await page.told()
    assert len({stands.id, linked.id, changed.id}) == 3
    async with deployment.of(ruth) as users:
        assert (await users.told()).id == changed.id


async def test_who_was_not_that_user_after_all_is_told_of_themselves_again(
    deployment: Deployment, ann: ProfileRef, ruth: ProfileRef
) -> None:
    await deployment.happens(ann, into=ruth)
    async with deployment.of(ann) as page:
        await page.told()
        await deployment.happens(ann)
        parted = await page.told()
        await deployment.happens(ruth)
        await deployment.happens(ann)
        changed = await page.told()
    async with deployment.of(ann) as page:
        assert (await page.told()).id == changed.id != parted.id


async def test_a_site_listens_to_any_visitor_with_its_secret_key(deployment: Deployment, ruth: ProfileRef) -> None:
    async with deployment.page({"Authorization": f"Bearer {SECRET_KEY}"}, profile=str(ruth)) as page:
        await page.told()
        await deployment.happens(ruth)
        assert (await page.told()).data["type"] == "refetchEvaluation"


async def test_a_token_may_be_a_bearer_token(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.page({"Authorization": f"Bearer {deployment.token(ann)}"}) as page:
        assert page.response.status_code == 200


async def test_what_a_page_says_is_not_heard(deployment: Deployment, ann: ProfileRef) -> None:
    async with deployment.socket(f"token={deployment.token(ann)}") as socket:
        await said(socket)
        for word in ("{}", b"\x00\xff", "[" * 1_000):
            await socket.send(word)
        await deployment.happens(ann)
        assert (await said(socket))["type"] == "refetchEvaluation"
