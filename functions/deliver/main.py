"""The deliver function: takes membership snapshots, and deliveries and exports that are due, from their topics."""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from functions.deliver.deliver import Deliverer
from segue import entrypoint, wiring
from segue.domain.message import MEMBERSHIPS

wiring.prepare(pushed=True)


@lru_cache(maxsize=1)
def _deliverer(platform: wiring.Platform) -> Deliverer:
    return Deliverer(platform.ports, platform.catalogs, platform.settings.webhook_secrets)


@entrypoint.served
async def deliver(request: Request) -> Response:
    """Acknowledge a message once what it brings is delivered, waits in a retry topic, or is given up."""
    platform = wiring.platform()
    return await entrypoint.acknowledge(request, platform, "deliver", MEMBERSHIPS, _deliverer(platform))
