"""The least that a function can do on the framework: read the body and answer JSON."""

from starlette.requests import Request
from starlette.responses import Response


async def bare(request: Request) -> Response:
    """Answer whatever comes."""
    await request.body()
    return Response(b'{"success":true}', media_type="application/json")
