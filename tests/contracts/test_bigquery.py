"""What holds for the archive in BigQuery alone, by what stands in for it: the rest is in `test_archive`."""

from collections.abc import Iterator

import msgspec
import pytest
import sqlglot
from sqlglot import exp

from emulator.server import listening
from segue.adapters.google import archive_sql
from segue.adapters.google.archive import BigQueryArchive
from segue.domain import message as messages
from segue.domain.errors import Rejected, Unavailable
from segue.domain.message import LINK_REQUESTED, LinkRequested
from segue.domain.profile import ProfileRef
from tests.bigquery import DATASET, PROJECT, Subscribed, Tables, bigquery
from tests.contracts.test_archive import ANNA, BEN, CARLA, kept, message, received, snapshot

RESERVED = """
    all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current
    default define desc distinct else end enum escape except exclude exists extract false fetch following for from full
    group grouping groups hash having if ignore in inner intersect interval into is join lateral left like limit lookup
    merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive
    respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when
    where window with within
"""
"""No name may be one of these: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical"""

QUERIES = {
    name: text.replace("{table}", "events").replace("{wanted}", "TRUE").replace("{type}", "STRING")
    for name, text in vars(archive_sql).items()
    if name.isupper() and isinstance(text, str) and ("SELECT" in text or "MERGE" in text) and not name.startswith("_")
}


@pytest.fixture
def served() -> Iterator[tuple[Tables, Subscribed]]:
    with bigquery() as (tables, url):
        yield tables, Subscribed.to(tables, url)


def linked(key: str, anonymous_key: str) -> LinkRequested:
    return LinkRequested(
        key=key,
        profile=ProfileRef("user_id", "u"),
        anonymous_key=anonymous_key,
        anonymous=ProfileRef("anonymous_id", "a"),
        source="shop",
        message_id="m",
        at=1,
    )


async def test_what_a_subscription_wrote_twice_counts_once_as_it_was_first(served: tuple[Tables, Subscribed]) -> None:
    tables, archive = served
    tables.write("events", [received("m1", ANNA, "e1"), received("m2", ANNA, "e2")], times=2)
    tables.write("events", [received("m1", ANNA, "another")])
    assert await archive.histories([ANNA]) == {ANNA: [received("m1", ANNA, "e1"), received("m2", ANNA, "e2")]}


async def test_of_whom_is_erased_no_table_has_anything(served: tuple[Tables, Subscribed]) -> None:
    tables, archive = served
    link = msgspec.json.encode(linked(BEN, ANNA))
    tables.write("events", [received("m1", ANNA, "e1"), received("m2", BEN, "e2")], times=2)
    tables.write("events", [message("m3", link, kind=LINK_REQUESTED)])
    tables.write("memberships", [snapshot(ANNA, 1, {"s": ((1, None),)})])
    tables.write("dead-letters", [received("m4", ANNA, "e4"), message("m5", b"\xff" + ANNA.encode())])
    await archive.erase({ANNA: 10})
    told = {table: tables.rows(table) for table in ("events", "memberships", "dead_letters")}
    assert not [each for rows in told.values() for each in rows if ANNA in each]
    assert {table: len(rows) for table, rows in told.items()} == {"events": 4, "memberships": 0, "dead_letters": 1}
    assert [each.type for each in await kept(archive, "events")] == ["segue.events.withheld", "segue.events.received"]


async def test_what_is_written_after_an_erasure_is_never_read_and_goes_with_the_next(
    served: tuple[Tables, Subscribed],
) -> None:
    tables, archive = served
    await archive.erase({ANNA: 10})
    tables.write("events", [received("m1", ANNA, "e1")])
    assert await archive.histories([ANNA]) == {}
    assert await archive.holds(ANNA, ["e1"]) == frozenset()
    await archive.erase({ANNA: 5})
    assert [ANNA in row for row in tables.rows("erasures")] == [True]
    assert not [row for row in tables.rows("events") if ANNA in row]


@pytest.mark.slow
async def test_many_are_erased_in_as_many_queries_as_it_takes(served: tuple[Tables, Subscribed]) -> None:
    tables, archive = served
    everybody = [f"{number:032x}" for number in range(201)]
    tables.write("memberships", [snapshot(key, 1, {}) for key in (everybody[0], everybody[-1], ANNA)])
    await archive.erase(dict.fromkeys(everybody, 10))
    assert [each.id for each in await kept(archive, "memberships")] == [f"{ANNA}:1"]
    assert len(tables.rows("memberships")) == 1


async def test_what_reads_whole_tables_has_a_limit_and_what_reads_ranges_of_them_has_none() -> None:
    """BigQuery reckons with the whole of a clustered table."""
    with bigquery() as (tables, url):
        tables.write("events", [received("m1", ANNA, "e1")])
        archive = Subscribed.to(tables, url, most_bytes=1)
        assert await archive.holds(ANNA, ["e1"]) == {"e1"}
        with pytest.raises(Unavailable, match="bytes billed"):
            await archive.sizes(1)


async def test_bigquery_that_does_not_answer_is_unavailable() -> None:
    with listening(0) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    archive = BigQueryArchive.open(PROJECT, DATASET, environment={"BIGQUERY_EMULATOR_HOST": url}, deadline_s=0.2)
    with pytest.raises(Unavailable, match="the archive"):
        await archive.sizes(1)


async def test_nobody_but_a_subscription_appends() -> None:
    with pytest.raises(Rejected, match="events"):
        await BigQueryArchive.open(PROJECT, DATASET).append("events", [message("m1")])


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_bigquerys_sql_and_no_name_in_it_is_reserved(name: str) -> None:
    tree = sqlglot.parse_one(QUERIES[name], dialect="bigquery")
    names = {found.name.lower() for found in tree.find_all(exp.Identifier)}
    assert names
    assert not names & {*RESERVED.split()}


def test_what_tells_of_one_profile_alone_begins_with_its_key_and_nothing_else_does() -> None:
    archived = (
        messages.EventsReceived, messages.EventsOfBots, messages.EventsRefused, messages.EventsWithheld,
        messages.LinkRequested, messages.LinkWithdrawn, messages.ProfileDue, messages.MembershipChanged,
    )  # fmt: skip
    first = {each.__name__: msgspec.structs.fields(each)[0].name for each in archived}
    assert first == {
        "EventsReceived": "key",
        "EventsOfBots": "key",
        "EventsRefused": "source",
        "EventsWithheld": "source",
        "LinkRequested": "anonymous_key",
        "LinkWithdrawn": "anonymous_key",
        "ProfileDue": "key",
        "MembershipChanged": "key",
    }
    assert tuple(f'{{"{name}":' for name in sorted({*first.values()} - {"key"})) == archive_sql.OF_SEVERAL
    assert received("m1", CARLA, "e1").data.startswith(f'{{"key":"{CARLA}"'.encode())
