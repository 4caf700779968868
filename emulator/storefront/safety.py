"""What every page of the shop says to a browser, and which forms it takes: those of its own pages."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Safety:
    """Refuses forms that come from another site, and lets a page run, load and send to nothing but this site."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["method"] == "POST" and not _is_own(headers):
            await PlainTextResponse("This form is not one of the shop's.", 403)(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["content-security-policy"] = CONTENT
                answer["x-content-type-options"] = "nosniff"
                answer["referrer-policy"] = "same-origin"
                answer.setdefault("cache-control", "private, no-store")
            await send(message)

        await self._app(scope, receive, send_safely)


def _is_own(headers: Headers) -> bool:
    """Whether a page of this host sends the form: a browser tells where a POST comes from."""
    origin = headers.get("origin", "")
    return origin.partition("://")[2] == headers.get("host")
