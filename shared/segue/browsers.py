"""Answers to browsers: which sites' pages may read them, and nothing in them that could be misused."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from segue import entrypoint
from segue.catalogs import Catalogs
from segue.domain.errors import SegueError

PREFLIGHT_KEPT_S = 7_200
"""How long a browser may remember a preflight's answer: as long as Chromium does at most."""

READABLE_HEADERS = ("ETag", "Retry-After", "X-RateLimit-Reset")
"""What a page may see of an answer, besides what any page may."""


class Answers(CORSMiddleware):
    """Every answer's headers, errors' and preflights' too.

    A preflight names no key, so that an origin passes it if any source has it; what the call itself is held to, the
    function says, by a catalogue that it has waited for if it must. Cookies are never allowed: nothing here needs them.
    `caching` is who may keep an answer; pages may read those of the paths that begin with one of `paths`.
    """

    def __init__(self, app: ASGIApp, catalogs: Catalogs, caching: bytes, paths: tuple[str, ...] = ("/",)) -> None:
        super().__init__(
            app,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=READABLE_HEADERS,
            max_age=PREFLIGHT_KEPT_S,
        )
        self._catalogs = catalogs
        self._caching = caching
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = entrypoint.safely(send, self._caching)
        if not scope["path"].startswith(self._paths) or not any(name == b"origin" for name, _ in scope["headers"]):
            await self.app(scope, receive, send)
            return
        try:
            catalog = (self._catalogs.held or await self._catalogs.current()).catalog
        except SegueError as error:
            await entrypoint.error_response(error)(scope, receive, send)
            return
        self.allow_origins = catalog.origins
        await super().__call__(scope, receive, send)
