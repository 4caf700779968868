"""The evaluate function: takes events, and profiles that are due, from their topic."""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from functions.evaluate.evaluate import Evaluator
from segue import entrypoint, wiring
from segue.domain.message import EVENTS

wiring.prepare(pushed=True)


@lru_cache(maxsize=1)
def _evaluator(platform: wiring.Platform) -> Evaluator:
    return Evaluator(platform.ports, platform.catalogs)


@entrypoint.served
async def evaluate(request: Request) -> Response:
    """Acknowledge a message once its effect on the profile is durable and announced."""
    platform = wiring.platform()
    return await entrypoint.acknowledge(request, platform, "evaluate", EVENTS, _evaluator(platform))
