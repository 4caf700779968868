"""Deliver exports the members of segments into buckets: files first, a manifest last, and nothing that is not there."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from obstore.store import MemoryStore

from functions.deliver.audience import Exporter, due
from functions.deliver.deliver import ATTEMPTS
from segue.domain import audience
from segue.domain.audience import ROWS, Manifest
from segue.domain.destination import Storage
from segue.domain.errors import Conflict
from segue.domain.membership import Transition
from segue.domain.message import AUDIENCE_DUE, AUDIENCES_DUE, MEMBERSHIPS, AudienceDue, MembershipChanged
from segue.domain.profile import ProfileRef, profile_key
from segue.domain.time import DAY, HOUR
from segue.ports import Message
from tests.functions.pushing import CATALOG, NOW, SETTINGS, Pushing, changed, pushing, snapshot

ADS: Mapping[str, Any] = {
    "storage": {"provider": "s3", "bucket": "audiences", "prefix": "segue/", "secret": "ads", "hashed": False},
    "segments": ["buyer"],
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Pushing]:
    async with pushing(tmp_path) as site:
        await site.publish_catalog(destinations={"crm": CATALOG["destinations"]["crm"], "ads": ADS})
        yield site


async def become(site: Pushing, buyers: Iterable[str], *, leaving: Iterable[str] = ()) -> None:
    """These users are buyers from now on, and those no longer."""
    for users, intervals in ((buyers, {"buyer": ((site.clock.now(), None),)}), (leaving, {})):
        await site.embedded.archive.append(MEMBERSHIPS, [_snapshot(site, user, intervals) for user in users])


def _snapshot(site: Pushing, user: str, intervals: Any) -> Message:
    profile, now = ProfileRef("user_id", user), site.clock.now()
    return snapshot(
        MembershipChanged(
            key=profile_key(SETTINGS.profile_secret, profile),
            profile=profile,
            seq=now - NOW + 1,
            catalog=1,
            at=now,
            known_until=None,
            memberships=intervals,
            transitions=(),
        )
    )


async def waiting(site: Pushing) -> list[Message]:
    return await site.published("retry-ads")


async def exported(site: Pushing) -> list[int]:
    """Push the schedule's message, and whatever comes of it; the statuses."""
    known = len(await waiting(site))
    statuses = [await site.push("deliver", site.message(AUDIENCES_DUE, b"{}"))]
    while len(messages := await waiting(site)) > known:
        known += 1
        statuses.append(await site.push("deliver", messages[known - 1]))
    return statuses


def bucket(site: Pushing) -> MemoryStore:
    return site.buckets["audiences"]


def manifest(site: Pushing) -> Manifest:
    return audience.decode(bytes(bucket(site).get("segue/buyer/manifest.json").bytes()))


def members(site: Pushing) -> set[str]:
    """Who is a member by all files of the manifest, each of which is there and whole."""
    known = manifest(site)
    contents = []
    for export in known.exports:
        for file in export.files:
            data = bytes(bucket(site).get(f"segue/buyer/{file.path}").bytes())
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
            contents.append(audience.unpacked(known, export.kind, data))
    found = audience.told(contents, "")
    assert known.newest.members == len(found)
    return found


def kinds(site: Pushing) -> list[str]:
    return [export.kind for export in manifest(site).exports]


def paths(site: Pushing) -> set[str]:
    return {each["path"] for page in bucket(site).list() for each in page}


async def test_all_members_come_first_and_then_what_changed_and_after_a_day_all_again(site: Pushing) -> None:
    await become(site, ["ada", "ben"])
    assert await exported(site) == [204, 204, 204]
    assert (kinds(site), members(site)) == (["full"], {"ada", "ben"})
    site.clock.advance(HOUR)
    await become(site, ["carla"], leaving=["ada"])
    await exported(site)
    assert (kinds(site), members(site)) == (["full", "delta"], {"ben", "carla"})
    assert [(file.entered, file.exited) for file in manifest(site).newest.files] == [(1, 1)]
    site.clock.advance(HOUR)
    await exported(site)
    assert (kinds(site), manifest(site).newest.files) == (["full", "delta", "delta"], ())
    site.clock.advance(DAY)
    await exported(site)
    assert (kinds(site), members(site)) == (["full"], {"ben", "carla"})


async def test_the_same_export_again_changes_nothing(site: Pushing) -> None:
    await become(site, ["ada"])
    await exported(site)
    before = manifest(site), paths(site)
    await exported(site)
    assert (manifest(site), paths(site)) == before


async def test_an_erased_member_exits_and_is_in_no_later_full_file(site: Pushing) -> None:
    await become(site, ["ada", "ben"])
    await exported(site)
    await site.embedded.archive.erase({profile_key(SETTINGS.profile_secret, ProfileRef("user_id", "ada")): NOW})
    site.clock.advance(HOUR)
    await exported(site)
    assert (kinds(site), members(site)) == (["full", "delta"], {"ben"})
    site.clock.advance(DAY)
    await exported(site)
    (file,) = manifest(site).newest.files
    assert (file.entered, members(site)) == (1, {"ben"})


async def test_files_that_are_gone_or_altered_are_made_up_for_by_a_full_export(site: Pushing) -> None:
    await become(site, ["ada"])
    await exported(site)
    for spoil in (lambda path: bucket(site).delete(path), lambda path: bucket(site).put(path, b"another")):
        (file,) = manifest(site).newest.files
        spoil(f"segue/buyer/{file.path}")
        site.clock.advance(HOUR)
        await exported(site)
        assert (kinds(site), members(site)) == (["full"], {"ada"})


async def test_another_identifier_begins_with_all_members(site: Pushing) -> None:
    await become(site, ["ada"])
    await exported(site)
    changed = {**ADS, "storage": {**ADS["storage"], "hashed": True}}
    await site.publish_catalog(destinations={"ads": changed})
    site.clock.advance(HOUR)
    await exported(site)
    assert (kinds(site), members(site)) == (["full"], {hashlib.sha256(b"ada").hexdigest()})
    assert manifest(site).identifier == "user_id_sha256"


def exporter(site: Pushing, rows: int = ROWS) -> Exporter:
    return Exporter(site.ports.archive, site.ports.objects, rows)


async def steps(site: Pushing, at: int, rows: int = 2) -> AsyncIterator[AudienceDue]:
    """The steps of an export in files of so many rows: what is to be done after each."""
    catalog = (await site.catalogs.current()).catalog
    (export,) = due(catalog, at)
    following: AudienceDue | None = export
    while following:
        following = await exporter(site, rows).step(catalog, following)
        if following:
            yield following


@pytest.mark.slow
async def test_an_export_in_parts_goes_on_from_any_of_them_and_ends_as_one(site: Pushing) -> None:
    everybody = {f"user-{number}" for number in range(20)}
    await become(site, everybody)
    done = [each.progress.parts_done async for each in steps(site, NOW) if each.progress]
    assert done == [*range(1, 17)]  # two a file: sixteen files for twenty
    assert members(site) == everybody
    site.clock.advance(HOUR)
    await become(site, ["late"], leaving=["user-3"])
    async for each in steps(site, NOW + HOUR):
        if each.progress and each.progress.parts_done == 7:
            break
    assert kinds(site) == ["full"]
    assert [_ async for _ in steps(site, NOW + HOUR)]
    assert members(site) == everybody - {"user-3"} | {"late"}


async def test_an_export_whose_bucket_changes_meanwhile_begins_anew_in_the_other(site: Pushing) -> None:
    await become(site, ["ada", "ben", "carla"])
    (begun, _) = [each async for each in _taken(steps(site, NOW), 2)]
    moved = {**ADS, "storage": {**ADS["storage"], "bucket": "elsewhere"}}
    await site.publish_catalog(destinations={"ads": moved})
    site.clock.advance(HOUR)
    assert await site.push("deliver", site.message(AUDIENCE_DUE, begun)) == 204
    for again in await waiting(site):
        await site.push("deliver", again)
    site.buckets["audiences"] = site.buckets["elsewhere"]
    assert members(site) == {"ada", "ben", "carla"}


async def test_of_two_exporters_at_once_one_is_first_and_the_other_begins_anew(site: Pushing) -> None:
    await become(site, ["ada"])
    await exported(site)
    site.clock.advance(HOUR)
    slow = [each async for each in _taken(steps(site, NOW + HOUR + 1), 1)]
    await become(site, ["ben"])
    site.clock.advance(HOUR)
    assert [_ async for _ in steps(site, NOW + 2 * HOUR - 1)]
    catalog = (await site.catalogs.current()).catalog
    assert await exporter(site).step(catalog, slow[0]) is None
    assert (kinds(site), members(site)) == (["full", "delta"], {"ada", "ben"})


async def test_a_manifest_takes_the_place_only_of_the_one_that_was_read(site: Pushing) -> None:
    await become(site, ["ada"])
    catalog = (await site.catalogs.current()).catalog
    storage = Storage.model_validate(ADS["storage"])
    (first,) = [each async for each in _taken(steps(site, NOW), 1)]
    assert first.progress
    await exporter(site).step(catalog, first)
    known = manifest(site)
    late = audience.completed(None, "ads", "buyer", storage, first.progress, NOW + 1)
    with pytest.raises(Conflict):
        await site.ports.objects.put(storage, "buyer/manifest.json", audience.encode(late), first.progress.base)
    assert manifest(site) == known


async def _taken(found: AsyncIterator[AudienceDue], count: int) -> AsyncIterator[AudienceDue]:
    for _ in range(count):
        yield await anext(found)


async def test_a_bucket_that_fails_is_tried_again_later_and_holds_up_no_webhook(site: Pushing) -> None:
    site.bucket_fails = True
    assert await exported(site) == [204, 204, 503]
    *_, again = await waiting(site)
    postponed = msgspec.json.decode(again.data, type=AudienceDue)
    assert (postponed.attempt, postponed.not_before > NOW) == (1, True)
    entered = Transition(segment="buyer", transition="entered", at=NOW, seq=1, definition="d1", reason="event")
    assert await site.push("deliver", snapshot(changed(2, transitions=(entered,)))) == 204
    assert [body["segment"] for body in site.receiver.bodies("crm")] == ["buyer"]
    site.bucket_fails = False
    site.clock.advance(postponed.not_before - site.clock.now())
    await become(site, ["ada"])
    assert await site.push("deliver", again) == 204


async def test_an_export_that_can_never_succeed_is_recorded_and_can_be_put_back(site: Pushing) -> None:
    export = AudienceDue(destination="gone", segment="buyer", at=NOW, attempt=ATTEMPTS - 1)
    assert await site.push("deliver", site.message(AUDIENCE_DUE, export)) == 204
    (failed,) = await site.failed()
    assert (failed.stage, failed.topic, failed.type) == ("deliver", "retry-gone", AUDIENCE_DUE)
    assert "no storage destination" in failed.reason
    assert msgspec.json.decode(failed.data, type=AudienceDue).attempt == 0
