"""The tracker's scripts as pages load them: by name, which may change, and by content, which never does."""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from segue import entrypoint

FOLDER = Path(__file__).resolve().parents[2] / "tracker"

NAMES = ("segue.js", "segue-datalayer.js")

FOR_AN_HOUR = "public, max-age=3600"
"""So long may a page go on with the tracker it has after a deployment."""

FOR_GOOD = "public, max-age=31536000, immutable"

HEADERS = {
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}
"""Every page may load a script, also one that checks its integrity or is isolated from other origins."""


class Script(msgspec.Struct, frozen=True):
    """A script as it is served."""

    name: str
    content: bytes
    packed: bytes

    @property
    def version(self) -> str:
        """What its content is called."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @property
    def integrity(self) -> str:
        """What a page may hold it to (Subresource Integrity)."""
        return "sha256-" + b64encode(hashlib.sha256(self.content).digest()).decode()

    @property
    def path(self) -> str:
        """Where this very content is, for good."""
        return f"/segue/{self.version}/{self.name}"


@cache
def scripts() -> Mapping[str, Script]:
    """Each script by its name, minified."""
    return {name: _script(name) for name in NAMES}


def _script(name: str) -> Script:
    content = (FOLDER / name).with_suffix(".min.js").read_bytes()
    return Script(name, content, gzip.compress(content, mtime=0))


def beside_scripts(calls: ASGIApp) -> ASGIApp:
    """The app that takes calls, with the scripts beside it: what they answer is for every page, and may be kept."""
    serving = Starlette(
        routes=[*(Route(f"/{name}", _current) for name in NAMES), Route("/segue/{version}/{name}", _version)],
        exception_handlers=entrypoint.exception_handlers,
    )
    serving.router.redirect_slashes = False  # it would name the address by the request's own Host

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (serving if scope["path"].startswith("/segue") else calls)(scope, receive, send)

    return app


async def _current(request: Request) -> Response:
    """GET /segue.js: as it is today."""
    return _served(request, scripts()[request.url.path[1:]], FOR_AN_HOUR)


async def _version(request: Request) -> Response:
    """GET /segue/{version}/segue.js: this content or none."""
    script = scripts().get(request.path_params["name"])
    if script is None or script.version != request.path_params["version"]:
        raise HTTPException(404)
    return _served(request, script, FOR_GOOD)


def _served(request: Request, script: Script, caching: str) -> Response:
    tag = f'"{script.version}"'
    headers = {**HEADERS, "cache-control": caching, "etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(script.packed, headers=headers, media_type="text/javascript")
    return Response(script.content, headers=headers, media_type="text/javascript")
