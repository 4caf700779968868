"""What the circumstances of a call tell of the visit, as context that conditions can ask for; their address is dropped.

| in the context | from |
| --- | --- |
| `browser`, `os`, `device.type`, `bot` | `userAgentData`, `userAgent`, or a browser's own header |
| `campaign` | the `utm_` parts of the page's address |
| `referrer` | the page's referrer, its address, and the campaign's medium |
| `location` | the load balancer's headers, or the IP address in a MaxMind file |

What the sender says itself is never written over, but for `bot`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from segue.domain.enrichment.contact import looks_like_email, without_contact_details
from segue.domain.enrichment.place import GeoHeaders, Locate, Place, nowhere, place_by_headers, placed
from segue.domain.enrichment.referral import campaign, referrer
from segue.domain.enrichment.user_agent import client, is_browsers
from segue.domain.event import Json

__all__ = [
    "UNKNOWN",
    "Circumstances",
    "GeoHeaders",
    "Locate",
    "Place",
    "circumstances",
    "enriched",
    "looks_like_email",
    "nowhere",
    "place_by_headers",
    "placed",
    "without_address",
    "without_contact_details",
]

LONGEST_ADDRESS: Final = 2_048
"""Characters of a page's address that are looked at."""

NOTHING: Final[Mapping[str, Json]] = {}

NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # nothing is bound to it: SDKs send it for "none of your business"


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What a request tells of the visitors in it by how it came.

    `user_agent` and `place` are the visitor's only where a browser sent the request itself, and empty otherwise.
    `locate` finds the place of an address that a call names.
    """

    user_agent: str = ""
    place: Place = {}
    locate: Locate = nowhere


UNKNOWN: Final = Circumstances()
"""Those of a log: nothing is known of how its calls once came."""


def circumstances(
    headers: Mapping[str, str], address: str, geo_headers: GeoHeaders | None, locate: Locate
) -> Circumstances:
    """The circumstances of a request from this IP address. One that a server sent tells nothing of its visitors."""
    user_agent = headers.get("user-agent", "")
    if not is_browsers(user_agent):
        return Circumstances(locate=locate)
    place = place_by_headers(headers, geo_headers) if geo_headers else locate(address)
    return Circumstances(user_agent=user_agent, place=place, locate=locate)


def without_address(call: Json) -> Json:
    """A call as it was sent, without the visitor's IP address."""
    if not isinstance(call, dict):
        return call
    rest = {name: value for name, value in call.items() if name != "request_ip"}  # RudderStack's name for it
    if isinstance(context := call.get("context"), dict):
        rest["context"] = {name: value for name, value in context.items() if name != "ip"}
    return rest


def enriched(
    context: dict[str, Json], name: str, properties: Mapping[str, Json], known: Circumstances = UNKNOWN
) -> dict[str, Json]:
    """An event's context with what is told of its visitor, and without their IP address."""
    told = {**context, **_of_client(context, known), **_of_page(context, name, properties), **_of_place(context, known)}
    told.pop("ip", None)
    return told


def _of_client(context: Mapping[str, Json], known: Circumstances) -> Mapping[str, Json]:
    user_agent, hints = context.get("userAgent") or known.user_agent, context.get("userAgentData")
    if not isinstance(user_agent, str) or not (user_agent or hints):
        return NOTHING
    found = client(user_agent, hints)
    told = {part: says for part, says in found.told.items() if not context.get(part)}
    if "device" not in told and isinstance(device := context.get("device"), dict) and "type" not in device:
        told["device"] = {**device, **found.told.get("device", {})}
    return {**told, "bot": True} if found.bot else told


def _of_page(context: Mapping[str, Json], name: str, properties: Mapping[str, Json]) -> Mapping[str, Json]:
    """The campaign and the referrer, of a page that is known by the context or, in a page call, by the properties."""
    page = context.get("page") or (properties if name == "Page Viewed" else None)
    if not isinstance(page, dict):
        return NOTHING
    told: dict[str, Json] = {}
    address = _text(page, "url") or _text(page, "search")
    named = context.get("campaign") or campaign(address)
    if named and not context.get("campaign"):
        told["campaign"] = named
    came_from = referrer(_text(page, "referrer"), address, _text(named, "medium"))
    # A page that says nothing of a referrer is not known to have none.
    if not context.get("referrer") and ("referrer" in page or came_from["type"] != "direct"):
        told["referrer"] = came_from
    return told


def _of_place(context: Mapping[str, Json], known: Circumstances) -> Mapping[str, Json]:
    """The place of the address that the sender names, or else of where the visitor's own request came from."""
    if context.get("location"):
        return NOTHING
    address = context.get("ip")
    place = known.place if address is None else known.locate(address) if _is_address(address) else NOTHING
    return {"location": place} if place else NOTHING


def _is_address(value: Json) -> bool:
    return isinstance(value, str) and value != NO_ADDRESS


def _text(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    return value[:LONGEST_ADDRESS] if isinstance(value, str) else ""
