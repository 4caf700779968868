"""Ingest: what is told of a visitor by how their events came, and what is never kept of it."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # it ships no types

from segue import wiring
from segue.domain.errors import Invalid
from segue.domain.message import EVENTS_OF_BOTS, EVENTS_RECEIVED, EventsReceived
from segue.settings import Settings
from tests.functions.bad_input import SECRET_KEY
from tests.functions.ingesting import Ingest, ingesting

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

OWN_ADDRESS = "198.51.100.7"
"""From which `ingesting` sends."""

LEAST = {"SEGUE_PROFILE_SECRET": "a secret of the tests"}

VISITORS_ADDRESS = "203.0.113.77"
EMAIL, EMAIL_HASH = "ada@example.com", hashlib.sha256(b"ada@example.com").hexdigest()


def track(**changes: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "messageId": "m-1"} | changes


async def contexts(running: Ingest) -> list[dict[str, Any]]:
    return [event.context for received in await running.published() for event in received.events]


@pytest.fixture
def geoip(tmp_path: Path) -> Path:
    """A MaxMind file in which each of the two addresses has a place."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="GeoLite2-City")
    paris = {
        "country": {"iso_code": "FR"},
        "subdivisions": [{"iso_code": "IDF"}, {"iso_code": "75"}],
        "city": {"names": {"en": "Paris", "de": "Paris"}},
        "location": {"latitude": 48.8566, "longitude": 2.3522, "accuracy_radius": 20},
    }
    writer.insert_network(IPSet([f"{OWN_ADDRESS}/32"]), paris)
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "JP"}})
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": "FR", "subdivisions": [], "location": {"latitude": "x"}})
    file = tmp_path / "places.mmdb"
    writer.to_db_file(str(file))
    return file


async def test_a_browsers_header_tells_of_its_visitor(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as running:
        assert (await running.post("/v1/batch", {"batch": [track()]}, **{"user-agent": CHROME})).status_code == 200
        assert await contexts(running) == [
            {
                "browser": {"name": "Chrome", "version": "124"},
                "os": {"name": "Windows", "version": "10"},
                "device": {"type": "desktop"},
            }
        ]


async def test_an_imported_call_is_not_told_of_by_the_client_that_imports_it(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as running:
        page = {"url": "https://shop.example/?utm_source=news"}
        call = track(timestamp="2024-05-01T00:00:00Z", context={"page": page})
        answer = await running.post("/v1/import", {"batch": [call]}, SECRET_KEY, **{"user-agent": CHROME})
        assert answer.status_code == 200
        assert await contexts(running) == [{"page": page, "campaign": {"source": "news"}}]


async def test_the_address_of_a_connection_becomes_a_place_and_is_dropped(tmp_path: Path, geoip: Path) -> None:
    async with ingesting(tmp_path / "data", environment={"SEGUE_GEOIP": str(geoip)}) as running:
        await running.post("/v1/track", track(), **{"user-agent": CHROME})
        (context,) = await contexts(running)
        place = {"country": "FR", "region": "IDF", "city": "Paris", "latitude": 48.9, "longitude": 2.4}
        assert context["location"] == place


async def test_an_address_that_a_server_names_becomes_a_place_and_is_dropped(tmp_path: Path, geoip: Path) -> None:
    async with ingesting(tmp_path / "data", environment={"SEGUE_GEOIP": str(geoip)}) as running:
        named = {"ip": VISITORS_ADDRESS}
        own = track(context={"ip": "no address"}, messageId="m-2")
        await running.post("/v1/batch", {"batch": [track(), own], "context": named})
        await running.post("/v1/track", track(context=named))
        assert await contexts(running) == [{"location": {"country": "JP"}}, {}, {"location": {"country": "JP"}}]


def test_an_address_that_the_file_does_not_know_or_tells_of_otherwise_is_nowhere(geoip: Path) -> None:
    locate = wiring.places(Settings.from_environment(LEAST | {"SEGUE_GEOIP": str(geoip)}))
    for address in ("192.0.2.1", "8.8.8.8", "2001:db8::1", "fe80::1%eth0", "127.0.0.1", "no address", "", "1" * 400):
        assert locate(address) == {}
    assert locate(f"::ffff:{VISITORS_ADDRESS}") == {"country": "JP"}


async def test_headers_about_the_place_are_believed_only_where_a_setting_says_who_sets_them(tmp_path: Path) -> None:
    forged = {"user-agent": CHROME, "x-client-geo-country": "FR", "x-appengine-country": "DE"}
    for setting, expected in (("", None), ("client-geo", {"country": "FR"}), ("appengine", {"country": "DE"})):
        folder = tmp_path / f"data-{setting}"
        async with ingesting(folder, environment={"SEGUE_GEO_HEADERS": setting}) as running:
            await running.post("/v1/track", track(), **forged)
            (context,) = await contexts(running)
            assert context.get("location") == expected


async def test_no_address_is_kept_or_logged(tmp_path: Path, geoip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    async with ingesting(data, environment={"SEGUE_GEOIP": str(geoip)}) as running:
        named = {"ip": VISITORS_ADDRESS}
        refused = track(event="", context=named, request_ip=VISITORS_ADDRESS)
        batch = {"batch": [track(context=named), refused], "context": named}
        headers = {"user-agent": CHROME, "x-forwarded-for": VISITORS_ADDRESS, "x-real-ip": VISITORS_ADDRESS}
        await running.post("/v1/batch", batch, **headers)
        await running.post("/v1/track", refused, **headers)
        published = b"".join(message.data for message in await running.messages())
        assert b"Product Viewed" in published
    logged = capfd.readouterr()
    files = b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file())
    for place in (published, files, logged.out.encode(), logged.err.encode()):
        assert VISITORS_ADDRESS.encode() not in place
        assert OWN_ADDRESS.encode() not in place


async def test_an_email_address_is_kept_as_its_hash_and_nowhere_as_it_is(tmp_path: Path) -> None:
    async with ingesting(tmp_path) as running:
        identify = {"type": "identify", "userId": "u-1", "messageId": "m-1", "traits": {"email": EMAIL}}
        rudder = {"type": "identify", "userId": "u-1", "messageId": "m-2", "context": {"traits": {"email": EMAIL}}}
        group = {"type": "group", "userId": "u-1", "groupId": "g", "messageId": "m-3", "traits": {"email": EMAIL}}
        bought = track(event="Signed Up", userId="u-1", properties={"email": EMAIL})
        refused = track(event="", properties={"email": EMAIL})
        common = {"traits": {"email": EMAIL}}
        batch = {"batch": [identify, rudder, group, bought, refused], "context": common}
        assert (await running.post("/v1/batch", batch)).status_code == 200
        messages = await running.messages()
        assert EMAIL.encode() not in b"".join(message.data for message in messages)
        events = msgspec.json.decode(messages[0].data, type=EventsReceived).events
        assert [event.traits.get("email") for event in events[:2]] == [EMAIL_HASH] * 2
        assert events[3].properties == {"email": EMAIL_HASH}


async def test_a_source_may_keep_contact_details_as_they_are_sent(tmp_path: Path) -> None:
    async with ingesting(tmp_path, source={"keeps_contact_details": True}) as running:
        await running.post("/v1/identify", {"userId": "u-1", "traits": {"email": EMAIL}})
        ((event,),) = [received.events for received in await running.published()]
        assert event.traits == {"email": EMAIL}


async def test_an_id_that_is_an_email_address_is_accepted_and_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="segue")
    async with ingesting(tmp_path) as running:
        assert (await running.post("/v1/track", track(userId=EMAIL))).status_code == 200
        ((event,),) = [received.events for received in await running.published()]
        assert event.user_id == EMAIL
    assert "email_as_id" in caplog.text
    assert EMAIL not in caplog.text


@pytest.mark.parametrize(("bots", "kind"), [("exclude", EVENTS_OF_BOTS), ("keep", EVENTS_RECEIVED)])
async def test_the_events_of_bots_are_archived_and_only_where_the_source_keeps_them_folded(
    tmp_path: Path, bots: str, kind: str
) -> None:
    async with ingesting(tmp_path, source={"bots": bots}) as running:
        visit = [track(), track(messageId="m-2", context={"userAgent": GOOGLEBOT})]
        await running.post("/v1/batch", {"batch": visit})
        found = {
            event["message_id"]: (message.type, event.get("context", {}).get("bot"))
            for message in await running.messages()
            for event in json.loads(message.data)["events"]
        }
        assert found == {"m-1": (EVENTS_RECEIVED, None), "m-2": (kind, True)}


def test_a_file_that_is_no_maxmind_file_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"no places in here")
    for file in (broken, tmp_path / "missing.mmdb"):
        with pytest.raises(Invalid, match="SEGUE_GEOIP: expected a MaxMind file"):
            wiring.places(Settings.from_environment(LEAST | {"SEGUE_GEOIP": str(file)}))
