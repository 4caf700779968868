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
from segue.domain.enrichment.user_agent import Client, client, is_browsers
from segue.domain.event import Event, Json

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

NO_ADDRESS: Final = ("", "0.0.0.0")  # noqa: S104  # nothing is bound to it: SDKs send it for "none of your business"


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


def without_address(call: Json) -> tuple[Json, str | None]:
    """A call or an envelope as it was sent without the visitor's IP address, and the address; None if it names none."""
    if not isinstance(call, dict):
        return call, None
    address, context = None, call.get("context")
    if isinstance(context, dict) and "ip" in context:
        address = context["ip"] if isinstance(context["ip"], str) else ""
        call = {**call, "context": {name: value for name, value in context.items() if name != "ip"}}
    if "request_ip" in call:  # RudderStack's name for it
        call = {name: value for name, value in call.items() if name != "request_ip"}
    return call, address


def enriched(event: Event, address: str | None, known: Circumstances = UNKNOWN) -> Event:
    """The event with what is told of its visitor; `address` is the one that its call named."""
    told = _told(event, address, known)
    return msgspec.structs.replace(event, context={**event.context, **told}) if told else event


def _told(event: Event, address: str | None, known: Circumstances) -> dict[str, Json]:
    context = event.context
    told = _of_client(context, known) | _of_page(event)
    if "location" not in context and (place := _place(address, known)):
        told["location"] = place
    return told


def _of_client(context: Mapping[str, Json], known: Circumstances) -> dict[str, Json]:
    user_agent, hints = context.get("userAgent") or known.user_agent, context.get("userAgentData")
    if not isinstance(user_agent, str) or not (user_agent or hints):
        return {}
    found: Client = client(user_agent, hints)
    told: dict[str, Json] = {
        name: _completed(context.get(name), part)
        for name, part in found.told.items()
        if not context.get(name) or (name == "device" and _untyped(context[name]))
    }
    return told | {"bot": True} if found.bot else told


def _untyped(device: Json) -> bool:
    return isinstance(device, dict) and "type" not in device


def _completed(said: Json, part: dict[str, Json]) -> dict[str, Json]:
    return {**said, **part} if said else part


def _of_page(event: Event) -> dict[str, Json]:
    """The campaign and the referrer, of a page that is known by the context or, in a page call, by the properties."""
    page = event.context.get("page") or (event.properties if event.name == "Page Viewed" else None)
    if not isinstance(page, dict):
        return {}
    told: dict[str, Json] = {}
    address = _text(page, "url") or _text(page, "search")
    named = event.context.get("campaign") or campaign(address)
    if named and not event.context.get("campaign"):
        told["campaign"] = named
    if not event.context.get("referrer") and (address or "referrer" in page):
        told["referrer"] = referrer(_text(page, "referrer"), address, _text(named, "medium"))
    return told


def _place(address: str | None, known: Circumstances) -> Place:
    if address is None:
        return known.place
    return {} if address in NO_ADDRESS else known.locate(address)


def _text(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    return value[:LONGEST_ADDRESS] if isinstance(value, str) else ""
