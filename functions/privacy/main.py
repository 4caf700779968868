"""The privacy function: takes requests to erase visitors from their topic."""

from starlette.requests import Request
from starlette.responses import Response

from functions.privacy.privacy import Eraser
from segue import entrypoint, wiring
from segue.domain.message import ERASURES

wiring.prepare(pushed=True)


@entrypoint.served
async def privacy(request: Request) -> Response:
    """Acknowledge a request once nothing of the visitor is left, and nothing can come back."""
    platform = wiring.platform()
    return await entrypoint.acknowledge(request, platform, "privacy", ERASURES, Eraser(platform.ports))
