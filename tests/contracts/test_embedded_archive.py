"""What holds for the laptop's archive alone: its files stay, whatever happens, and bytes are kept that are no text."""

from contextlib import aclosing
from pathlib import Path

import pytest

from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.message import EVENTS_RECEIVED
from tests.contracts.test_archive import ANNA, BEN, Sealed, kept, message, received


@pytest.mark.parametrize("kind", [ArchiveFile, Sealed])
async def test_what_is_no_text_is_kept_all_the_same(kind: type[ArchiveFile], tmp_path: Path) -> None:
    archive = kind.open(tmp_path)
    broken = message("a", b'{"key": "\xff"}', kind=EVENTS_RECEIVED)
    await archive.append("events", [broken])
    assert await kept(archive, "events") == [broken]
    await archive.close()


async def test_histories_are_of_files_and_tail_together(tmp_path: Path) -> None:
    archive = ArchiveFile.open(tmp_path)
    first, second = received("m2", ANNA, "e1", "e2"), received("m1", ANNA, "e3")
    await archive.append("events", [first])
    await archive.seal()
    await archive.append("events", [second, first])
    assert await archive.histories([ANNA]) == {ANNA: [first, second]}
    await archive.close()


async def test_a_closed_archive_opens_as_it_was(tmp_path: Path) -> None:
    archive = ArchiveFile.open(tmp_path)
    await archive.append("events", [message("a")])
    await archive.close()
    again = ArchiveFile.open(tmp_path)
    assert await kept(again, "events") == [message("a")]
    await again.close()


async def test_erasing_that_was_cut_off_anywhere_is_completed_by_erasing_again(tmp_path: Path) -> None:
    hers, others = received("m1", ANNA, "e1"), received("m2", BEN, "e2")
    for after in range(1, 4):
        archive = Sealed.open(tmp_path / str(after))
        await archive.append("events", [hers, others])
        async with aclosing(archive.erasing({ANNA: 10})) as steps:
            for _ in range(after):
                await anext(steps)
        await archive.close()
        again = ArchiveFile.open(tmp_path / str(after))
        assert others in await kept(again, "events")
        await again.erase({ANNA: 10})
        assert [each.id for each in await kept(again, "events")] == ["m1", "m2"]
        assert hers not in await kept(again, "events")
        assert len(list((tmp_path / str(after)).rglob("received=*/*"))) == 1
        await again.close()
