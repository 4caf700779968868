"""`python -m functions.stream`: the service, at HOST (any address) and PORT (8080) of the environment."""

import os
import signal
import sys

import uvloop

from functions.stream.main import stream
from functions.stream.server import Server, config

ENDED_WITHIN_S = 8
"""Cloud Run gives ten seconds from SIGTERM on."""


async def serve() -> None:
    app = stream()
    options = {"host": os.environ.get("HOST", "0.0.0.0"), "port": int(os.environ.get("PORT", "8080"))}  # noqa: S104  # in its container
    await Server(
        config(app, lifespan="on", **options, timeout_graceful_shutdown=ENDED_WITHIN_S), app.state.hub.ended
    ).serve()


# uvicorn raises the signal again once all is done, and to have been told to end is no failure.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
uvloop.run(serve())
