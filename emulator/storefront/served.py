"""The shop and Segue on one address: pages at `/`, and Segue's own paths as everywhere."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.storefront.app import storefront
from emulator.topology import function_of

SEGUES = ("/v1/", "/_segue/")
"""What is Segue's to refuse, too, where no function answers it."""


@asynccontextmanager
async def with_shop(segue: ASGIApp, url: str) -> AsyncIterator[ASGIApp]:
    """Segue, answering at this address, with the shop at every path that is not Segue's."""
    async with storefront(url) as shop:

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope["path"]
            is_segues = scope["type"] == "websocket" or path.startswith(SEGUES) or function_of(path)
            app = segue if is_segues else shop
            await app(scope, receive, send)

        yield front


def allowing(definitions: bytes, urls: Sequence[str]) -> bytes:
    """A catalogue whose sources let the pages of these addresses send: their ports are chosen when they start."""
    if not urls:
        return definitions
    documents = msgspec.json.decode(definitions)
    here = [each for url in urls for each in (url, url.replace("127.0.0.1", "localhost"))]
    for source in documents.get("sources", {}).values():
        source["origins"] = list(dict.fromkeys([*source.get("origins", []), *here]))
    return msgspec.json.encode(documents, order="sorted")
