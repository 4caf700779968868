"""A site whose pages are files. All that runs beside them is `/token`, where a page asks for its visitor's token.

`python emulator/examples/client/serve.py` answers at http://127.0.0.1:8090; SEGUE, SEGUE_SECRET_KEY and PORT say where
Segue is, with which key it is asked, and another port.
"""

import os
from pathlib import Path

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

SEGUE = os.environ.get("SEGUE", "http://127.0.0.1:8080")
SECRET_KEY = os.environ.get("SEGUE_SECRET_KEY", "demo-secret-key")
LARGEST_BODY = 1_024
PAGES = Path(os.environ.get("PAGES", Path(__file__).with_name("pages")))


class Asked(msgspec.Struct):
    """What segue.js posts. A site where people sign in goes by its own session first, and asks for a `user_id`."""

    anonymous_id: str


async def token(request: Request) -> Response:
    """POST {"anonymous_id"}: a token that opens this visitor's profile to their browser, for a quarter of an hour."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            return Response(status_code=413)
    try:
        asked = msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Response(status_code=400)
    wanted = {"profile": {"anonymous_id": asked.anonymous_id}}
    try:
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{SEGUE}/v1/tokens", json=wanted, auth=(SECRET_KEY, ""))
    except httpx.HTTPError:
        return Response(status_code=503)
    return Response(answer.content, answer.status_code, media_type="application/json")


site = Starlette(
    routes=[
        Route("/token", token, methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGES, html=True)),
    ]
)

if __name__ == "__main__":
    uvicorn.run(site, port=int(os.environ.get("PORT", "8090")), log_level="warning")
