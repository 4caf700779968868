"""What a tracker costs a page: its scripts as they are loaded, packed, and the time in which they run at the start."""

import asyncio
import gzip
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from playwright.async_api import BrowserContext
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from emulator.tracker_command import QUEUE
from functions.ingest.tracker import scripts
from tests.bench.measurement import Measurement
from tests.browser import LIKE_A_PERSON, chromium, visiting
from tests.contracts.receiver import serving

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests" / "sdks" / "node_modules"

RUNS = 5
SETTLED_MS = 1_500
"""So long after the load, what a tracker does at the start is done."""

LARGEST = "<= 5120"

OURS = "segue.js"


class Tracker(msgspec.Struct, frozen=True):
    """How a page loads a tracker, and tells it that it is viewed. `{url}` is the address of the site."""

    head: str
    folder: Path = PACKAGES


TRACKERS: Mapping[str, Tracker] = {
    OURS: Tracker(f'{QUEUE}<script async src="{{url}}segue.js" data-key="k"></script>'),
    "@segment/analytics-next": Tracker(
        """<script src="{url}index.js"></script><script>
        AnalyticsNext.AnalyticsBrowser.load({writeKey: "k", cdnSettings: {integrations: {"Segment.io":
            {apiKey: "k", apiHost: location.host + "/v1", protocol: "http"}}}}).page()</script>""",
        PACKAGES / "@segment/analytics-next/dist/umd",
    ),
    "@rudderstack/analytics-js": Tracker(
        """<script src="{url}index.js"></script><script>
        const analytics = new rudderanalytics.RudderAnalytics();
        analytics.load("k", location.origin, {configUrl: location.origin}); analytics.page()</script>""",
        PACKAGES / "@rudderstack/analytics-js/dist/npm/modern/bundled/umd",
    ),
    "posthog-js": Tracker(
        """<script>window.posthog = []; posthog._i = [["k", {api_host: location.origin}, "posthog"]]; posthog.__SV = 1
        </script><script async src="{url}array.js"></script>""",
        PACKAGES / "posthog-js/dist",
    ),
    "@snowplow/browser-tracker": Tracker(
        """<script src="{url}index.umd.min.js"></script><script>
        const {newTracker, enableActivityTracking, trackPageView} = snowplowBrowserTracking;
        newTracker("k", location.origin, {appId: "k"});
        enableActivityTracking({minimumVisitLength: 15, heartbeatDelay: 15});
        trackPageView()</script>""",
        PACKAGES / "@snowplow/browser-tracker/dist",
    ),
}
"""The others as their makers publish them for pages without a bundler, each with its page view only."""

RUDDERSTACK = {
    "source": {
        "id": "s",
        "name": "s",
        "writeKey": "k",
        "enabled": True,
        "workspaceId": "w",
        "updatedAt": "2024-01-01T00:00:00.000Z",
        "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
        "destinations": [],
    }
}


class Figures(msgspec.Struct, frozen=True):
    """One visit: bytes of scripts, packed; how often the tracker sent something; milliseconds in which scripts ran on
    the first page and on the next one."""

    packed: int
    posted: int
    first: float
    next: float


class Site:
    """A page with one tracker; it keeps what was loaded of it, and takes what is sent."""

    def __init__(self) -> None:
        self.url = ""
        self.loaded: set[Path] = set()
        self.posted = 0
        self._tracker = TRACKERS[OURS]
        self._head = ""
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/sourceConfig/", self._settings),
                Route("/{path:path}", self._file, methods=["GET"]),
                Route("/{path:path}", self._take, methods=["POST"]),
            ]
        )

    def carry(self, tracker: Tracker | None) -> None:
        """Load this tracker from now on, or none."""
        self._head = tracker.head.replace("{url}", self.url) if tracker else ""
        self._tracker = tracker or self._tracker
        self.loaded.clear()
        self.posted = 0

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(f"<!doctype html><title>Trousers</title>{self._head}<h1>Trousers</h1>")

    async def _settings(self, _request: Request) -> Response:
        return JSONResponse(RUDDERSTACK)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["path"]
        if name == OURS:
            return Response(scripts()[OURS].content, media_type="text/javascript")
        path = self._tracker.folder / name
        if not path.is_file():
            return Response(status_code=404)
        self.loaded.add(path)
        return Response(path.read_bytes(), media_type="text/javascript")

    async def _take(self, _request: Request) -> Response:
        self.posted += 1
        return JSONResponse({"success": True})


async def _measured() -> dict[str, list[Figures]]:
    """Every visit with each tracker, in turn; "" is a page without one."""
    found: dict[str, list[Figures]] = {name: [] for name in ["", *TRACKERS]}
    site = Site()
    async with serving(site.app) as site.url, chromium(LIKE_A_PERSON) as browser:
        for _ in range(RUNS):
            for name, figures in found.items():
                site.carry(TRACKERS.get(name))
                async with visiting(browser) as visitor:
                    first, following = [await _scripting(visitor, site.url) for _ in range(2)]
                packed = len(scripts()[OURS].packed) if name == OURS else sum(map(_packed, site.loaded))
                figures.append(Figures(packed, site.posted, first, following))
    return found


async def _scripting(visitor: BrowserContext, url: str) -> float:
    """Milliseconds in which scripts run on a page that is opened now."""
    page = await visitor.new_page()
    session = await visitor.new_cdp_session(page)
    await session.send("Performance.enable")
    await page.goto(url)
    await page.wait_for_timeout(SETTLED_MS)
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    await page.close()
    seconds: float = {each["name"]: each["value"] for each in metrics}["ScriptDuration"]
    return seconds * 1_000


def _packed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), mtime=0))


def trackers() -> Sequence[Measurement]:
    """The bytes and the scripting time of each; the reference of ours is the lightest of the others."""
    if not PACKAGES.exists():
        raise RuntimeError(f"needs the packages of npm that it measures against: make sdks (missing: {PACKAGES})")
    found = asyncio.run(_measured())
    silent = [name for name, figures in found.items() if name and not all(each.posted for each in figures)]
    if silent:
        raise AssertionError(f"expected every tracker to tell of the page view, found silent: {', '.join(silent)}")
    note = f"ScriptDuration of Chromium, median of {RUNS}, less that of a page without a tracker"
    return [
        *_compared("tracker-bytes", "bytes gzipped", _medians(found, "packed"), LARGEST, "every script that is loaded"),
        *_compared("tracker-scripting", "ms", _medians(found, "first"), None, f"a visitor's first page; {note}"),
        *_compared("tracker-scripting-next", "ms", _medians(found, "next"), None, f"the next page; {note}"),
    ]


def _medians(found: Mapping[str, list[Figures]], what: str) -> Mapping[str, float]:
    """Of each tracker, less what a page without one has."""
    medians = {name: statistics.median(getattr(each, what) for each in figures) for name, figures in found.items()}
    bare = medians.pop("")
    return {name: value - bare for name, value in medians.items()}


def _compared(
    bench: str, unit: str, figures: Mapping[str, float], goal: str | None, note: str
) -> Sequence[Measurement]:
    ours = figures[OURS]
    lightest = min(value for name, value in figures.items() if name != OURS)
    measured = Measurement(
        bench=bench, value=ours, unit=unit, reference=lightest, ratio=ours / lightest, goal=goal, note=note
    )
    others = (
        Measurement(bench=f"{bench} of {name}", value=value, unit=unit)
        for name, value in figures.items()
        if name != OURS
    )
    return [measured, *others]


BENCHES = {"tracker-bytes": trackers}
