"""The stream service: tells open pages that their visitor's segments have changed.

A service of its own: what it serves lasts for an hour, and functions-framework has no WebSocket.
"""

from functools import partial
from secrets import token_hex

from starlette.applications import Starlette

from functions.stream.routes import application
from segue import wiring

_new_id = partial(token_hex, 16)
wiring.prepare()


def stream() -> Starlette:
    """The app of this instance, to be served with its lifespan."""
    return application(wiring.platform(), _new_id)
