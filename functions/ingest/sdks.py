"""What SDKs ask before they send: settings that let them work with nothing but our address."""

from typing import Any

from starlette.requests import Request

from segue.domain.event import Json

NO_DESTINATIONS: list[Json] = []
"""Segue forwards events by itself; no SDK has to load anything that would."""


def segment_settings(write_key: str, request: Request) -> dict[str, Json]:
    """What analytics.js loads from its `cdnURL`: that it sends to the address it has asked, and to nobody else.

    Without `Segment.io` among the integrations it would send nothing.
    """
    to_us = {
        "apiKey": write_key,
        "apiHost": f"{request.url.netloc}/v1",
        "protocol": _scheme(request),
        "addBundledMetadata": False,
        "unbundledIntegrations": NO_DESTINATIONS,
        "bundledConfigIds": NO_DESTINATIONS,
    }
    return {
        "integrations": {"Segment.io": to_us},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "remotePlugins": NO_DESTINATIONS,
        "metrics": {"sampleRate": 0},
        "analyticsNextEnabled": True,
    }


def rudderstack_source(id_: str, name: str, write_key: str) -> dict[str, Json]:
    """What RudderStack's SDKs load from their `configUrl`: a source in use, of which they report no figures."""
    quiet: dict[str, Any] = {"errors": {"enabled": False}, "metrics": {"enabled": False}}
    return {
        "source": {
            "id": id_,
            "name": name,
            "writeKey": write_key,
            "enabled": True,
            "workspaceId": "segue",
            "config": {"statsCollection": quiet},
            "destinations": NO_DESTINATIONS,
            "connections": NO_DESTINATIONS,
        }
    }


def _scheme(request: Request) -> str:
    """As the browser speaks to us. Where a proxy ends TLS it says so; who lies here misleads only himself."""
    return "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
