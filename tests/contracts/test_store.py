"""What a store promises, on every platform."""

import asyncio
from collections.abc import Sequence

import pytest

from segue.domain.errors import Conflict, Rejected, TooLarge
from segue.ports import ABSENT, Document, Store, Write
from tests.contracts.conftest import Platform

PATH = "states/a"


@pytest.fixture
def store(platform: Platform) -> Store:
    return platform.store


async def stored(store: Store, path: str = PATH) -> Document:
    document = await store.get(path)
    assert document is not None
    return document


async def test_what_was_never_written_is_none(store: Store) -> None:
    assert await store.get(PATH) is None


async def test_what_was_written_is_read_byte_for_byte(store: Store) -> None:
    data = bytes(range(256))
    await store.commit([Write(path=PATH, data=data)])
    assert (await stored(store)).data == data


async def test_empty_bytes_are_a_document(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"", expects=ABSENT)])
    assert (await stored(store)).data == b""


async def test_a_document_is_created_once(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"first", expects=ABSENT)])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=b"second", expects=ABSENT)])
    assert (await stored(store)).data == b"first"


async def test_the_version_that_was_read_lets_one_writer_through(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0")])
    read = await stored(store)
    await store.commit([Write(path=PATH, data=b"1", expects=read.version)])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=b"2", expects=read.version)])
    assert (await stored(store)).data == b"1"


async def test_a_version_of_no_document_is_a_conflict(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0")])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=b"1", expects="not a version")])


async def test_a_version_of_a_deleted_document_is_a_conflict(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0")])
    read = await stored(store)
    await store.commit([Write(path=PATH, data=None)])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=b"1", expects=read.version)])
    await store.commit([Write(path=PATH, data=b"0", expects=ABSENT)])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=b"1", expects=read.version)])


@pytest.mark.parametrize("conditional", [True, False])
async def test_every_write_gives_a_new_version_even_of_the_same_bytes(store: Store, conditional: bool) -> None:
    await store.commit([Write(path=PATH, data=b"same", due=1)])
    versions = [(await stored(store)).version]
    for _ in range(3):
        await store.commit([Write(path=PATH, data=b"same", due=1, expects=versions[-1] if conditional else None)])
        versions.append((await stored(store)).version)
    assert len(set(versions)) == len(versions)


async def test_a_conflict_leaves_every_document_of_the_commit_as_it_was(store: Store) -> None:
    await store.commit([Write(path="states/old", data=b"old", due=5), Write(path=PATH, data=b"0")])
    with pytest.raises(Conflict):
        await store.commit(
            [
                Write(path="states/new", data=b"new", expects=ABSENT),
                Write(path="states/old", data=None),
                Write(path=PATH, data=b"1", expects=ABSENT),
            ]
        )
    assert await store.get("states/new") is None
    assert (await stored(store, "states/old")).data == b"old"
    assert await store.due("states", 0, 5, 10) == ["old"]


async def test_ten_documents_are_written_at_once(store: Store) -> None:
    await store.commit([Write(path=f"states/{number}", data=b"%d" % number, expects=ABSENT) for number in range(10)])
    assert [(await stored(store, f"states/{number}")).data for number in range(10)] == [b"%d" % n for n in range(10)]


async def test_a_deleted_document_is_gone(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0", due=1)])
    await store.commit([Write(path=PATH, data=None, expects=(await stored(store)).version)])
    assert await store.get(PATH) is None
    assert await store.due("states", 0, 1, 10) == []


async def test_deleting_what_is_not_there_changes_nothing(store: Store) -> None:
    await store.commit([Write(path=PATH, data=None)])
    assert await store.get(PATH) is None


async def test_deleting_with_a_stale_version_is_a_conflict(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0")])
    read = await stored(store)
    await store.commit([Write(path=PATH, data=b"1")])
    with pytest.raises(Conflict):
        await store.commit([Write(path=PATH, data=None, expects=read.version)])
    assert (await stored(store)).data == b"1"


async def test_a_megabyte_is_a_document_and_more_is_refused(store: Store) -> None:
    data = bytes(range(250)) * 4_000
    await store.commit([Write(path=PATH, data=data)])
    assert (await stored(store)).data == data
    with pytest.raises(TooLarge):
        await store.commit([Write(path="states/b", data=b"b"), Write(path=PATH, data=bytes(1_048_577))])
    assert await store.get("states/b") is None
    assert (await stored(store)).data == data


@pytest.mark.parametrize("path", ["states", "states/", "states/a/b", "/a"])
async def test_a_path_is_a_collection_and_an_id(store: Store, path: str) -> None:
    with pytest.raises(Rejected):
        await store.commit([Write(path=path, data=b"")])


async def test_of_sixteen_writers_none_overwrites_another(store: Store) -> None:
    async def count_up() -> None:
        while True:
            read = await store.get(PATH)
            count = int(read.data) if read else 0
            try:
                await store.commit(
                    [Write(path=PATH, data=b"%d" % (count + 1), expects=read.version if read else ABSENT)]
                )
            except Conflict:
                continue
            return

    async def writer() -> None:
        for _ in range(5):
            await count_up()

    await asyncio.gather(*(writer() for _ in range(16)))
    assert (await stored(store)).data == b"80"


# Shard 3 on the way:   b        c          a         d       e: shard 4, f: not due
#                       |--------|----------|---------|------->
#                      -5       20         30        31
SCHEDULED: Sequence[Write] = [
    Write(path="states/a", data=b"", due=30, shard=3),
    Write(path="states/b", data=b"", due=-5, shard=3),
    Write(path="states/c", data=b"", due=20, shard=3),
    Write(path="states/d", data=b"", due=31, shard=3),
    Write(path="states/e", data=b"", due=1, shard=4),
    Write(path="states/f", data=b""),
]


async def test_what_is_due_comes_earliest_first_up_to_and_including_the_instant(store: Store) -> None:
    await store.commit(SCHEDULED)
    assert await store.due("states", 3, 30, 10) == ["b", "c", "a"]
    assert await store.due("states", 3, 29, 10) == ["b", "c"]
    assert await store.due("states", 4, 30, 10) == ["e"]
    assert await store.due("states", 0, 30, 10) == []
    assert await store.due("profiles", 3, 30, 10) == []


async def test_no_more_than_the_limit_is_due_at_once(store: Store) -> None:
    await store.commit(SCHEDULED)
    assert await store.due("states", 3, 100, 2) == ["b", "c"]


async def test_a_later_write_moves_a_document_in_the_due_index_or_out_of_it(store: Store) -> None:
    await store.commit(SCHEDULED)
    await store.commit(
        [
            Write(path="states/a", data=b"", due=10, shard=3),
            Write(path="states/b", data=b"", due=-5, shard=4),
            Write(path="states/c", data=b""),
            Write(path="states/d", data=None),
        ]
    )
    assert await store.due("states", 3, 100, 10) == ["a"]
    assert await store.due("states", 4, 100, 10) == ["b", "e"]


async def test_a_scan_reads_a_whole_collection_in_the_order_of_its_ids(store: Store) -> None:
    ids = [f"{number:04x}" for number in range(510)]
    for start in range(0, len(ids), 10):
        await store.commit(
            [Write(path=f"states/{each}", data=each.encode()) for each in reversed(ids[start : start + 10])]
        )
    await store.commit([Write(path="profiles/a", data=b"")])
    scanned = [(each, document.data) async for each, document in store.scan("states")]
    assert scanned == [(each, each.encode()) for each in ids]


@pytest.mark.parametrize(("after", "found"), [("", "abc"), ("a", "bc"), ("aa", "bc"), ("c", "")])
async def test_a_scan_goes_on_after_an_id_whether_it_is_there_or_not(after: str, found: str, store: Store) -> None:
    await store.commit([Write(path=f"states/{each}", data=b"") for each in "abc"])
    assert [each async for each, _ in store.scan("states", after)] == [*found]


async def test_a_scanned_version_is_one_to_write_with(store: Store) -> None:
    await store.commit([Write(path=PATH, data=b"0")])
    async for each, document in store.scan("states"):
        await store.commit([Write(path=f"states/{each}", data=b"1", expects=document.version)])
    assert (await stored(store)).data == b"1"


async def test_an_empty_collection_scans_to_nothing(store: Store) -> None:
    assert [each async for each, _ in store.scan("states")] == []
