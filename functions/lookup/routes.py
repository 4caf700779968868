"""All addresses of lookup, one file for each surface, and how any of them is answered."""

from collections.abc import Callable
from functools import lru_cache

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.lookup.decisions import Decisions
from functions.lookup.lookup import Lookup
from functions.lookup.profiles import Profiles
from functions.lookup.segments import Segments
from functions.lookup.tokens import Tokens
from segue import entrypoint

CACHING = b"private, no-store"
"""An answer is one visitor's, for no cache to keep."""


@lru_cache(maxsize=1)
def application(platform: entrypoint.Serving, new_id: Callable[[], str]) -> ASGIApp:
    """The app for this platform; `new_id` gives each receipt its id."""
    lookup = Lookup(platform.ports, platform.catalogs, platform.settings.recent_ms)
    return Starlette(
        routes=[
            *Profiles(platform, lookup, new_id).routes,
            *Segments(platform, lookup).routes,
            *Decisions(platform, lookup).routes,
            *Tokens(platform).routes,
        ],
        middleware=[Middleware(Answers), Middleware(entrypoint.BugsAnswered)],
        exception_handlers=entrypoint.exception_handlers,
    )


class Answers:
    """Makes every answer safe to send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, entrypoint.safely(send, CACHING))
