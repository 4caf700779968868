"""A real shop's log through the running platform: who is in a segment is what SQL over the file says."""

import gzip
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from emulator.client import Client
from emulator.membership_log import Line
from segue.domain.profile import ProfileRef
from segue.domain.time import instant
from tests.journeys.running import running, segue
from tests.shared_data import REES46, needs

pytestmark = needs(REES46)

UNTIL = "2019-11-10T00:00:00Z"
"""More than 30 days after the log's end: everything has come and gone."""

COMPLETED_BUYERS = """
SELECT DISTINCT user FROM log WHERE kind = 'purchase' AND at > :t - 30 * 86400000 AND at <= :t
"""

CART_ABANDONERS = """
SELECT user FROM (SELECT user, max(at) AS added FROM log WHERE kind = 'cart' AND at <= :t GROUP BY user) AS latest
WHERE added <= :t - 30 * 60000 AND added > :t - 7 * 86400000
AND NOT EXISTS (
    SELECT 1 FROM log WHERE log.user = latest.user AND kind = 'purchase' AND at > latest.added AND at <= :t
)
"""


@pytest.fixture(scope="module")
def log() -> Iterator[sqlite3.Connection]:
    """The file's whole rows in a table."""
    rows = [line.split(",") for line in gzip.decompress(REES46.read_bytes()).decode().splitlines()[1:]]
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE log (at INTEGER, kind TEXT, user TEXT)")
        connection.executemany(
            "INSERT INTO log VALUES (strftime('%s', ?) * 1000, ?, ?)",
            [(row[0].removesuffix(" UTC"), row[1], row[7]) for row in rows if len(row) == 9],
        )
        yield connection


@pytest.fixture(scope="module")
def folded() -> Sequence[Line]:
    """The membership log that `segue fold` prints."""
    done = segue("fold", str(REES46), "--catalog", "infra/catalog", "--until", UNTIL)
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line, type=Line) for line in done.stdout.splitlines()]


def selected(log: sqlite3.Connection, query: str, at: int) -> set[str]:
    return {f"user_id:{user}" for (user,) in log.execute(query, {"t": at})}


def members(lines: Sequence[Line], segment: str, at: int) -> set[str]:
    """Who has entered last rather than exited, at an instant."""
    inside: set[str] = set()
    for line in lines:
        if line.segment == segment and line.at <= at:
            (inside.add if line.transition == "entered" else inside.discard)(line.profile)
    return inside


def epoch_ms(text: str) -> int:
    found = instant(text)
    assert found is not None
    return found


END = epoch_ms("2019-10-01T02:50:00Z")


@pytest.mark.parametrize(
    ("at", "at_least"),
    [
        ("2019-10-01T02:50:00Z", 1),  # the log's end: who added in its first two hours
        ("2019-10-01T03:05:00Z", 20),
        ("2019-10-08T02:30:00Z", 20),  # 7 days after an add in the middle of the log: the others have left
    ],
)
def test_the_cart_abandoners_of_the_membership_log_are_those_of_sql(
    log: sqlite3.Connection, folded: Sequence[Line], at: str, at_least: int
) -> None:
    expected = selected(log, CART_ABANDONERS, epoch_ms(at))
    assert len(expected) >= at_least
    assert members(folded, "cart-abandoner", epoch_ms(at)) == expected


@pytest.mark.slow
async def test_the_running_platform_answers_as_sql_and_announces_as_the_engine_alone(
    tmp_path: Path, log: sqlite3.Connection, folded: Sequence[Line]
) -> None:
    with running(tmp_path) as url:
        replayed = segue("replay", str(REES46), "--url", url)
        assert replayed.returncode == 0, replayed.stderr
        async with Client.connected(url) as client:
            at_the_end = await client.memberships()
            sizes = {segment["id"]: segment["members"] for segment in (await client.sizes(at=END))["segments"]}
            buyers = selected(log, COMPLETED_BUYERS, END)
            for buyer in sorted(buyers)[:20]:
                answer = await client.segments(ProfileRef("user_id", buyer.removeprefix("user_id:")), at=END)
                assert "completed-buyer" in [segment["id"] for segment in answer["segments"]]
            await client.tick(epoch_ms(UNTIL) + (await client.timing()).grace, "import")
            await client.settle()
            in_the_long_run = await client.memberships()

    assert "17,434 events" in " ".join(replayed.stdout.split())
    for kind, count in {"cut row": 1, "copy of a row": 5, "duplicate": 5, "folded": 17_429, "price of 0": 19}.items():
        assert f" {kind} {count:,} " in " ".join(replayed.stdout.replace("│", "").split()), kind
    assert members(at_the_end, "completed-buyer", END) == buyers
    assert sizes["completed-buyer"] == len(buyers) == 193
    assert at_the_end == [line for line in folded if line.at <= END]
    assert in_the_long_run == folded
