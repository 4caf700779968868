"""A site whose pages carry the tracker, beside a running Segue, as a journey in a browser needs them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import msgspec
from playwright.async_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from emulator.client import DEMO_SECRET_KEY, DEMO_WRITE_KEY
from emulator.tracker_command import QUEUE
from segue.adapters.embedded.archive import ArchiveFile
from segue.domain.event import Event
from segue.domain.message import EVENTS, EVENTS_RECEIVED, EventsReceived
from tests.contracts.receiver import serving
from tests.journeys.running import ROOT, running

WITHIN_S = 20.0
POLL_S = 0.05

Fault: TypeAlias = tuple[int, dict[str, str]]
"""A status and the headers with it."""

PASSED_ON = frozenset(["content-type", "access-control-allow-origin", "access-control-expose-headers"])


class Site:
    """Pages by path; `/v1/batch` and `/v1/decide`, which pass on to Segue unless `faults` holds answers to give before;
    and `/token`, where a page asks for its visitor's token."""

    def __init__(self) -> None:
        self.url = ""
        self.segue = ""
        self.data = Path()
        self.pages: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self.policies: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.posted: list[str] = []
        self.tokens: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/v1/{call}", self._pass_on, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
                Route("/{path:path}", self._page),
            ]
        )

    def put(self, path: str, body: str, attributes: str = "", more: str = "") -> str:
        """Make a page that loads the tracker with these attributes; its address. `more` goes into the head."""
        script = f'<script async src="{self.segue}/segue.js" data-key="{DEMO_WRITE_KEY}" {attributes}></script>'
        self.pages[path] = f"<!doctype html><html lang=en><title>{path[1:]}</title>{more}{QUEUE}{script}{body}"
        return self.url + path

    def put_strict(self, path: str, body: str, attributes: str = "") -> str:
        """Make a page that runs no inline script and takes no inline style; its address."""
        self.put(path, body, attributes)
        self.pages[path] = self.pages[path].replace(QUEUE, "")
        self.policies[path] = (
            f"default-src 'none'; script-src {self.segue}; connect-src 'self' {self.segue}; style-src 'self'; "
            "img-src 'self'; base-uri 'none'"
        )
        return self.url + path

    async def events(self, visitor: str) -> list[Event]:
        """What the archive has of an anonymous id, in the order in which it happened; doubles show as they are."""
        archive = ArchiveFile.open(self.data)
        try:
            found = [
                event
                async for message in archive.read(EVENTS)
                if message.type == EVENTS_RECEIVED
                for event in msgspec.json.decode(message.data, type=EventsReceived).events
                if event.anonymous_id == visitor
            ]
        finally:
            await archive.close()
        return sorted(found, key=lambda event: event.timestamp or "")

    async def until(self, visitor: str, enough: Callable[[Sequence[Event]], bool]) -> list[Event]:
        """The archive's events of a visitor once they are enough, or after a long while."""
        found: list[Event] = []
        try:
            async with asyncio.timeout(WITHIN_S):
                while not enough(found := await self.events(visitor)):  # noqa: ASYNC110  (the archive tells nobody)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pass
        return found

    async def until_posted(self, count: int) -> None:
        """Wait until so many requests went by the site."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.posted) < count:  # noqa: ASYNC110  (they come when they come)
                await asyncio.sleep(POLL_S)

    async def _page(self, request: Request) -> Response:
        file = self.files.get(request.url.path)
        if file is not None:
            return FileResponse(file)
        body = self.pages.get(request.url.path)
        policy = self.policies.get(request.url.path)
        headers = {"content-security-policy": policy} if policy else {}
        return HTMLResponse(body or "", 200 if body else 404, headers)

    async def _token(self, request: Request) -> Response:
        wanted = {"profile": await request.json()}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{self.segue}/v1/tokens", json=wanted, auth=(DEMO_SECRET_KEY, ""))
        self.tokens.append(answer.json()["token"])
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        self.posted.append(body.decode())
        if self.faults:
            status, headers = self.faults.pop(0)
            return Response(status_code=status, headers=headers)
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(self.segue + request.url.path, content=body, headers=request.headers)
        return Response(answer.content, answer.status_code)


@asynccontextmanager
async def site(folder: Path, *definitions: Path) -> AsyncIterator[Site]:
    """A site, and a Segue that takes what its pages send; its files are in the folder. `definitions`: catalogue files
    beside the demo's."""
    made = Site()
    async with serving(made.app) as url:
        made.url = url.rstrip("/")
        made.data = folder / "data"
        catalog = shutil.copytree(ROOT / "infra" / "catalog", folder / "catalog")
        for file in definitions:
            shutil.copy(file, catalog)
        sources = catalog / "sources.yaml"
        sources.write_text(sources.read_text().replace("origins: [", f'origins: ["{made.url}", '))
        with running(made.data, "--catalog", str(catalog)) as made.segue:
            yield made


async def visitor_of(page: Page) -> str:
    """The anonymous id that a page's tracker has, once it has one."""
    found = await page.wait_for_function("window.segue?.anonymousId?.()")
    return str(await found.json_value())


def names(events: Sequence[Event]) -> list[str]:
    """What the events are called."""
    return [event.name for event in events]
