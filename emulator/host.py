"""Segue in one process on one address: the embedded platform, and in it the very functions that run in the cloud."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from emulator import catalog, functions
from emulator.control import Control
from emulator.schedules import keep
from emulator.server import listening, serve
from emulator.storefront.served import allowing, with_shop
from emulator.topology import function_of, topology
from segue import catalogs, entrypoint, failures, metrics, telemetry, tracing, wiring
from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.embedded.queue import Subscription
from segue.adapters.system import SystemClock
from segue.adapters.web import WebHttp, WebObjects
from segue.domain.message import TICKS, Tick
from segue.domain.time import SECOND, duration
from segue.ports import Clock, Message, Ports
from segue.settings import Settings
from segue.wiring import Platform

if TYPE_CHECKING:
    from emulator.traces import Traces

LONGEST_INTERVAL = 5 * SECOND
"""Ticks come at least so often: nobody waits a minute for one at a laptop."""

POLL_S = 0.01


def run_embedded(
    port: int,
    data: Path,
    catalog_folder: Path,
    ready: Callable[[str], None],
    shop: bool = False,
    origins: Sequence[str] = (),
    traces: "Traces | None" = None,
) -> None:
    """Serve until interrupted; `ready` hears the address once it answers. Port 0 takes a free one. `shop`: with the
    demo shop at `/`. `origins`: sites beside it whose pages may send. Spans are kept in
    `traces`; without, they go where the environment says, if it does.

    Raises Unavailable if the port or the data folder is in use or a file is damaged, and Rejected if the catalogue is
    broken.
    """
    uvloop.run(_run(port, data, catalog_folder, ready, shop, origins, traces))


async def _run(
    port: int,
    data: Path,
    catalog_folder: Path,
    ready: Callable[[str], None],
    shop: bool,
    origins: Sequence[str],
    traces: "Traces | None",
) -> None:
    definitions = catalog.load(catalog_folder)
    with listening(port) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        async with (
            embedded(data, allowing(definitions, [*origins, url] if shop else origins), traces=traces) as segue,
            with_shop(segue, url) if shop else nullcontext(segue) as app,
        ):
            ready(url)
            await serve(app, listener, segue.end_streams)


@asynccontextmanager
async def embedded(
    data: Path,
    definitions: bytes,
    environment: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
    traces: "Traces | None" = None,
) -> AsyncIterator["Host"]:
    """The platform of a data folder, at work with these definitions, as one app.

    In the end what is under way is finished, and what waits is kept for the next time.
    """
    telemetry.start("WARNING")
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        opened = EmbeddedPlatform.open(data, clock, [*subscriptions()])
        stack.push_async_callback(opened.close)
        settings = settings_of(data, environment)
        http = WebHttp(allow_private=settings.allow_private_destinations)
        stack.push_async_callback(http.close)
        objects = WebObjects(settings.storage_secrets, allow_private=settings.allow_private_destinations)
        stack.push_async_callback(objects.close)
        ports = Ports(
            store=opened.store,
            bus=opened.bus,
            archive=opened.archive,
            catalog=opened.catalog,
            http=http,
            objects=objects,
            clock=clock,
        )
        await catalogs.publish(ports.catalog, definitions)
        platform = wiring.assembled(settings, ports)
        wiring.use(platform)
        stack.callback(wiring.use, None)
        stack.callback(tracing.stop)
        tracing.start({**environment, **(traces.environment if traces else {})}, send=traces.take if traces else None)
        host = Host(platform, opened, traces)
        await stack.enter_async_context(host.lifespans())
        await opened.push_to(host.deliver, host.bury)
        stack.push_async_callback(opened.stop_pushing)
        for schedule in topology()["schedules"].values():
            longest = LONGEST_INTERVAL if schedule["topic"] == TICKS else None
            stack.callback(asyncio.create_task(keep(schedule, ports, longest)).cancel)
        yield host


class Host:
    """The one address, as the load balancer has it: paths decide the function. What is no function's is the host's own.

    Messages reach the functions by `deliver`, as push subscriptions would bring them.
    """

    def __init__(self, platform: Platform, opened: EmbeddedPlatform, traces: "Traces | None") -> None:
        self._ports = platform.ports
        self._bus = opened.bus
        self._functions = functions.apps()
        control = Control(platform.ports, platform.catalogs, self._settle, traces)
        self._own = Starlette(
            routes=[*control.routes(), Route(entrypoint.METRICS, entrypoint.counted)],
            exception_handlers=entrypoint.exception_handlers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        function = function_of(scope["path"])
        await (self._functions[function] if function else self._own)(scope, receive, send)

    @asynccontextmanager
    async def lifespans(self) -> AsyncIterator[None]:
        """What each function does for as long as it is served."""
        async with AsyncExitStack() as stack:
            for app in self._functions.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    def end_streams(self) -> None:
        """Nobody has to be waited for who only listens."""
        self._functions["stream"].state.hub.ended()

    async def deliver(self, subscription: Subscription, message: Message, published_at: int) -> int:
        """Hand a message to the function or the archive that the topology names; the answer's status."""
        wanted = _subscribed()[subscription.name]
        if "function" in wanted:
            return await functions.push(self._functions[wanted["function"]], message, published_at)
        with (
            metrics.OnBehalfOf(metrics.PLATFORM),
            tracing.call("archive", "consumer", message.trace, function="archive", type=message.type),
        ):
            await self._ports.archive.append(wanted["archive"], [message])
        return HTTPStatus.NO_CONTENT

    async def bury(self, subscription: Subscription, topic: str, message: Message) -> None:
        """Keep what was tried too often or for too long among the failed events, where it can be replayed."""
        wanted = _subscribed()[subscription.name]
        reason = f"could not be delivered to {subscription.name} in {subscription.attempts} attempts or in time"
        await failures.record(self._ports, wanted.get("function", "archive"), topic, message, reason)

    async def _settle(self, _ticks: Sequence[Tick]) -> None:
        """Wait until every queue is empty; what a tick led to went through them before the tick was done with."""
        while not await self._bus.empty():  # noqa: ASYNC110  (the queues tell nobody that they are empty)
            await asyncio.sleep(POLL_S)


@cache
def _subscribed() -> Mapping[str, Mapping[str, str]]:
    """The topology's subscriptions; one of every destination stands for those of all."""
    found = topology()
    return {**found["subscriptions"], **found["destinations"]["subscriptions"]}


def subscriptions() -> Iterator[Subscription]:
    """The topology's, as the embedded queue has them."""
    push = topology()["push"]
    for name, subscription in _subscribed().items():
        yield Subscription(
            name=name,
            topic=subscription["topic"].format(destination="*"),
            attempts=push["dead_letter"]["after_attempts"],
            backoff_s=duration(push["minimum_backoff"]) / SECOND,
            longest_backoff_s=duration(push["maximum_backoff"]) / SECOND,
            retention_ms=duration(push["retention"]),
        )


def settings_of(data: Path, environment: Mapping[str, str]) -> Settings:
    """The environment's settings, with the laptop's where it says nothing: webhooks may go to the laptop itself, and
    every decision is by what is known at its very moment."""
    laptop = {
        "SEGUE_ALLOW_PRIVATE_DESTINATIONS": "true",
        "SEGUE_PROFILE_SECRET": _profile_secret(data),
        "SEGUE_RECENT_MS": "0",
    }
    return Settings.from_environment({**laptop, **environment, "SEGUE_PLATFORM": "embedded", "SEGUE_DATA": str(data)})


def _profile_secret(data: Path) -> str:
    """The secret that lies in the data folder, made at the first start: all document ids are derived with it."""
    file = data / "profile.secret"
    if not file.exists():
        written = data / "profile.secret.new"
        with open(written, "w", opener=partial(os.open, mode=0o600)) as new:
            new.write(secrets.token_hex(32))
            new.flush()
            os.fsync(new.fileno())
        written.replace(file)
    return file.read_text()
