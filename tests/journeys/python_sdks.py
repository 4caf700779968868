"""A visit by the SDKs of PyPI, which send from threads of their own until all is delivered or given up."""

from collections.abc import Mapping, Sequence
from typing import Any

from rudderstack.analytics.client import Client as RudderStackClient  # type: ignore[import-untyped]
from segment.analytics.client import Client as SegmentClient  # type: ignore[import-untyped]

ANONYMOUS_ID = "visitor-1"


def by_segment(address: str, write_key: str, visit: Sequence[Mapping[str, Any]]) -> None:
    """segment-analytics-python, in batches of three."""
    _drive(SegmentClient(write_key, host=address, upload_size=3, upload_interval=0.2), visit)


def by_segment_gzipped(address: str, write_key: str, visit: Sequence[Mapping[str, Any]]) -> None:
    """The same, which packs what it sends."""
    _drive(SegmentClient(write_key, host=address, gzip=True, upload_size=3, upload_interval=0.2), visit)


def by_rudderstack(address: str, write_key: str, visit: Sequence[Mapping[str, Any]]) -> None:
    """rudder-sdk-python, in batches of three."""
    _drive(RudderStackClient(write_key, host=address, upload_size=3, upload_interval=0.2), visit)


def _drive(client: Any, visit: Sequence[Mapping[str, Any]]) -> None:
    ids: dict[str, str] = {"anonymous_id": ANONYMOUS_ID}
    for call in visit:
        if call["type"] == "identify":
            ids = {**ids, "user_id": call["userId"]}
        match call["type"]:
            case "page":
                client.page(name=call["name"], properties=call["properties"], **ids)
            case "track":
                client.track(event=call["event"], properties=call["properties"], **ids)
            case "identify":
                client.identify(traits=call["traits"], **ids)
            case "group":
                client.group(group_id=call["groupId"], traits=call["traits"], **ids)
    client.shutdown()
