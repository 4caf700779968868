"""What brought a visitor: the campaign that the page's address names, and the kind of page they came from."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from segue.domain.event import Json

Kind: TypeAlias = Literal["paid", "email", "search", "social", "internal", "direct", "other"]

LONGEST_VALUE: Final = 256
"""Characters kept of a campaign's part."""

MOST_KEPT: Final = 4_096
"""Addresses whose reading is remembered; those of a visit are few."""

MOST_FIELDS: Final = 100
"""Parts of a query that are read."""

CAMPAIGN: Final = {
    "utm_campaign": "name",
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_term": "term",
    "utm_content": "content",
}
"""The parts of an address that name a campaign, by their names in Segment's `context.campaign`."""

CLICK_IDS: Final = ("gclid=", "gbraid=", "wbraid=", "msclkid=", "dclid=", "yclid=")
"""What advertising systems add to the address behind a paid click."""

MEDIA: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(
        ("cpc", "ppc", "cpm", "cpv", "cpa", "paid", "display", "banner", "affiliate", "retargeting"), "paid"
    ),
    **dict.fromkeys(("paidsearch", "paid-search", "paid_search", "paidsocial", "paid-social", "paid_social"), "paid"),
    **dict.fromkeys(("email", "e-mail", "e_mail", "newsletter"), "email"),
    **dict.fromkeys(("social", "social-media", "social_media", "sm"), "social"),
    "organic": "search",
}
"""What a campaign's medium says, whatever page the visitor came from."""

SITES: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("mail.google.com", "com.google.android.gm", "outlook.live.com", "outlook.office.com"), "email"),
    **dict.fromkeys(("mail.yahoo.com", "mail.proton.me", "mail.aol.com", "webmail.free.fr", "mail.ru"), "email"),
    **dict.fromkeys(("bing.com", "duckduckgo.com", "ecosia.org", "qwant.com", "startpage.com", "baidu.com"), "search"),
    **dict.fromkeys(("search.brave.com", "kagi.com", "naver.com", "seznam.cz", "sogou.com", "so.com"), "search"),
    **dict.fromkeys(
        ("com.google.android.googlequicksearchbox", "ask.com", "search.aol.com", "swisscows.com"), "search"
    ),
    **dict.fromkeys(
        ("facebook.com", "instagram.com", "threads.net", "linkedin.com", "lnkd.in", "youtube.com"), "social"
    ),
    **dict.fromkeys(
        ("x.com", "twitter.com", "t.co", "bsky.app", "reddit.com", "pinterest.com", "tiktok.com"), "social"
    ),
    **dict.fromkeys(("t.me", "web.telegram.org", "wa.me", "web.whatsapp.com", "vk.com", "weibo.com"), "social"),
    **dict.fromkeys(
        ("snapchat.com", "discord.com", "mastodon.social", "quora.com", "medium.com", "xing.com"), "social"
    ),
}
"""Sites and apps by their domain; one below it is of the same kind."""

_IN_MANY_COUNTRIES: Final = re.compile(r"(.+\.)?(google|yahoo|yandex|pinterest)\.((com?\.)?[a-z]{2,3})")
_COUNTRY_SITES: Final[Mapping[str, Kind]] = {"pinterest": "social"}
"""Those of the sites in many countries that are no search engines."""


@lru_cache(MOST_KEPT)
def campaign(address: str) -> dict[str, Json]:
    """The campaign that an address, or the query of one, names by its `utm_` parts; empty if it names none."""
    if "utm_" not in address:
        return {}
    query = address.partition("?")[2] or address
    try:
        parts = parse_qsl(query.partition("#")[0], max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError:
        return {}
    return {CAMPAIGN[name]: value[:LONGEST_VALUE] for name, value in reversed(parts) if name in CAMPAIGN}


@lru_cache(MOST_KEPT)
def referrer(url: str, page: str, medium: str) -> Mapping[str, str]:
    """Where a visitor came from: the address without its query, which may hold what they searched for, the domain, and
    the kind. `page` is the address of the page they are on, `medium` that of its campaign; each is empty if unknown."""
    domain = _domain(url)
    kind = _kind(domain, page, medium.lower())
    if not domain:
        return {"type": kind}
    parts = urlsplit(url)
    return {"url": f"{parts.scheme}://{parts.hostname}{parts.path}", "domain": domain, "type": kind}


def _kind(domain: str, page: str, medium: str) -> Kind:
    if medium in MEDIA:
        return MEDIA[medium]
    if any(click in page for click in CLICK_IDS):
        return "paid"
    if not domain:
        return "direct"
    if _same_site(domain, _domain(page)):
        return "internal"
    return next((SITES[each] for each in _with_parents(domain) if each in SITES), None) or _kind_in_countries(domain)


def _kind_in_countries(domain: str) -> Kind:
    found = _IN_MANY_COUNTRIES.fullmatch(domain)
    return _COUNTRY_SITES.get(found[2], "search") if found else "other"


def _with_parents(domain: str) -> Iterator[str]:
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _same_site(one: str, other: str) -> bool:
    return bool(other) and (one == other or one.endswith(f".{other}") or other.endswith(f".{one}"))


def _domain(url: str) -> str:
    """The domain of an address without `www.`; empty for what is none, such as RudderStack's `$direct`."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
