"""The ingest function: takes what visitors do from trackers and SDKs, and publishes it."""

from functools import partial
from secrets import token_hex

from starlette.requests import Request
from starlette.types import ASGIApp

from functions.ingest.routes import application
from segue import entrypoint, wiring

_new_id = partial(token_hex, 16)
wiring.prepare()


@entrypoint.served
async def ingest(request: Request) -> ASGIApp:  # noqa: ARG001  # the framework hands it over; the app gets it by ASGI
    """The app that answers."""
    return application(wiring.platform(), _new_id)
