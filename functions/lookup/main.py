"""The lookup function: tells the CMS which segments a visitor is in and what to show."""

from starlette.requests import Request
from starlette.types import ASGIApp

from functions.lookup.routes import application
from segue import wiring


async def lookup(request: Request) -> ASGIApp:  # noqa: ARG001  # the framework hands it over; the app gets it by ASGI
    """The app that answers."""
    return application(wiring.platform())
