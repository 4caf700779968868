"""The environment is read once, and what is missing or broken in it is one clear error."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from segue.domain.errors import Invalid
from segue.settings import Settings

LEAST = {"SEGUE_PROFILE_SECRET": "sixteen bytes or more"}
GOOGLE = LEAST | {"SEGUE_PLATFORM": "google", "SEGUE_PROJECT": "shop-1"}
CLOUD = GOOGLE | {"K_SERVICE": "ingest", "SEGUE_ARCHIVE_DATASET": "archive"}
PUSH = {"SEGUE_PUSH_AUDIENCE": "segue-update", "SEGUE_PUSH_ACCOUNT": "push@shop-1.iam.gserviceaccount.com"}

EVERYTHING = {
    "SEGUE_DATA": "/data",
    "SEGUE_CATALOG_DATABASE": "definitions",
    "SEGUE_ARCHIVE_DATASET": "messages",
    "SEGUE_PUSH_AUDIENCE": "https://segue.example",
    "SEGUE_PUSH_ACCOUNT": "push@shop-1.iam.gserviceaccount.com",
    "SEGUE_WEBHOOK_SECRETS": '{"hook": "s3cret"}',
    "SEGUE_GEO_HEADERS": "appengine",
    "SEGUE_GEOIP": "/geo/places.mmdb",
    "SEGUE_STORAGE_SECRETS": '{"ads": {"access_key_id": "a", "secret_access_key": "b"}}',
    "SEGUE_IDENTITY_SECRETS": '{"shop": "a secret of at least 32 bytes..."}',
    "SEGUE_RECENT_MS": "1000",
    "SEGUE_ALLOW_PRIVATE_DESTINATIONS": "true",
}

OWN_CERTIFICATES = {"SEGUE_PUSH_CERTIFICATES": "/data/certificates.json"}


def test_a_laptop_needs_a_secret_and_nothing_else() -> None:
    settings = Settings.from_environment(LEAST)
    assert settings.platform == "embedded"
    assert settings.data == Path(".segue")
    assert settings.webhook_secrets == settings.identity_secrets == {}
    assert settings.recent_ms == 250
    assert settings.storage_secrets == {}
    assert not settings.allow_private_destinations


def test_everything_can_be_said() -> None:
    settings = Settings.from_environment(GOOGLE | EVERYTHING | OWN_CERTIFICATES)
    assert (settings.platform, settings.project, settings.data) == ("google", "shop-1", Path("/data"))
    assert settings.catalog_database == "definitions"
    assert settings.archive_dataset == "messages"
    assert settings.push_audience == "https://segue.example"
    assert settings.push_account == "push@shop-1.iam.gserviceaccount.com"
    assert settings.push_certificates == Path("/data/certificates.json")
    assert (settings.geo_headers, settings.geoip) == ("appengine", Path("/geo/places.mmdb"))
    assert settings.webhook_secrets == {"hook": "s3cret"}
    assert settings.storage_secrets == {"ads": {"access_key_id": "a", "secret_access_key": "b"}}
    assert settings.identity_secrets == {"shop": "a secret of at least 32 bytes..."}
    assert settings.recent_ms == 1_000
    assert settings.allow_private_destinations


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, "SEGUE_PROFILE_SECRET"),
        ({"SEGUE_PROFILE_SECRET": ""}, "SEGUE_PROFILE_SECRET"),
        ({"SEGUE_PROFILE_SECRET": "fifteen bytes.."}, "SEGUE_PROFILE_SECRET"),
        (LEAST | {"SEGUE_PLATFORM": "amazon"}, "SEGUE_PLATFORM"),
        (LEAST | {"SEGUE_PLATFORM": "google"}, "SEGUE_PROJECT"),
        (LEAST | {"SEGUE_PUSH_AUDIENCE": "https://segue.example"}, "SEGUE_PUSH_ACCOUNT"),
        (LEAST | {"SEGUE_PUSH_ACCOUNT": "push@shop-1"}, "SEGUE_PUSH_AUDIENCE"),
        (LEAST | {"SEGUE_RECENT_MS": "1001"}, "SEGUE_RECENT_MS"),
        (LEAST | {"SEGUE_RECENT_MS": "-1"}, "SEGUE_RECENT_MS"),
        (LEAST | {"SEGUE_WEBHOOK_SECRETS": "{"}, "SEGUE_WEBHOOK_SECRETS"),
        (LEAST | {"SEGUE_WEBHOOK_SECRETS": '{"hook": 5}'}, "SEGUE_WEBHOOK_SECRETS"),
        (LEAST | {"SEGUE_IDENTITY_SECRETS": '{"a": "not quite thirty-two bytes"}'}, "SEGUE_IDENTITY_SECRETS.a"),
        (LEAST | {"SEGUE_STORAGE_SECRETS": '{"ads": "key:secret"}'}, "SEGUE_STORAGE_SECRETS"),
        (LEAST | {"SEGUE_GEO_HEADERS": "x-country"}, "SEGUE_GEO_HEADERS"),
        (LEAST | {"SEGUE_ALLOW_PRIVATE_DESTINATIONS": "yes"}, "SEGUE_ALLOW_PRIVATE_DESTINATIONS"),
        (CLOUD | {"FIRESTORE_EMULATOR_HOST": "localhost:1"}, "FIRESTORE_EMULATOR_HOST"),
        (CLOUD | {"PUBSUB_EMULATOR_HOST": ""}, "PUBSUB_EMULATOR_HOST"),
        (CLOUD | {"BIGQUERY_EMULATOR_HOST": "localhost:1"}, "BIGQUERY_EMULATOR_HOST"),
        (LEAST | {"K_SERVICE": "ingest"}, "SEGUE_PLATFORM"),
        (GOOGLE | {"K_SERVICE": "ingest"}, "SEGUE_ARCHIVE_DATASET"),
        (CLOUD | {"SEGUE_PUSH_ACOUNT": "push@shop-1"}, "SEGUE_PUSH_ACOUNT"),
        (CLOUD | OWN_CERTIFICATES, "SEGUE_PUSH_CERTIFICATES"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_variable_that_is_missing_or_broken_is_named(environment: Mapping[str, str], variable: str) -> None:
    with pytest.raises(Invalid) as refused:
        Settings.from_environment(environment)
    assert refused.value.path == variable


def test_emulators_and_variables_of_others_are_for_laptops() -> None:
    laptop = GOOGLE | {"FIRESTORE_EMULATOR_HOST": "localhost:1", "SEGUE_WRITE_KEY": "of an example"}
    assert Settings.from_environment(laptop).project == "shop-1"


def test_in_the_cloud_every_variable_of_ours_is_one_that_is_read() -> None:
    assert Settings.from_environment(CLOUD | EVERYTHING).catalog_database == "definitions"


def test_in_the_cloud_a_function_that_is_pushed_to_verifies_who_pushes() -> None:
    with pytest.raises(Invalid) as refused:
        Settings.from_environment(CLOUD, pushed=True)
    assert refused.value.path == "SEGUE_PUSH_ACCOUNT"
    assert Settings.from_environment(CLOUD | PUSH, pushed=True).push_audience == "segue-update"
    assert Settings.from_environment(GOOGLE, pushed=True).push_audience == ""


def test_no_secret_is_shown() -> None:
    settings = Settings.from_environment(LEAST | {"SEGUE_WEBHOOK_SECRETS": '{"hook": "a signing key"}'})
    assert "sixteen" not in f"{settings!r} {settings}"
    assert "signing" not in f"{settings!r} {settings}"


def test_no_error_shows_a_secret() -> None:
    with pytest.raises(Invalid) as refused:
        Settings.from_environment({"SEGUE_PROFILE_SECRET": "too short"})
    assert "too short" not in str(refused.value)
