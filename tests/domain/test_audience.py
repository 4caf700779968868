"""Files of audiences: what is written is read again, parts make a whole, and deltas add up."""

import gzip
import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.domain import audience
from segue.domain.audience import Export, File, Kind, Manifest, Rows
from segue.domain.destination import Format, Storage
from segue.domain.errors import Invalid, Unavailable
from segue.domain.time import DAY

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
FORMATS: list[Format] = ["csv", "jsonl"]
KINDS: list[Kind] = ["full", "delta"]


def storage(format: Format = "csv", identifier: str = "user_id", hashed: bool = False) -> Storage:
    said = {"provider": "s3", "bucket": "audiences", "secret": "s", "format": format, "hashed": hashed}
    return Storage.model_validate({**said, "identifier": identifier})


def manifest(*exports: Export, format: Format = "csv", identifier: str = "user_id") -> Manifest:
    return Manifest(destination="ads", segment="buyer", identifier=identifier, format=format, exports=exports)


def export(kind: Kind, at: int = 0, members: int = 0) -> Export:
    return Export(kind=kind, at=at, members=members, files=())


def lines(rows: Rows, kind: Kind, format: Format = "csv") -> list[str]:
    _, data = audience.packed(storage(format), kind, 7, "", rows)
    return gzip.decompress(data).decode().splitlines()


def test_a_full_file_has_a_line_for_each_member_and_a_delta_says_what_changed() -> None:
    assert lines(Rows(["ada", "ben"]), "full") == ["user_id", "ada", "ben"]
    assert lines(Rows(["ada"], ["ben"]), "delta") == ["change,user_id", "entered,ada", "exited,ben"]
    assert lines(Rows(["ada"]), "full", "jsonl") == ['{"user_id":"ada"}']
    assert lines(Rows([], ["ben"]), "delta", "jsonl") == ['{"change":"exited","user_id":"ben"}']


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'quoted"])
def test_a_cell_that_a_spreadsheet_would_calculate_has_a_quote_in_front(cell: str) -> None:
    assert lines(Rows([cell]), "full")[1] == f"'{cell}"


@pytest.mark.parametrize(("kind", "format"), list(itertools.product(KINDS, FORMATS)))
@settings(max_examples=50)
@given(entered=st.lists(TEXTS), exited=st.lists(TEXTS))
def test_what_is_written_is_read_again(kind: Kind, format: Format, entered: list[str], exited: list[str]) -> None:
    rows = Rows(entered, exited if kind == "delta" else [])
    file, data = audience.packed(storage(format), kind, 7, "", rows)
    assert audience.is_whole(file, data)
    assert audience.unpacked(manifest(format=format), kind, data) == rows


def test_the_same_rows_have_the_same_name_and_bytes_and_others_have_others() -> None:
    first, again, other = (audience.packed(storage(), "full", 7, "a", Rows(each)) for each in (["x"], ["x"], ["y"]))
    assert first == again
    assert first[0].path != other[0].path
    assert first[0].path.startswith("7-full-a-")
    assert first[0].path.endswith(".csv.gz")
    assert (first[0].bytes, first[0].entered, first[0].exited) == (len(first[1]), 1, 0)


@settings(max_examples=50)
@given(st.sets(TEXTS), st.integers(0, 5))
def test_everybody_is_in_one_part(identifiers: set[str], depth: int) -> None:
    progress = audience.begun("", None, storage(), "full", 0, 1)
    progress = msgspec.structs.replace(progress, depth=depth)
    parts = []
    while (part := progress.part) is not None:
        parts.append(part)
        progress = audience.advanced(progress, None)
    found = [each for part in parts for each in identifiers if audience.in_part(each, part)]
    assert sorted(found) == sorted(identifiers)


@pytest.mark.parametrize(
    ("members", "before", "depth"), [(0, 0, 0), (10, 0, 0), (11, 0, 1), (20, 0, 1), (21, 0, 2), (1, 21, 2)]
)
def test_there_are_as_many_parts_as_there_and_before_were_members_for(members: int, before: int, depth: int) -> None:
    known = manifest(export("full", members=before))
    assert audience.begun("v", known, storage(), "delta", members, 10).depth == depth


@settings(max_examples=50)
@given(st.lists(st.sets(TEXTS, max_size=6), min_size=1, max_size=5))
def test_a_full_export_and_its_deltas_add_up_to_who_is_a_member_now(states: list[set[str]]) -> None:
    contents = [Rows(sorted(states[0]))]
    for now in states[1:]:
        contents.append(audience.changes(audience.told(contents, ""), sorted(now)))
    assert audience.told(contents, "") == states[-1]


def test_a_full_export_is_due_if_there_is_none_or_it_is_old_or_another() -> None:
    known = manifest(export("full", at=0), export("delta", at=DAY - 2))
    assert audience.kind_of_next(None, storage(), 5) == "full"
    assert audience.kind_of_next(known, storage(), DAY - 1) == "delta"
    assert audience.kind_of_next(known, storage(), DAY) == "full"
    assert audience.kind_of_next(known, storage("jsonl"), 5) == "full"
    assert audience.kind_of_next(known, storage(hashed=True), 5) == "full"


def test_a_completed_export_takes_its_place_behind_those_it_stands_on() -> None:
    known = manifest(export("full", at=1, members=5))
    file = File(path="f", part="", entered=3, exited=1, bytes=9, sha256="0")
    delta = audience.advanced(audience.begun("v", known, storage(), "delta", 5, 10), file)
    completed = audience.completed(known, "ads", "buyer", storage(), delta, 2)
    assert [(each.kind, each.at, each.members) for each in completed.exports] == [("full", 1, 5), ("delta", 2, 7)]
    full = audience.completed(known, "ads", "buyer", storage(), audience.begun("v", known, storage(), "full", 5, 10), 3)
    assert [(each.kind, each.at, each.members) for each in full.exports] == [("full", 3, 0)]
    assert audience.decode(audience.encode(completed)) == completed


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"schema": 1}', audience.encode(manifest(export("delta")))])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match=r"manifest\.json"):
        audience.decode(data)


def test_a_manifest_of_newer_code_waits_for_it() -> None:
    with pytest.raises(Unavailable, match="newer code"):
        audience.decode(b'{"schema": 2}')
