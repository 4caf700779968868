"""A request's body, read within bounds: how large it may be, how long it may take, and what it may be packed in."""

import asyncio
import zlib

from starlette.exceptions import HTTPException
from starlette.requests import Request

from segue.domain.errors import Invalid, TooLarge

LARGEST_BODY = 512_000
"""Bytes, as sent and as inflated: 500 KB, what Segment takes as one batch."""

LONGEST_READ_S = 10.0

GZIP = b"\x1f\x8b"
"""How a gzip member begins. JSON never does, so that no header has to say what a body is."""

_GZIP_FORMAT = 16 + zlib.MAX_WBITS


async def read_body(request: Request) -> bytes:
    """The body, inflated if it is gzip. Raises TooLarge without reading further, Invalid, or 408 if it takes long."""
    try:
        async with asyncio.timeout(LONGEST_READ_S):
            body = await _body_as_sent(request)
    except TimeoutError:
        raise HTTPException(408) from None
    return inflated(body) if body.startswith(GZIP) else body


async def _body_as_sent(request: Request) -> bytes:
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Invalid("expected a whole body, found a part")
        body += message.get("body", b"")
        _refuse_too_large(len(body))
        more = message.get("more_body", False)
    return body


def inflated(data: bytes) -> bytes:
    """What one gzip member holds. Raises TooLarge without inflating further, or Invalid.

    The bound is on what comes out, not on the ratio: a batch of like events shrinks to a thirtieth honestly.
    """
    inflater = zlib.decompressobj(_GZIP_FORMAT)
    try:
        body = inflater.decompress(data, LARGEST_BODY + 1)
    except zlib.error:
        raise Invalid("expected gzip, found something that cannot be inflated") from None
    _refuse_too_large(len(body))
    if not inflater.eof or inflater.unused_data:
        raise Invalid("expected one whole gzip member and nothing behind it")
    return body


def _refuse_too_large(size: int) -> None:
    if size > LARGEST_BODY:
        raise TooLarge(f"expected a body of at most {LARGEST_BODY} bytes")
