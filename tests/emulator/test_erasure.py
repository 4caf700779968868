"""The canary: what only one visitor ever said is in no byte of any file once they are erased, and stays away."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import httpx
import msgspec
import pytest

from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY, Client
from segue import wiring
from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.message import EVENTS, MEMBERSHIPS
from segue.domain.profile import ProfileRef
from segue.ports import Message
from tests.emulator.test_host import calls

CANARY = "kanarienvogel"
VISITOR, USER = ProfileRef("anonymous_id", f"a-{CANARY}"), ProfileRef("user_id", f"u-{CANARY}")
OTHER = ProfileRef("anonymous_id", "somebody-else")


def track(event: str, message_id: str, **more: Any) -> Mapping[str, Any]:
    call = {"type": "track", "event": event, "anonymousId": VISITOR.value, "messageId": f"{message_id}-{CANARY}"}
    return call | {"properties": {"note": CANARY}, "context": {"page": {"title": CANARY}}} | more


async def send(client: Client, *batch: Mapping[str, Any]) -> None:
    await client.batch(batch)
    await client.settle()


async def said_a_lot(client: Client) -> None:
    """A visit, a call that is refused, and who the visitor is."""
    theirs = {"type": "track", "event": "Product Viewed", "anonymousId": OTHER.value, "messageId": "theirs"}
    await send(client, track("Product Added", "m1"), track("", "m2"), theirs)
    await send(client, {**track("", "m4"), "type": "identify", "userId": USER.value, "traits": {"nickname": CANARY}})
    await send(client, track("Video Content Playing", "m5", userId=USER.value))


def files_with_the_canary(folder: Path) -> Sequence[Path]:
    """Those that have it, as bytes or packed in the columns of a Parquet file."""
    return [path for path in folder.rglob("*") if path.is_file() and CANARY in _text(path)]


def _text(path: Path) -> str:
    if path.suffix != ".parquet":
        return path.read_bytes().decode("latin-1")
    rows = duckdb.execute("SELECT *, decode(from_base64(data)) FROM read_parquet(?)", [str(path)]).fetchall()
    return repr(rows) + path.read_bytes().decode("latin-1")


async def everything(topic: str) -> list[Message]:
    return [message async for message in wiring.platform().ports.archive.read(topic)]


async def seal(folder: Path) -> None:
    archive = ArchiveFile.open(folder)
    await archive.seal()
    await archive.close()


def client_of(http: httpx.AsyncClient) -> Client:
    return Client(http, DEMO_WRITE_KEY, DEMO_SECRET_KEY)


@pytest.mark.parametrize("by", [VISITOR, USER], ids=["anonymous_id", "user_id"])
async def test_nothing_of_an_erased_visitor_is_left_or_comes_back(
    tmp_path: Path, by: ProfileRef, caplog: pytest.LogCaptureFixture
) -> None:
    async with calls(tmp_path) as http:
        await said_a_lot(client_of(http))
        profiles = len(await client_of(http).profiles())
    await seal(tmp_path)
    async with calls(tmp_path) as http:
        client = client_of(http)
        await send(client, track("Product Viewed", "m6", userId=USER.value))
        sent, told = await everything(EVENTS), await everything(MEMBERSHIPS)
        assert len(await client.failed()) == 1
    assert {path.suffix for path in files_with_the_canary(tmp_path)} == {".db", ".parquet"}

    async with calls(tmp_path) as http:
        client = client_of(http)
        before = await client.ledger()
        assert (await client.erase(by))["profile"] == str(by)
        await client.settle()
        assert await client.failed() == []
        bus = wiring.platform().ports.bus
        for topic, messages in ((EVENTS, sent), (MEMBERSHIPS, told)):
            copies = [message for message in messages if CANARY.encode() in message.data]
            others = [msgspec.structs.replace(message, id=f"again {message.id}") for message in copies]
            await bus.publish(topic, [*copies, *others])
        await client.settle()
        remaining = await client.profiles()
        for key, _ in remaining:
            await client.rebuild(key)
        await client.settle()
        after = await client.ledger()
        for profile in (VISITOR, USER):
            exported = await client.export(profile)
            assert (exported["known"], exported["events"], exported["failed"]) == (False, [], [])
    assert [name for _, name in remaining] == [str(OTHER)]
    assert profiles == 2
    assert after["published"] == sum(count for name, count in after.items() if name != "published")
    assert (after["folded"], before["folded"]) == (1, before["erased"] + before["folded"])
    assert after["erased"] > before["folded"] - 1
    assert files_with_the_canary(tmp_path) == []
    assert CANARY not in caplog.text


async def test_whoever_comes_again_is_somebody_new(tmp_path: Path) -> None:
    async with calls(tmp_path) as http:
        client = client_of(http)
        await send(client, track("Product Added", "m1"))
        await client.erase(VISITOR)
        await client.settle()
        await send(client, track("Order Completed", "m2"))
        assert {each["id"] for each in (await client.segments(VISITOR))["segments"]} >= {"completed-buyer"}
        assert [event["message_id"] for event in (await client.export(VISITOR))["events"]] == [f"m2-{CANARY}"]


async def test_whoever_is_unknown_is_exported_and_erased_alike(tmp_path: Path) -> None:
    async with calls(tmp_path) as http:
        client = client_of(http)
        await send(client, track("Product Added", "m1"))
        known, unknown = await client.export(VISITOR), await client.export(OTHER)
        assert (known.keys(), known["known"], unknown["known"]) == (unknown.keys(), True, False)
        assert (await client.erase(VISITOR)).keys() == (await client.erase(OTHER)).keys()
