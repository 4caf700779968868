"""What the circumstances of a call tell of the visit, and what is not kept of it."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.domain.enrichment import (
    UNKNOWN,
    Circumstances,
    Place,
    circumstances,
    enriched,
    looks_like_email,
    place_by_headers,
    placed,
    without_address,
    without_contact_details,
)
from segue.domain.enrichment.referral import campaign, referrer
from segue.domain.enrichment.user_agent import LONGEST, client

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 "


READ = (
    *("userAgent", "userAgentData", "brands", "brand", "version", "platform", "mobile", "browser", "os", "device"),
    *("type", "bot", "page", "url", "search", "referrer", "campaign", "medium", "location", "ip", "email", "phone"),
)
"""Every name that is looked for."""


def told(known: Circumstances = UNKNOWN, **context: Any) -> dict[str, Any]:
    return enriched(context, "Product Viewed", {}, known)


@pytest.mark.parametrize(
    ("user_agent", "browser", "os", "device"),
    [
        (f"{WINDOWS}Chrome/124.0.0.0 Safari/537.36", "Chrome 124", "Windows 10", "desktop"),
        (f"{WINDOWS}Chrome/124.0.0.0 Safari/537.36 Edg/124.0.2478.51", "Edge 124", "Windows 10", "desktop"),
        (f"{WINDOWS}Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0", "Opera 110", "Windows 10", "desktop"),
        (f"{MAC}Version/17.4 Safari/605.1.15", "Safari 17", "macOS 10.15", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", "Firefox 125", "Linux", "desktop"),
        (f"{IPHONE}Version/17.4 Mobile/15E148 Safari/604.1", "Safari 17", "iOS 17.4", "mobile"),
        (f"{IPHONE}CriOS/124.0.6367.71 Mobile/15E148 Safari/604.1", "Chrome 124", "iOS 17.4", "mobile"),
        (f"{IPHONE}FxiOS/125.0 Mobile/15E148 Safari/605.1.15", "Firefox 125", "iOS 17.4", "mobile"),
        (f"{ANDROID}Mobile Safari/537.36", "Chrome 124", "Android 10", "mobile"),
        (f"{ANDROID}Safari/537.36", "Chrome 124", "Android 10", "tablet"),
        ("Mozilla/5.0 (Android 13; Tablet; rv:125.0) Gecko/125.0 Firefox/125.0", "Firefox 125", "Android 13", "tablet"),
        (
            "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 Chrome/79.0.3945.79 Safari",
            "Chrome 79",
            "Web0S",
            "tv",
        ),
    ],
)
def test_a_browser_is_known_by_its_user_agent(user_agent: str, browser: str, os: str, device: str) -> None:
    found = told(userAgent=user_agent)
    assert [" ".join(found[part].values()) for part in ("browser", "os", "device")] == [browser, os, device]
    assert "bot" not in found


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1; +https://openai.com/gptbot)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/124.0.0.0 Safari/537.36",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "python-requests/2.31.0",
        "curl/8.5.0",
    ],
)
def test_a_bot_is_known_by_its_user_agent(user_agent: str) -> None:
    found = told(userAgent=user_agent)
    assert (found["bot"], found["device"]) == (True, {"type": "bot"})
    assert "browser" not in found


def test_nothing_follows_from_what_no_browser_says() -> None:
    odd: list[Any] = ["", "x", "\x00", 5, {}, ["Chrome"]]
    for user_agent in odd:
        assert told(userAgent=user_agent).keys() <= {"userAgent"}


def test_a_user_agent_is_looked_at_up_to_its_longest_useful_length() -> None:
    assert client("x" * LONGEST + " Googlebot") == client("x" * LONGEST)


CHROME = {"brand": "Google Chrome", "version": "124"}
CHROMIUM = {"brand": "Chromium", "version": "124"}
NOT_A_BRAND = {"brand": "Not-A.Brand", "version": "99"}


@pytest.mark.parametrize(
    ("hints", "browser", "os", "device"),
    [
        (
            {"brands": [NOT_A_BRAND, CHROMIUM, CHROME], "mobile": False, "platform": "macOS"},
            "Chrome",
            "macOS",
            "desktop",
        ),
        ({"brands": [CHROMIUM], "mobile": True, "platform": "Android"}, "Chromium", "Android", "mobile"),
        ({"brands": [CHROME], "mobile": False, "platform": "Android"}, "Chrome", "Android", "tablet"),
        ({"platform": "Windows"}, "Firefox", "Windows", "desktop"),
        ({"brands": "Chrome", "mobile": "yes", "platform": 5}, "Firefox", "Windows", "desktop"),
        ({"brands": [None, {"brand": 5}, {"brand": "Opera", "version": 9}]}, "Opera", "Windows", "desktop"),
    ],
)
def test_the_hints_of_a_browser_go_before_its_user_agent(hints: Any, browser: str, os: str, device: str) -> None:
    user_agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0"
    found = told(userAgent=user_agent, userAgentData=hints)
    assert (found["browser"]["name"], found["os"]["name"], found["device"]["type"]) == (browser, os, device)


def test_a_browser_that_its_hints_call_headless_is_a_bot() -> None:
    assert told(userAgentData={"brands": [{"brand": "HeadlessChrome", "version": "124"}]})["bot"] is True


def test_what_the_sender_says_itself_is_not_written_over() -> None:
    said: dict[str, Any] = {
        "browser": {"name": "Own"},
        "os": {"name": "iPhone OS"},
        "device": {"type": "ios"},
        "campaign": {"source": "own"},
        "referrer": {"type": "own"},
        "location": {"country": "FR"},
        "userAgent": f"{WINDOWS}Chrome/124.0.0.0 Safari/537.36",
        "page": {"url": "https://shop.example/?utm_source=other", "referrer": "https://google.com/"},
    }
    assert told(Circumstances(place={"country": "DE"}), **said) == said


def test_a_device_that_is_named_without_its_type_gets_it() -> None:
    found = told(userAgent=f"{ANDROID}Mobile Safari/537.36", device={"model": "Pixel 8"})
    assert found["device"] == {"model": "Pixel 8", "type": "mobile"}


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("https://shop.example/?utm_campaign=Spring+Sale&utm_source=news", {"name": "Spring Sale", "source": "news"}),
        ("?utm_medium=cpc&utm_term=red%20dress&utm_content=b", {"medium": "cpc", "term": "red dress", "content": "b"}),
        ("https://shop.example/?utm_source=a&utm_source=b#?utm_source=c", {"source": "a"}),
        ("https://shop.example/?utm_source=", {}),
        ("https://shop.example/utm_source", {}),
        ("?utm_source=%ff&utm_other=x", {"source": "\ufffd"}),
        ("?utm_source=" + "x" * 1_000, {"source": "x" * 256}),
        ("?utm_source=x" + "&a=b" * 1_000, {}),
    ],
)
def test_a_campaign_is_what_the_address_names(address: str, named: dict[str, str]) -> None:
    assert campaign(address) == named


PAGE = "https://www.shop.example/dresses"


@pytest.mark.parametrize(
    ("url", "page", "medium", "domain", "kind"),
    [
        ("https://www.google.com/search?q=dress", PAGE, "", "google.com", "search"),
        ("https://www.google.co.uk/", PAGE, "", "google.co.uk", "search"),
        ("https://duckduckgo.com/", PAGE, "", "duckduckgo.com", "search"),
        ("https://mail.google.com/mail/u/0", PAGE, "", "mail.google.com", "email"),
        ("android-app://com.google.android.gm/", PAGE, "", "com.google.android.gm", "email"),
        ("https://l.facebook.com/l.php?u=x", PAGE, "", "l.facebook.com", "social"),
        ("https://pinterest.fr/", PAGE, "", "pinterest.fr", "social"),
        ("https://t.co/x", PAGE, "", "t.co", "social"),
        ("https://shop.example/cart", PAGE, "", "shop.example", "internal"),
        ("https://pay.shop.example/", PAGE, "", "pay.shop.example", "internal"),
        ("https://blog.example/", PAGE, "", "blog.example", "other"),
        ("https://notgoogle.com/", PAGE, "", "notgoogle.com", "other"),
        ("https://google.evil.example/", PAGE, "", "google.evil.example", "other"),
        ("https://www.google.com/", f"{PAGE}?gclid=1", "", "google.com", "paid"),
        ("https://www.google.com/", PAGE, "CPC", "google.com", "paid"),
        ("", PAGE, "newsletter", None, "email"),
        ("", PAGE, "", None, "direct"),
        ("$direct", PAGE, "", None, "direct"),
        ("https://[broken", PAGE, "", None, "direct"),
    ],
)
def test_a_referrer_is_of_a_kind(url: str, page: str, medium: str, domain: str | None, kind: str) -> None:
    found = referrer(url, page, medium)
    assert (found.get("domain"), found["type"]) == (domain, kind)


def test_a_referrer_is_kept_without_what_was_searched_for_and_without_a_password() -> None:
    assert referrer("https://me:secret@google.com/search?q=rash#x", "", "")["url"] == "https://google.com/search"


def test_the_page_is_the_contexts_or_a_page_calls_own() -> None:
    page = {"url": "https://shop.example/?utm_source=news", "referrer": ""}
    expected = {"campaign": {"source": "news"}, "referrer": {"type": "direct"}}
    assert told(page=page) == {"page": page, **expected}
    assert enriched({}, "Page Viewed", page) == expected


def test_a_page_that_says_nothing_of_a_referrer_is_not_known_to_have_none() -> None:
    assert "referrer" not in told(page={"url": "https://shop.example/"})
    assert told(page={"url": "https://shop.example/?gclid=1"})["referrer"] == {"type": "paid"}


def test_nothing_follows_from_pages_that_are_none() -> None:
    odd: list[Any] = [{}, [], "x", {"url": 5, "search": None}, {"title": "Home"}]
    for page in odd:
        assert told(page=page) == {"page": page}


BROWSER = {"user-agent": f"{WINDOWS}Chrome/124.0.0.0 Safari/537.36"}
GEO = {
    "x-client-geo-country": "FR",
    "x-client-geo-region": "FRIDF",
    "x-client-geo-city": "Saint-Étienne".encode().decode("latin-1"),
    "x-client-geo-citylatlong": "45.4397,4.3872",
}
SAINT_ETIENNE = {"country": "FR", "region": "IDF", "city": "Saint-Étienne", "latitude": 45.4, "longitude": 4.4}


def test_the_load_balancer_says_where_a_browser_is() -> None:
    assert told(circumstances(BROWSER | GEO, "", "client-geo", lambda _: {}))["location"] == SAINT_ETIENNE


def test_only_the_headers_that_the_load_balancer_sets_are_believed() -> None:
    assert "location" not in told(circumstances(BROWSER | GEO, "", "appengine", lambda _: {}))
    assert "location" not in told(circumstances(BROWSER | GEO, "", None, lambda _: {}))


def test_a_server_that_sends_for_its_visitors_says_nothing_of_them_by_how_it_came() -> None:
    found = circumstances({"user-agent": "analytics-node-next/latest"} | GEO, "192.0.2.1", "client-geo", in_paris)
    assert told(found) == {}


def in_paris(address: str) -> Place:
    return {"city": "Paris"} if address == "192.0.2.1" else {}


def test_a_browsers_own_address_or_the_one_that_a_call_names_is_looked_up() -> None:
    own = circumstances(BROWSER, "192.0.2.1", None, in_paris)
    assert told(own)["location"] == {"city": "Paris"}
    assert "location" not in told(own, ip="198.51.100.7")
    assert "location" not in told(own, ip="0.0.0.0")  # noqa: S104  # what SDKs send for: do not look
    assert told(Circumstances(locate=in_paris), ip="192.0.2.1") == {"location": {"city": "Paris"}}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-appengine-country": "ZZ", "x-appengine-region": "?", "x-appengine-city": "?"}, {}),
        ({"x-appengine-country": "us", "x-appengine-region": "ca"}, {"country": "US", "region": "CA"}),
        ({"x-appengine-country": "FR", "x-appengine-citylatlong": "91,0"}, {"country": "FR"}),
        ({"x-appengine-country": "FR", "x-appengine-citylatlong": "nan,x"}, {"country": "FR"}),
    ],
)
def test_what_a_load_balancer_does_not_know_is_left_out(headers: dict[str, str], expected: dict[str, Any]) -> None:
    assert place_by_headers(headers, "appengine") == expected


def test_a_place_is_no_closer_than_some_kilometres() -> None:
    assert placed("FR", "", "", 48.85661, 2.35222) == {"country": "FR", "latitude": 48.9, "longitude": 2.4}


def test_no_address_stays_in_a_call() -> None:
    call = {"type": "track", "context": {"ip": "192.0.2.1", "locale": "fr"}, "request_ip": "192.0.2.1"}
    assert without_address(call) == {"type": "track", "context": {"locale": "fr"}}
    assert told(ip="192.0.2.1", locale="fr") == {"locale": "fr"}
    assert told(ip=5) == {}
    others: list[Any] = [None, 5, "192.0.2.1", [], {"context": "192.0.2.1"}]
    for odd in others:
        assert without_address(odd) == odd


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(READ) | st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(max_examples=40)  # of hundreds of values each
@given(context=st.dictionaries(st.sampled_from(READ), json), properties=st.dictionaries(st.sampled_from(READ), json))
def test_whatever_is_sent_the_rest_stays_as_it_is(context: dict[str, Any], properties: dict[str, Any]) -> None:
    found = enriched(
        context, "Page Viewed", properties, Circumstances(user_agent=BROWSER["user-agent"], locate=in_paris)
    )
    assert found.keys() - context.keys() <= {"browser", "os", "device", "bot", "campaign", "referrer", "location"}
    left_out_or_completed = {"ip", "bot", "device"}
    said = {name: value for name, value in context.items() if value and name not in left_out_or_completed}
    assert {name: found[name] for name in said} == said
    details = without_contact_details(context)
    assert without_contact_details(details) == details


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"email": " Ada@Example.COM "}, {"email": sha256("ada@example.com")}),
        ({"email": "\uff41da@example.com"}, {"email": sha256("ada@example.com")}),
        ({"phone": "+33 6 12-34 56(78)"}, {"phone": sha256("+33612345678")}),
        ({"phone": "0033612345678"}, {"phone": sha256("+33612345678")}),
        ({"phone": 612345678}, {"phone": sha256("612345678")}),
        ({"phone": "unlisted"}, {"phone": sha256("unlisted")}),
        ({"email": sha256("ada@example.com")}, {"email": sha256("ada@example.com")}),
        ({"email": None, "phone": ""}, {"email": None, "phone": ""}),
        ({"email": ["a@b.example"]}, {"email": [sha256("a@b.example")]}),
        ({"email": {"work": "a@b.example"}}, {"email": {"work": sha256("a@b.example")}}),
        ({"company": {"email": "a@b.example"}}, {"company": {"email": sha256("a@b.example")}}),
        ({"friends": [{"phone": "1"}, 5]}, {"friends": [{"phone": sha256("1")}, 5]}),
        ({"emails": 3, "subject": "email"}, {"emails": 3, "subject": "email"}),
    ],
)
def test_contact_details_are_kept_as_hashes(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    for call, expected in (
        ({"traits": sent}, {"traits": kept}),
        ({"properties": sent}, {"properties": kept}),
        ({"context": {"traits": sent, "locale": "fr"}}, {"context": {"traits": kept, "locale": "fr"}}),
    ):
        assert without_contact_details(call) == expected
        assert without_contact_details(expected) == expected


def test_a_call_of_any_form_can_be_asked_for_contact_details() -> None:
    others: list[Any] = [
        None,
        5,
        [],
        {"traits": 5, "properties": [1], "context": "x"},
        {"context": {"traits": "email"}},
    ]
    for odd in others:
        assert without_contact_details(odd) == odd


def test_what_is_too_deep_to_be_accepted_is_not_looked_at_to_its_end() -> None:
    for name in ("a", "email"):
        deep: Any = 1
        for _ in range(900):
            deep = {name: deep}
        without_contact_details({"properties": deep})


def test_an_email_address_is_recognised_among_ids() -> None:
    assert looks_like_email("ada@example.com")
    assert not any(map(looks_like_email, ("ada", "@ada", "ada@home", "a da@example.com", "x@y@example.com")))
