"""The tick function: takes ticks from their topic."""

from starlette.requests import Request
from starlette.responses import Response

from functions.tick.tick import Ticker
from segue import entrypoint, wiring
from segue.domain.message import TICKS

wiring.prepare(pushed=True)


@entrypoint.served
async def tick(request: Request) -> Response:
    """Acknowledge a tick once every profile that is due has been told."""
    platform = wiring.platform()
    ticker = Ticker(platform.ports, platform.catalogs)
    return await entrypoint.acknowledge(request, platform, "tick", TICKS, ticker)
