"""What a browser says of itself, in names that conditions can ask for, and whether it is a bot's."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import re2  # type: ignore[import-untyped]  # google-re2 ships no types
from crawlerdetect.providers import crawlers, exclusions  # type: ignore[import-untyped]  # it brings no types
from ua_parser import Domain, Resolver, load_lazy_builtins
from ua_parser.re2 import Resolver as LinearResolver

from segue.domain.event import Json

LONGEST: Final = 512
"""Characters of a user agent that are looked at; browsers' have about 150."""

MOST_KEPT: Final = 4_096
"""User agents whose reading is remembered; a site meets some hundreds a day."""

DEVICES: Final = (
    ("tv", ("TV", "Web0S", "Roku")),
    ("tablet", ("iPad", "Tablet;", "Kindle", "PlayBook")),
    ("mobile", ("Mobi", "iPhone", "iPod", "Opera Mini")),
    ("tablet", ("Android",)),
    ("desktop", ("Windows", "Macintosh", "X11", "CrOS", "Linux")),
)
"""What a device is, by the first row of which a word stands in the user agent."""

BRANDS: Final = {
    "Google Chrome": "Chrome",
    "Microsoft Edge": "Edge",
    "Chromium": "Chromium",
    "HeadlessChrome": "Chrome",
}
"""Names of `userAgentData`, as the user agent's are."""

SYSTEMS: Final = {"Mac OS X": "macOS", "Mac OS": "macOS", "Chrome OS": "ChromeOS", "Chromium OS": "ChromeOS"}
"""Operating systems by the names their makers use today."""

_VARIANT: Final = re.compile(r"^Mobile |^Headless| Mobile\b| WebView\b| UI/WKWebView| iOS$")
"""What ua-parser adds to the name of a browser for where it runs: `os` and `device` say that."""


Brand: TypeAlias = tuple[str, str]
"""A browser's name and version as its hints say them; the version is empty if they do not."""

MOST_BRANDS: Final = 20


class Client(NamedTuple):
    """What is known of a visitor's client: `browser`, `os` and `device` as an event's context has them."""

    told: Mapping[str, dict[str, Json]]
    bot: bool


def is_browsers(user_agent: str) -> bool:
    """Whether this is a browser's, or a bot's that looks like one; libraries that send for others say who they are."""
    return user_agent.startswith(("Mozilla/", "Opera/"))


def client(user_agent: str, hints: Json = None) -> Client:
    """What a client's user agent tells, and its `userAgentData` (Chromium's client hints), which goes before it."""
    if not isinstance(hints, dict):
        return _client(user_agent[:LONGEST])
    platform, mobile = hints.get("platform"), hints.get("mobile")
    return _client(
        user_agent[:LONGEST],
        _brands(hints.get("brands")),
        platform[:LONGEST] if isinstance(platform, str) else "",
        mobile if isinstance(mobile, bool) else None,
    )


def _brands(said: Json) -> tuple[Brand, ...]:
    """The brands that hints name, without those that are there lest anybody rely on their form (`Not.A/Brand`)."""
    brands = []
    for each in said[:MOST_BRANDS] if isinstance(said, list) else ():
        name, version = (each.get("brand"), each.get("version")) if isinstance(each, dict) else (None, None)
        if isinstance(name, str) and "Brand" not in name:
            brands.append((name[:LONGEST], version[:LONGEST] if isinstance(version, str) else ""))
    return tuple(brands)


@lru_cache(MOST_KEPT)
def _client(user_agent: str, brands: tuple[Brand, ...] = (), platform: str = "", mobile: bool | None = None) -> Client:
    if is_bot(user_agent) or any("Headless" in name for name, _ in brands):
        return Client({"device": {"type": "bot"}}, True)
    told = _by_user_agent(user_agent)
    # Every relative of Chrome names Chromium too: the other one is the browser.
    for name, version in sorted(brands, key=lambda brand: brand[0] == "Chromium")[:1]:
        told["browser"] = _named(BRANDS.get(name, name), version)
    system = SYSTEMS.get(platform, platform)
    if system and told.get("os", {}).get("name") != system:
        told["os"] = _named(system, "")
    if mobile is not None:
        told["device"] = {"type": "mobile" if mobile else "tablet" if platform == "Android" else "desktop"}
    return Client(told, False)


def _by_user_agent(user_agent: str) -> dict[str, dict[str, Json]]:
    told: dict[str, dict[str, Json]] = {}
    found = _parser()(user_agent, Domain.USER_AGENT | Domain.OS)
    if found.user_agent:
        told["browser"] = _named(_VARIANT.sub("", found.user_agent.family), found.user_agent.major or "")
    if found.os:
        version = ".".join(part for part in (found.os.major, found.os.minor) if part)
        told["os"] = _named(SYSTEMS.get(found.os.family, found.os.family), version)
    type_ = next((type_ for type_, words in DEVICES if any(word in user_agent for word in words)), None)
    if type_:
        told["device"] = {"type": type_}
    return told


def _named(name: str, version: str) -> dict[str, Json]:
    return {"name": name, "version": version} if version else {"name": name}


def is_bot(user_agent: str) -> bool:
    """Whether crawlerdetect's patterns know it: crawlers, monitors, link previews, headless browsers, libraries."""
    rest, (linear, others) = _usual_parts().sub("", user_agent), _bots()
    return bool(linear.search(rest) or others.search(rest))


@cache
def _usual_parts() -> Any:
    return _linear(exclusions.data)


@cache
def _bots() -> tuple[Any, re.Pattern[str]]:
    """The patterns of bots, and the few of them that look ahead, which RE2 does not.

    One pattern of them all takes Python's own `re` 16 ms on 512 letters, and anybody may send these.
    """
    ahead = [pattern for pattern in crawlers.data if "(?" in pattern]
    return _linear([p for p in crawlers.data if p not in ahead]), re.compile("|".join(ahead), re.IGNORECASE)


def _linear(patterns: list[str]) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    return re2.compile("|".join(patterns), options)


@cache
def _parser() -> Resolver:
    """ua-parser's patterns by RE2: 20 µs where `re` takes 500 µs, and linear, whatever is sent. Made in 17 ms, on the
    first visitor's time: all of the patterns, those of devices too and each for `re` besides, would take 110."""
    browsers, systems, _ = load_lazy_builtins()
    return LinearResolver((browsers, systems, []))
