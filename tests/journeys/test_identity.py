"""A visit as it is: anonymous at first, known later, and perhaps somebody else after all."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator.client import Client
from segue.domain.profile import ProfileRef
from tests.journeys.running import running, segue

pytestmark = pytest.mark.slow

PLATFORMS = ["embedded", pytest.param("google", marks=pytest.mark.google)]
VISITOR, USER = ProfileRef("anonymous_id", "v/1"), ProfileRef("user_id", "ruth")


def call(kind: str, **fields: Any) -> Mapping[str, Any]:
    return {"type": kind, **fields}


async def segments(client: Client, profile: ProfileRef) -> set[str]:
    return {segment["id"] for segment in (await client.segments(profile))["segments"]}


async def until(client: Client, profile: ProfileRef, segment: str, *, inside: bool) -> None:
    """Return once a profile is in a segment, or is not."""
    async with asyncio.timeout(30):
        while (segment in await segments(client, profile)) is not inside:  # noqa: ASYNC110  (nobody tells when)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_who_is_known_at_last_has_done_all_of_it_by_either_id(platform: str, tmp_path: Path) -> None:
    with running(tmp_path / "data", "--platform", platform) as url:
        async with Client.connected(url) as client:
            await client.call(call("track", event="Order Completed", anonymousId="v/1"))
            await client.call(call("track", event="Product Added", userId="ruth"))
            await client.settle()
            assert "completed-buyer" not in await segments(client, USER)

            await client.call(call("identify", anonymousId="v/1", userId="ruth", messageId="login"))
            slots = ["homepage-hero"]
            shown = await client.decide(VISITOR, slots, after="login", deadline_ms=5_000)
            assert shown["homepage-hero"]["includes_after"]
            await client.settle()
            assert "completed-buyer" in await segments(client, USER)
            assert await segments(client, VISITOR) == await segments(client, USER)
            why = await client.why(VISITOR, "completed-buyer")
            assert why["member"]
            sizes = {each["id"]: each["members"] for each in (await client.sizes())["segments"]}
            assert sizes["completed-buyer"] == 1

            linked = segue("identity", "links", "user_id:ruth", "--url", url)
            assert "anonymous_id:v/1" in linked.stdout, linked.stderr
            rebuilt = segue("rebuild", "user_id:ruth", "--url", url)
            assert (rebuilt.returncode, rebuilt.stdout) == (0, ""), rebuilt.stderr

            parted = segue("identity", "unlink", "anonymous_id:v/1", "user_id:ruth", "--url", url)
            assert parted.returncode == 0, parted.stderr
            await until(client, USER, "completed-buyer", inside=False)
            await until(client, VISITOR, "completed-buyer", inside=True)
            await client.call(call("identify", anonymousId="v/1", userId="ruth"))
            await client.settle()
            assert "completed-buyer" not in await segments(client, USER)
            assert (await client.links(USER))["links"][0]["status"] == "withdrawn"
            ledger = await client.ledger()
            assert ledger["published"] == ledger["folded"] + ledger["duplicate"] == 4
