"""What tracing costs a message on its way through evaluate: where it is off, was not chosen, and is recorded."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from emulator import catalog
from emulator.functions import apps, push
from segue import catalogs, tracing, wiring
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.system import SystemClock
from segue.settings import Settings
from tests.bench.measurement import Measurement, in_turn
from tests.bench.server import CATALOG
from tests.bench.store_ops import UPDATE, visits
from tests.embedded import ports_of

RUNS = 5


def traced() -> Sequence[Measurement]:
    """CPU of a message that is not traced, that is not chosen to be traced, and that is."""
    off, none, all_ = in_turn(RUNS, *(partial(_cost, share) for share in (None, "0", "1")))
    unit = "us CPU"
    return (
        Measurement(bench="traced-message-off", value=off, unit=unit, note="through evaluate, embedded"),
        Measurement(bench="traced-message-not-chosen", value=none, unit=unit, reference=off, ratio=none / off),
        Measurement(
            bench="traced-message-chosen", value=all_, unit=unit, reference=off, ratio=all_ / off, note="sent nowhere"
        ),
    )


def _cost(share: str | None) -> float:
    """CPU time of a message in us, with this share of traces; None: tracing is off."""
    if share is not None:
        os.environ |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share}
        tracing.start({}, send=lambda _spans: None)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_pushed(Path(folder)))


async def _pushed(folder: Path) -> float:
    clock = SystemClock()
    opened = EmbeddedPlatform.open(folder, clock, [UPDATE])
    ports = ports_of(opened, clock)
    await catalogs.publish(ports.catalog, catalog.load(CATALOG))
    settings = Settings.from_environment({"SEGUE_PROFILE_SECRET": "of-the-benchmark"})
    wiring.use(wiring.assembled(settings, ports))
    evaluate, messages = apps()["evaluate"], visits(clock.now())
    began = time.process_time()
    for message in messages:
        await push(evaluate, message)
    tracing.stop()  # which hands on what is left
    cost = (time.process_time() - began) / len(messages) * 1e6
    wiring.use(None)
    await opened.close()
    return cost


BENCHES: Mapping[str, Callable[[], Sequence[Measurement]]] = {"traced-message": traced}
