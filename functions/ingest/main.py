"""The ingest function: takes what visitors do from trackers and SDKs, and publishes it."""

from uuid import uuid4

from starlette.requests import Request
from starlette.types import ASGIApp

from functions.ingest.routes import application
from segue import wiring


def _new_id() -> str:
    return uuid4().hex


async def ingest(request: Request) -> ASGIApp:  # noqa: ARG001  # the framework hands it over; the app gets it by ASGI
    """The app that answers."""
    return application(wiring.platform(), _new_id)
