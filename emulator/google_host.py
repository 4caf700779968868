"""Segue on Google's emulators: each function its own process, and in front of them what else the cloud has.

The front is the load balancer (paths decide the function), the archive (the subscriptions that BigQuery has in the
cloud push into a file) and the scheduler. Whatever it started ends with it.
"""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from emulator import catalog, ledger
from emulator.control import Control
from emulator.functions import package_of, server_of
from emulator.google_emulators import google_emulators
from emulator.passing import OF_ONE_CONNECTION, Sockets, is_stream, passed_on
from emulator.schedules import keep
from emulator.scraping import scraped
from emulator.server import HOST, free_port, listening, serve
from emulator.signing import ACCOUNT, Signer, signing
from emulator.storefront.served import allowing, with_shop
from emulator.topology import ROOT, audiences, function_of, topology
from functions.ingest.body import GZIP, inflated
from segue import catalogs, entrypoint, telemetry, tracing, wiring
from segue.domain.errors import NotFound, Unavailable
from segue.domain.message import Tick
from segue.ports import Message
from segue.wiring import Platform

if TYPE_CHECKING:
    from emulator.traces import Intake, Traces

READY_WITHIN_S = 60.0
POLL_S = 0.1
QUIET_S = 0.5
ANSWER_WITHIN_S = 60.0
ENDED_WITHIN_S = 5.0
SPANS = "/_segue/spans"
"""Where the functions send theirs, if traces are kept."""

INFLATED = OF_ONE_CONNECTION | {"content-encoding"}
"""Of an answer, too, whose body has been inflated on the way."""

FIGURES = {"/v1/m", "/rsaMetrics"}
"""Where SDKs send figures of their own, which are no events."""


class Child(msgspec.Struct, frozen=True):
    """A function in its own process, and where it answers."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path


def run_google(
    port: int,
    data: Path,
    catalog_folder: Path,
    ready: Callable[[str], None],
    shop: bool = False,
    origins: Sequence[str] = (),
    traces: "Traces | None" = None,
    pushed_to: Callable[[Mapping[str, str]], Mapping[str, str]] = dict,
    signer: Signer | None = None,
    reaching: Callable[[str], Mapping[str, str]] = lambda _function: {},
) -> None:
    """Serve until interrupted; `ready` hears the address once everything answers. `shop`: with the demo shop at `/`.
    `origins`: sites beside it whose pages may send. The functions' spans are kept in `traces`; without, they go where
    the environment says, if it does.

    The emulators keep nothing, so that each run has an archive of its own, a new folder in `data`. What is
    pushed to a function is signed by `signer`, a new one unless a test has its own, then goes where `pushed_to` says,
    given the functions' addresses by name; a test puts something between. So it does between a function and the
    emulators: `reaching` says which of a function's environment, by its name, differs from everybody's.
    """
    definitions = catalog.load(catalog_folder)
    signal.signal(signal.SIGTERM, _interrupt)
    listener = listening(port)
    data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="google-", dir=data))
    with google_emulators() as emulators:
        environment = {**_settings(folder), **emulators.environment}
        os.environ.update(environment)
        signer = signer or Signer("laptop")
        uvloop.run(_run(listener, folder, definitions, ready, shop, origins, traces, pushed_to, signer, reaching))


def _interrupt(_number: int, _frame: object) -> None:
    """Told to end before it serves: what was started ends on the way out, as with Ctrl-C."""
    raise KeyboardInterrupt


async def _run(
    listener: socket.socket,
    folder: Path,
    definitions: bytes,
    ready: Callable[[str], None],
    shop: bool,
    origins: Sequence[str],
    traces: "Traces | None",
    pushed_to: Callable[[Mapping[str, str]], Mapping[str, str]],
    signer: Signer,
    reaching: Callable[[str], Mapping[str, str]],
) -> None:
    from segue.adapters.google import admin

    platform = wiring.platform()
    telemetry.start("WARNING")
    front_url = "http://{}:{}".format(*listener.getsockname())
    sites = [*origins, front_url] if shop else origins
    await catalogs.publish(platform.ports.catalog, allowing(definitions, sites))
    await admin.create(platform.settings.project, _topics_alone(), admin.Endpoints(functions={}, archives={}))
    certificates = folder / "push-certificates.json"
    certificates.write_bytes(msgspec.json.encode(signer.certificates))
    at_once = httpx.Limits(max_connections=None)
    intake = traces.taken_at(f"{front_url}{SPANS}") if traces else None
    if traces:
        tracing.start(traces.environment, send=traces.take)
    environments = {
        name: {**_push_identity(name, certificates), **_tracing(name, intake), **reaching(name)}
        for name in topology()["functions"]
    }
    with _started(topology()["functions"], folder, environments) as children:
        await asyncio.gather(*(_answers(child) for child in children))
        pushed = pushed_to({child.name: f"{child.url}/" for child in children if child.name in audiences()})
        async with (
            signing(signer, audiences(), pushed) as addresses,
            httpx.AsyncClient(timeout=ANSWER_WITHIN_S, limits=at_once, trust_env=False) as http,
        ):
            archives = {topic: f"{front_url}/_segue/archive/{topic}/" for topic in _archived_topics()}
            endpoints = admin.Endpoints(functions=addresses, archives=archives)
            destinations = list((await platform.catalogs.current()).catalog.destinations)
            await admin.create(platform.settings.project, topology(), endpoints, destinations)
            front = Front(platform, {child.name: child.url for child in children}, http, intake)
            schedules = [asyncio.create_task(keep(each, platform.ports)) for each in topology()["schedules"].values()]
            async with with_shop(front.app(), front_url) if shop else nullcontext(front.app()) as app:
                ready(front_url)
                await serve(app, listener, partial(_end, children, "stream"))
            for schedule in schedules:
                schedule.cancel()


class Front:
    """The one address: functions by their paths, the archive that is pushed to, and the laptop's own answers."""

    def __init__(
        self,
        platform: Platform,
        functions: Mapping[str, str],
        http: httpx.AsyncClient,
        intake: "Intake | None",
    ) -> None:
        self._platform = platform
        self._functions = functions
        self._http = http
        self._intake = intake
        self._accepted = 0
        self._archived_at = 0.0

    def app(self) -> Starlette:
        traces = self._intake.traces if self._intake else None
        control = Control(self._platform.ports, self._platform.catalogs, self._settle, traces)
        return Starlette(
            routes=[
                *control.routes(),
                *([Route(SPANS, self._intake.take, methods=["POST"])] if self._intake else ()),
                Route("/_segue/archive/{topic}/", self._archive, methods=["POST"]),
                Route(entrypoint.METRICS, self._metrics),
                Route(
                    "/{path:path}", self._balance, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
                ),
                WebSocketRoute("/{path:path}", Sockets(self._functions)),
            ],
            exception_handlers=entrypoint.exception_handlers,
        )

    async def _balance(self, request: Request) -> Response:
        """Pass the request on to the function that its path belongs to, and the answer back."""
        function = function_of(request.url.path)
        if function is None:
            raise NotFound(f"no function answers {request.url.path}")
        body = await request.body()
        headers = [(name, value) for name, value in request.headers.raw if name.decode() not in OF_ONE_CONNECTION]
        query = request.scope["query_string"].decode()
        url = self._functions[function] + request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        asked = self._http.build_request(request.method, url, content=body, headers=headers)
        try:
            answer = await self._http.send(asked, stream=True)
            if is_stream(answer):
                return StreamingResponse(passed_on(answer), answer.status_code, _kept(answer, OF_ONE_CONNECTION))
            await answer.aread()
        except httpx.TransportError as error:
            raise Unavailable(f"{function} does not answer") from error
        if function == "ingest" and request.method == "POST" and request.url.path not in FIGURES and answer.is_success:
            self._accepted += _calls(body)
        return Response(answer.content, answer.status_code, _kept(answer, INFLATED))

    async def _archive(self, request: Request) -> Response:
        """Keep a message that was pushed."""
        topic = request.path_params["topic"]

        async def keep(message: Message) -> None:
            self._archived_at = time.monotonic()
            await self._platform.ports.archive.append(topic, [message])

        return await entrypoint.acknowledge(request, self._platform, "archive", topic, keep)

    async def _metrics(self, request: Request) -> Response:
        """GET: what the functions counted, for who asks on this machine."""
        entrypoint.expect_neighbour(request)
        return entrypoint.metrics_answer(await scraped(self._functions, self._http))

    async def _settle(self, ticks: Sequence[Tick]) -> None:
        """Wait until nothing is on its way: all accepted events are archived, the ledger closes, every snapshot is
        where it belongs, and no profile is due any more by the ticks."""
        busy = True
        while busy:
            started = time.monotonic()
            busy = self._is_pushed_to() or await self._is_busy(ticks)
            await asyncio.sleep(max(POLL_S, time.monotonic() - started))  # look no more than half of the time

    def _is_pushed_to(self) -> bool:
        """Whether the archive got something a moment ago: while it does, to look any closer would only cost time."""
        return time.monotonic() - self._archived_at < QUIET_S

    async def _is_busy(self, ticks: Sequence[Tick]) -> bool:
        ports = self._platform.ports
        try:
            known = await ledger.profiles(ports)
            found = await ledger.ledger(ports, known)
            return (
                found.published < self._accepted
                or found.open != 0
                or await self._is_due(known, ticks)
                or await ledger.snapshots_on_their_way(ports, known) != 0
            )
        except Unavailable:
            return True

    async def _is_due(self, known: Sequence[ledger.Profile], ticks: Sequence[Tick]) -> bool:
        """Whether a profile has something to announce that one of the ticks brings."""
        grace = (await self._platform.catalogs.current()).catalog.settings.grace
        until = {tick.clock: (tick.at or 0) - grace for tick in ticks}
        return any(
            profile.due is not None and profile.due <= until.get("import" if profile.imported else "wall", 0)
            for profile in known
        )


def _kept(answer: httpx.Response, left_out: Set[str]) -> Mapping[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in left_out}


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw] | None = None


def _calls(body: bytes) -> int:
    """How many calls an accepted request holds."""
    found = msgspec.json.decode(inflated(body) if body.startswith(GZIP) else body, type=_Batch)
    return 1 if found.batch is None else len(found.batch)


@contextmanager
def _started(
    functions: Mapping[str, Mapping[str, str]], folder: Path, environments: Mapping[str, Mapping[str, str]]
) -> Iterator[Sequence[Child]]:
    """Each function's process, ended with the block."""
    children: list[Child] = []
    try:
        for name, function in functions.items():
            children.append(_start(name, function, folder / f"{name}.log", environments[name]))
        yield children
    finally:
        for child in children:
            child.process.terminate()
        ends = time.monotonic() + ENDED_WITHIN_S
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, ends - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)  # the server's workers, too
            child.process.wait()


def _end(children: Sequence[Child], name: str) -> None:
    """Tell a function's process to end."""
    for child in children:
        if child.name == name:
            child.process.terminate()


def _start(name: str, function: Mapping[str, str], log: Path, environment: Mapping[str, str]) -> Child:
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 (our own program, on files of the project)
            _COMMANDS[server_of(function)](function),
            env={**os.environ, **environment, "HOST": HOST, "PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(name, f"http://{HOST}:{port}", process, log)


def _framework(function: Mapping[str, str]) -> Sequence[str]:
    return [
        str(Path(sys.executable).with_name("functions-framework")),
        "--asgi",
        *("--target", function["target"]),
        *("--source", str(ROOT / function["source"])),
    ]


def _own(function: Mapping[str, str]) -> Sequence[str]:
    return [sys.executable, "-m", package_of(function)]


_COMMANDS: Mapping[str, Callable[[Mapping[str, str]], Sequence[str]]] = {
    "functions-framework": _framework,
    "uvicorn": _own,
}
"""How the process of a function is started, by what serves it; HOST and PORT say where it answers."""


async def _answers(child: Child) -> None:
    """Return once the function's process takes connections. Raises Unavailable with its last words if it does not."""
    host, port = child.url.removeprefix("http://").split(":")
    ends = time.monotonic() + READY_WITHIN_S
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return
        if child.process.poll() is not None or time.monotonic() > ends:
            said = "\n".join(child.log.read_text(errors="replace").splitlines()[-10:])
            raise Unavailable(f"the function {child.name} did not start; it said:\n{said}")
        await asyncio.sleep(0.1)


def _settings(folder: Path) -> Mapping[str, str]:
    """The environment of every function: what the caller's says, and what only this run can say."""
    chosen = {
        "SEGUE_PROJECT": "segue-laptop",
        "SEGUE_PROFILE_SECRET": secrets.token_hex(),
        "SEGUE_ALLOW_PRIVATE_DESTINATIONS": "true",
        "SEGUE_RECENT_MS": "0",
        "GUNICORN_LOG_LEVEL": "warning",
    }
    given = {name: os.environ[name] for name in chosen if os.environ.get(name)}
    return {**chosen, **given, "SEGUE_PLATFORM": "google", "SEGUE_DATA": str(folder)}


def _push_identity(function: str, certificates: Path) -> Mapping[str, str]:
    """By what a function tells who pushes to it, as Terraform has it; nothing for one that nobody pushes to."""
    if function not in audiences():
        return {}
    return {
        "SEGUE_PUSH_AUDIENCE": audiences()[function],
        "SEGUE_PUSH_ACCOUNT": ACCOUNT,
        "SEGUE_PUSH_CERTIFICATES": str(certificates.absolute()),
    }


def _tracing(function: str, intake: "Intake | None") -> Mapping[str, str]:
    """Where the spans of a function go, and by which name."""
    return {"OTEL_SERVICE_NAME": function, **(intake.environment if intake else {})}


def _archived_topics() -> Sequence[str]:
    return [each["archive"] for each in topology()["subscriptions"].values() if "archive" in each]


def _topics_alone() -> Mapping[str, Any]:
    """The topology without whatever is pushed: a function may listen to a topic before it can be pushed to."""
    return {"topics": topology()["topics"], "subscriptions": {}}
