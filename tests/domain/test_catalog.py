"""A catalogue is taken whole or refused with the path of each part that is wrong; keys are known by their hash."""

from typing import Any

import pytest

from segue.domain.catalog import Catalog, key_hash, parse, problems
from segue.domain.errors import Invalid
from segue.domain.time import DAY, HOUR, MINUTE, SECOND


def documents(**sections: Any) -> dict[str, Any]:
    """A catalogue with one of everything, some sections replaced."""
    return {
        "sources": {"shop": {"name": "Shop", "write_keys": [key_hash("w1"), key_hash("w2")]}},
        "segments": {"buyer": {"name": "Buyer", "when": {"did": "Order Completed"}}},
        "slots": {
            "hero": {
                "name": "Hero",
                "variants": [{"name": "thanks", "segment": "buyer", "content": {"headline": "Thanks"}}],
                "default": {"headline": "Hello"},
            }
        },
        "destinations": {"crm": {"webhook": {"url": "https://crm.example.com/in", "secret": "crm"}}},
    } | sections


def variant(**fields: Any) -> dict[str, Any]:
    return {"name": "a", "segment": "buyer", "content": {}} | fields


def slot(**fields: Any) -> dict[str, Any]:
    return {"hero": {"name": "Hero", "default": {}} | fields}


def source(**fields: Any) -> dict[str, Any]:
    return {"shop": {"name": "Shop"} | fields}


def storage(**fields: Any) -> dict[str, Any]:
    return {"ads": {"storage": {"provider": "s3", "bucket": "audiences", "secret": "ads", **fields}}}


def webhook(url: str) -> dict[str, Any]:
    return {"crm": {"webhook": {"url": url, "secret": "crm"}}}


def test_what_is_written_is_what_is_read() -> None:
    catalog = parse(documents())
    assert catalog.slots["hero"].variants[0].content == {"headline": "Thanks"}
    assert catalog.segments == {"buyer": {"name": "Buyer", "when": {"did": "Order Completed"}}}
    assert catalog.destinations["crm"].segments is None


def test_settings_are_those_of_the_rules_unless_said_otherwise() -> None:
    said = parse(documents(settings={"lateness": "2h"})).settings
    assert (said.lateness, said.max_age, said.grace) == (2 * HOUR, 30 * DAY, 10 * SECOND)
    assert parse(documents(settings={"grace": "1m"})).settings.grace == MINUTE


def test_an_empty_catalogue_is_a_catalogue() -> None:
    assert parse({}) == Catalog()


@pytest.mark.parametrize(
    ("sections", "path", "message"),
    [
        ({"heat": {}}, "heat", "expected no such field"),
        ({"slots": []}, "slots", "expected a mapping, found []"),
        ({"slots": slot(colour="red")}, "slots.hero.colour", "expected no such field"),
        ({"slots": {"hero": {"name": "Hero"}}}, "slots.hero.default", "expected a value, found nothing"),
        ({"slots": slot(name=5)}, "slots.hero.name", "expected text, found 5"),
        ({"slots": slot(variants={})}, "slots.hero.variants", "expected a list, found {}"),
        (
            {"slots": slot(variants=[variant(), variant(name="b", segment="lost")])},
            "slots.hero.variants[1].segment",
            "expected a segment of this catalogue, found 'lost'",
        ),
        (
            {"slots": slot(variants=[variant(), variant()])},
            "slots.hero.variants[1].name",
            "expected a name no other variant of the slot has, found 'a'",
        ),
        (
            {"slots": slot(variants=[variant(name="default")])},
            "slots.hero.variants[0].name",
            "expected a name no other variant of the slot has, found 'default'",
        ),
        ({"segments": {"Buyer!": {}}}, "segments.Buyer!", "expected an id of lower-case letters"),
        ({"segments": {"buyer": "Order Completed"}}, "segments.buyer", "expected a mapping, found 'Order Completed'"),
        ({"sources": source(identity="yes")}, "sources.shop.identity", "expected to be 'trusted' or 'verified'"),
        (
            {"sources": source(write_keys=["secret"])},
            "sources.shop.write_keys[0]",
            "expected the SHA-256 of a key, 64 hex digits in lower case, found another text",
        ),
        (
            {"sources": source(secret_keys=[key_hash(key) for key in "abc"])},
            "sources.shop.secret_keys",
            "expected at most 2 keys",
        ),
        (
            {"sources": source(write_keys=[key_hash("a")], secret_keys=[key_hash("a")])},
            "sources.shop.write_keys[0]",
            "expected a key that is used once",
        ),
        ({"sources": source(rate={"per_second": 0, "burst": 1})}, "sources.shop.rate.per_second", "greater than"),
        ({"sources": source(rate={"per_second": True, "burst": 1})}, "sources.shop.rate.per_second", "whole number"),
        *(
            ({"sources": source(origins=[origin])}, "sources.shop.origins[0]", "expected an origin such as")
            for origin in ("*", "null", "shop.example.com", "https://shop.example.com/", "https://SHOP.example.com")
        ),
        *(
            ({"destinations": webhook(url)}, "destinations.crm.webhook.url", "expected an address such as")
            for url in ("ftp://crm.example.com", "//crm.example.com", "https://me:secret@crm.example.com", "https://")
        ),
        (
            {"destinations": {"crm": {**webhook("https://crm.example.com")["crm"], "segments": ["lost"]}}},
            "destinations.crm.segments[0]",
            "expected a segment of this catalogue, found 'lost'",
        ),
        ({"destinations": {"crm": {}}}, "destinations.crm", "expected either a webhook or a storage"),
        (
            {"destinations": {"crm": {**webhook("https://crm.example.com")["crm"], **storage()["ads"]}}},
            "destinations.crm",
            "expected either a webhook or a storage",
        ),
        (
            {"destinations": storage(provider="ftp")},
            "destinations.ads.storage.provider",
            "expected to be 's3' or 'gcs'",
        ),
        ({"destinations": storage(bucket="A")}, "destinations.ads.storage.bucket", "expected the name of a bucket"),
        ({"destinations": storage(prefix="../up/")}, "destinations.ads.storage.prefix", "expected a prefix such as"),
        ({"destinations": storage(prefix="a")}, "destinations.ads.storage.prefix", "expected a prefix such as"),
        ({"destinations": storage(endpoint="file:///x")}, "destinations.ads.storage.endpoint", "expected an address"),
        ({"destinations": storage(full_every="1")}, "destinations.ads.storage.full_every", "expected a duration"),
        (
            {"destinations": storage(identifier="email", hashed=False)},
            "destinations.ads.storage",
            "an e-mail address is told as its hash alone",
        ),
        (
            {"destinations": {**storage(), "mail": storage()["ads"]}},
            "destinations.mail.storage.prefix",
            "expected another one than that of 'ads'",
        ),
        (
            {"destinations": storage(purposes=["adds"]), "consent": {"purposes": {"ads": {}}}},
            "destinations.ads.storage.purposes[0]",
            "expected a purpose of consent.purposes, found 'adds'",
        ),
        ({"settings": {"lateness": 5}}, "settings.lateness", "expected a duration such as 10m"),
        ({"settings": {"lateness": "0m"}}, "settings.lateness", "expected a duration such as 10m"),
    ],
)
def test_a_wrong_part_is_named_with_what_was_expected(sections: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(documents(**sections))
    assert raised.value.path == path
    assert message in str(raised.value)


def test_every_wrong_part_is_named() -> None:
    found = problems(documents(slots=slot(name="", colour="red"), settings={"grace": 1}))
    assert {problem.path for problem in found} == {"slots.hero.name", "slots.hero.colour", "settings.grace"}


@pytest.mark.parametrize("origin", ["https://shop.example.com", "http://localhost:8080", "http://[::1]:8080"])
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    assert parse(documents(sources=source(origins=[origin]))).sources["shop"].origins == (origin,)


def test_both_live_keys_of_a_source_are_known() -> None:
    catalog = parse(documents())
    assert catalog.source_of_write_key("w1") == catalog.source_of_write_key("w2") == ("shop", catalog.sources["shop"])


@pytest.mark.parametrize("key", ["", "w3", "W1", key_hash("w1"), "\ud800"])
def test_no_other_key_is_known_not_even_a_hash(key: str) -> None:
    assert parse(documents()).source_of_write_key(key) is None


def test_a_write_key_is_no_secret_key_and_a_secret_key_no_write_key() -> None:
    catalog = parse(documents(sources=source(write_keys=[key_hash("w")], secret_keys=[key_hash("s")])))
    assert catalog.source_of_secret_key("w") is None
    assert catalog.source_of_write_key("s") is None
    assert catalog.source_of_secret_key("s") == ("shop", catalog.sources["shop"])


def test_keys_of_several_sources_lead_to_their_own() -> None:
    sources = {name: {"name": name, "write_keys": [key_hash(f"{name}-key")]} for name in ("site", "app")}
    catalog = parse(documents(sources=sources))
    assert [(catalog.source_of_write_key(f"{name}-key") or ("",))[0] for name in ("site", "app")] == ["site", "app"]


def test_the_schema_for_editors_knows_the_language_of_conditions() -> None:
    schema = Catalog.model_json_schema()
    (segment,) = schema["properties"]["segments"]["patternProperties"].values()
    assert segment == {"$ref": "#/$defs/Segment"}
    assert {"Did", "Aggregate", "Together", "SequenceLeaf", "Absent", "FirstTime", "Compare"} <= schema["$defs"].keys()
    assert schema["$defs"]["Segment"]["required"] == ["name", "when"]
