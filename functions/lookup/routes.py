"""All addresses of lookup, one file for each surface, and how any of them is answered."""

from collections.abc import Callable
from functools import lru_cache

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from functions.lookup.admission import Admission
from functions.lookup.decisions import Decisions
from functions.lookup.lookup import Lookup
from functions.lookup.ofrep import Evaluations, in_its_words
from functions.lookup.profile_api import ProfileApi
from functions.lookup.profiles import Profiles
from functions.lookup.segments import Segments
from functions.lookup.tokens import Tokens
from segue import entrypoint
from segue.browsers import Answers

CACHING = b"private, no-store"
"""An answer is one visitor's, for no cache to keep."""

FOR_BROWSERS = ("/v1/decide", "/ofrep/")
"""What the pages of sources' origins may ask, with a visitor's token."""


@lru_cache(maxsize=1)
def application(platform: entrypoint.Serving, new_id: Callable[[], str]) -> ASGIApp:
    """The app for this platform; `new_id` gives each receipt its id."""
    admission = Admission(platform)
    lookup = Lookup(platform.ports, platform.catalogs, platform.settings.recent_ms)
    app = Starlette(
        routes=[
            *Decisions(platform, admission, lookup).routes,
            *Evaluations(platform, admission, lookup).routes,
            *Profiles(platform, lookup, new_id).routes,
            *ProfileApi(platform, lookup, new_id).routes,
            *Segments(platform, lookup).routes,
            *Tokens(platform).routes,
        ],
        middleware=[
            Middleware(entrypoint.Observed, "lookup"),
            Middleware(entrypoint.Traced, "lookup"),
            Middleware(Answers, platform.catalogs, CACHING, FOR_BROWSERS),
            Middleware(entrypoint.BugsAnswered),
        ],
        exception_handlers={kind: in_its_words(each) for kind, each in entrypoint.exception_handlers.items()},
    )
    app.router.redirect_slashes = False  # it would name the address by the request's own Host
    return app
