"""The lookup function: tells the CMS which segments a visitor is in and what to show, and visitors what is known."""

from functools import partial
from secrets import token_hex

from starlette.requests import Request
from starlette.types import ASGIApp

from functions.lookup.routes import application
from segue import entrypoint, wiring

_new_id = partial(token_hex, 16)
wiring.prepare()


@entrypoint.served
async def lookup(request: Request) -> ASGIApp:  # noqa: ARG001  # the framework hands it over; the app gets it by ASGI
    """The app that answers."""
    return application(wiring.platform(), _new_id)
