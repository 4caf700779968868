"""The update function: takes membership snapshots from their topic."""

from starlette.requests import Request
from starlette.responses import Response

from functions.update.update import Updater
from segue import entrypoint, wiring
from segue.domain.message import MEMBERSHIPS

wiring.prepare(pushed=True)


@entrypoint.served
async def update(request: Request) -> Response:
    """Acknowledge a membership snapshot once the public profile is at least as new."""
    platform = wiring.platform()
    return await entrypoint.acknowledge(request, platform, "update", MEMBERSHIPS, Updater(platform.ports))
