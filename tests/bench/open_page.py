"""How soon an open page shows what its visitor did: from the call in the page to the changed slot, by its own clock."""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.bench.measurement import Measurement
from tests.browser import LIKE_A_PERSON, chromium, visiting
from tests.site import site, visitor_of

DEFINITIONS = Path(__file__).parents[1] / "browsers" / "slots.yaml"

CHANGES = 150
PAUSE_MS = 600
"""Longer than the least time between two hints of one stream."""

PAGE = """<h1>Shop</h1><section data-segue-slot="banner"><h2 data-segue-text="headline">The shop's own</h2>
<p data-segue-text="words">Delivered.</p><a data-segue-href="link" href="/own">See more</a></section>"""

ATTRIBUTES = 'data-off="pages clicks scroll time" data-token-url="/token" data-live'

MEASURED = """async ([changes, pause]) => {
    const slot = document.querySelector("[data-segue-slot]");
    const taken = [];
    for (let change = 0; change < changes; change++) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        const changed = new Promise((resolve) => {
            const observer = new MutationObserver(() => {
                observer.disconnect();
                resolve(performance.now());
            });
            observer.observe(slot, {attributeFilter: ["data-segue-variant"]});
        });
        const began = performance.now();
        segue.identify(null, {plan: change % 2 ? "silver" : "gold"});
        taken.push((await changed) - began);
    }
    return taken;
}"""


async def _measured() -> list[float]:
    """Milliseconds of each change."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        shop = await stack.enter_async_context(site(Path(folder), DEFINITIONS))
        browser = await stack.enter_async_context(chromium(LIKE_A_PERSON))
        visitor = await stack.enter_async_context(visiting(browser))
        page = await visitor.new_page()
        page.set_default_timeout(CHANGES * 10 * PAUSE_MS)
        await page.goto(shop.put("/open", PAGE, ATTRIBUTES))
        await visitor_of(page)
        await page.wait_for_selector("[data-segue-variant]")
        found: list[float] = await page.evaluate(MEASURED, [CHANGES, PAUSE_MS])
        return found


def event_to_page() -> Sequence[Measurement]:
    """The latency as a reader would feel it, in Chromium, beside the embedded platform on the same machine."""
    taken = asyncio.run(_measured())
    shares = statistics.quantiles(taken, n=100, method="inclusive")
    note = (
        f"identify in the page until the slot is another: ingest, evaluate, update, hint, decision; {CHANGES} changes"
    )
    return [
        Measurement(bench=f"event-to-page-{name}", value=shares[share - 1], unit="ms", goal="report", note=note)
        for name, share in (("p50", 50), ("p99", 99))
    ]


BENCHES = {"event-to-page": event_to_page}
