"""On Google's emulators every push is verified: what is ours goes through, and nobody else gets anything in."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from emulator.client import Client
from emulator.membership_log import Line
from emulator.shop import visitors
from emulator.topology import audiences, topology
from segue.adapters.google.platform import GooglePlatform
from segue.domain.event import Event
from segue.domain.message import (
    EVENTS_RECEIVED,
    MEMBERSHIP_CHANGED,
    PROFILE_ERASED,
    TICK,
    EventsReceived,
    MembershipChanged,
    ProfileErased,
    Tick,
)
from segue.domain.profile import Key, ProfileRef
from segue.ports import Document
from tests.journeys.running import running, segue
from tests.journeys.signed import Run

pytestmark = [pytest.mark.google, pytest.mark.slow]

NOW, LATER = 1_715_342_400_000, 1_719_792_000_000
"""2024-05-10T12:00:00Z and 2024-07-01T00:00:00Z: everything that is due in between has been announced."""

VISITORS = 40
SIGNED = (sys.executable, "-m", "tests.journeys.signed")


def visits(log: Path) -> int:
    """Write the shop's visits as a log of calls; how many there are."""
    calls = [call for visitor in visitors(7, VISITORS, NOW) for call in visitor.calls]
    log.write_bytes(b"\n".join(msgspec.json.encode(call) for call in calls))
    return len(calls)


def messages(key: Key, who: str) -> Mapping[str, tuple[str, msgspec.Struct]]:
    """For each function a message that would change something of a profile: its type and what it says."""
    profile = ProfileRef("anonymous_id", who.removeprefix("anonymous_id:"))
    order = Event(message_id="forged", name="Order Completed", occurred_at=LATER, received_at=LATER)
    events = EventsReceived(key=key, profile=profile, source="demo", events=(order,), imported=True)
    changed = MembershipChanged(
        key=key, profile=profile, seq=1_000, catalog=1, at=LATER, known_until=None, memberships={}, transitions=()
    )
    return {
        "evaluate": (EVENTS_RECEIVED, events),
        "tick": (TICK, Tick(at=2 * LATER, clock="import")),
        "update": (MEMBERSHIP_CHANGED, changed),
        "deliver": (MEMBERSHIP_CHANGED, changed),
        "privacy": (PROFILE_ERASED, ProfileErased(key=key, at=LATER)),
    }


async def pushed(http: httpx.AsyncClient, url: str, what: tuple[str, object], identity: str | None) -> httpx.Response:
    """The answer to a message of this type that says this, pushed with this Authorization header."""
    kind, data = what
    headers = {
        "ce-id": "forged",
        "ce-type": kind,
        "ce-source": "//stranger",
        "ce-specversion": "1.0",
        "ce-time": "2024-07-01T00:00:00Z",
        "content-type": "application/json",
    } | ({} if identity is None else {"authorization": identity})
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return await http.post(url, content=msgspec.json.encode(data), headers=encoded)


class Everything(msgspec.Struct, frozen=True):
    """The ledger, the membership log, and every document in its version."""

    ledger: Mapping[str, int]
    announced: Sequence[Line]
    documents: Mapping[str, Document]


async def everything(client: Client, google: GooglePlatform) -> Everything:
    documents = {
        f"{collection}/{id_}": document
        for collection in topology()["collections"]
        async for id_, document in google.store.scan(collection)
    }
    return Everything(await client.ledger(), await client.memberships(), documents)


def refusals(data: Path, function: str) -> int:
    """How often the log of a function says that a push was refused."""
    (log,) = data.glob(f"google-*/{function}.log")
    lines = [line for line in log.read_text().splitlines() if '"push_refused"' in line]
    assert all(msgspec.json.decode(line)["function"] == function for line in lines)
    return len(lines)


async def test_what_is_ours_goes_through_and_no_other_push_leaves_a_trace(tmp_path: Path) -> None:
    log = tmp_path / "visits.ndjson"
    sent = visits(log)
    folded = segue("fold", str(log), "--catalog", "infra/catalog", "--until", "2024-07-01T00:00:00Z")
    with running(tmp_path, program=SIGNED) as url:
        replayed = segue("replay", str(log), "--url", url, "--until", "2024-07-01T00:00:00Z")
        assert replayed.returncode == 0, replayed.stderr
        run = msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Run)
        assert set(run.functions) == set(audiences())
        google = GooglePlatform.open("segue-laptop", "catalog", environment=run.environment)
        async with Client.connected(url) as client, httpx.AsyncClient(trust_env=False, timeout=30) as http:
            before = await everything(client, google)
            forged = messages(*(await client.profiles())[0])
            answers = {
                (name, wrong): await pushed(http, function.url, forged[name], identity)
                for name, function in run.functions.items()
                for wrong, identity in function.refused.items()
            }
            after = await everything(client, google)
            let_in = {
                name: (await pushed(http, function.url, forged[name], function.right)).status_code
                for name, function in run.functions.items()
            }
            changed = await everything(client, google)
        await google.close()
    assert {found.status_code for found in answers.values()} == {403}
    assert len({found.content for found in answers.values()}) == 1
    assert after == before
    assert {name: refusals(tmp_path, name) for name in run.functions} == {
        name: len(function.refused) for name, function in run.functions.items()
    }
    assert let_in == dict.fromkeys(run.functions, 204)
    assert changed.documents != before.documents
    assert before.ledger["published"] == before.ledger["folded"] == sent
    assert before.announced == [msgspec.json.decode(line, type=Line) for line in folded.stdout.splitlines()]
